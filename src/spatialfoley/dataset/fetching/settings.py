"""How recordings are fetched through yt-dlp."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

YOUTUBE_URL = "https://www.youtube.com/watch?v={id}"


@dataclass(frozen=True)
class FetchSettings:
    """How yt-dlp is called and what is taken.

    Attributes:
        yt_dlp: Path or name of the program; empty: the module of the extra ``spatialfoley[fetch]``.
        arguments: More arguments for it, such as a proxy or a provider of tokens; never shown or written anywhere.
        clients: YouTube clients, tried in order until one offers what is wanted; several at once with commas. Of
            the official ones android_vr is known to list Ambisonic sound (yt-dlp issue 12543) and equirectangular
            pictures, where browsers get cube maps. An empty one leaves the choice to yt-dlp.
        cookies: File of cookies in Netscape's format; a copy is used, and it is never shown or written anywhere.
        url: Address of a recording; {id} stands for its id.
        max_height: Of pictures taken, in pixels.
        min_height: Of pictures taken, in pixels.
        max_gb: Of a recording, sound and picture together.
        pause_s: Between two requests of one process, at least.
        jitter_s: Up to so much longer, drawn by seed and recording.
        rate_pause_s: Before the next request of a process that was told it asks too often.
        socket_timeout_s: Without any answer.
        call_limit_s: Of one call of yt-dlp; what was downloaded is gone on with. A recording takes three, which
            have to fit into the build's retries.stage_limit_s.
        seed: Of the pauses.
    """

    yt_dlp: str = ""
    arguments: tuple[str, ...] = ()
    clients: tuple[str, ...] = ("android_vr", "default")
    cookies: str | None = None
    url: str = YOUTUBE_URL
    max_height: int = 1440
    min_height: int = 480
    max_gb: float = 4.0
    pause_s: float = 1.0
    jitter_s: float = 4.0
    rate_pause_s: float = 60.0
    socket_timeout_s: float = 30.0
    call_limit_s: float = 1000.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.clients:
            raise ValueError("download.clients is empty; give at least one, such as android_vr")
        if "{id}" not in self.url:
            raise ValueError(f"download.url is {self.url!r}; it must hold {{id}}")
        if not 0 < self.min_height <= self.max_height:
            raise ValueError(
                f"download.min_height is {self.min_height} and download.max_height {self.max_height}; "
                "give pixels above 0, the first not above the second"
            )
        for name in ("max_gb", "socket_timeout_s", "call_limit_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"download.{name} is {getattr(self, name)}; it must be above 0")
        for name in ("pause_s", "jitter_s", "rate_pause_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"download.{name} is {value}; give seconds of at least 0")
        if self.cookies is not None and not Path(self.cookies).is_file():
            raise ValueError(
                "download.cookies is no file; export the cookies of a browser in Netscape's format"
            )

    def address(self, video: str) -> str:
        """Where a recording is."""
        return self.url.replace("{id}", video)

    def depends_on(self) -> dict[str, Any]:
        """What changes what is fetched; the way to it does not."""
        return {name: getattr(self, name) for name in ("url", "max_height", "min_height", "max_gb")}
