"""Whether what was downloaded is what was offered: read to its end, before anything is built on it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av

from spatialfoley.dataset.factory.stage import ItemProblem
from spatialfoley.media.container import open_media
from spatialfoley.media.streamed_sound import open_sound
from spatialfoley.media.video import read_video

_SLACK_S, _SLACK_SHARE = 1.5, 0.01
"""Sites state whole seconds, and sound and picture seldom end together."""


@dataclass(frozen=True)
class Measured:
    """What the files are.

    Attributes:
        duration_s: Of the picture.
        width: Of the picture in pixels.
        height: The same.
        channels: Of the sound; 0 for none.
    """

    duration_s: float
    width: int
    height: int
    channels: int


def measure(picture: Path, sound: Path | None, stated_s: float | None) -> Measured:
    """Measure downloaded files; nothing but the ends is decoded.

    Args:
        picture: The video.
        sound: Its sound; None where it is inside the video.
        stated_s: Length that the site states.

    Raises:
        ItemProblem: One of them ends early or holds no sound.
        MediaError: One of them cannot be read.
    """
    video = read_video(picture)
    _require_length("picture", video.duration_s, stated_s)
    heard = open_sound(sound or picture, (4, 6))
    if heard is None:
        if sound is not None:
            raise ItemProblem("corrupt", "the file of its sound holds no sound")
        return Measured(video.duration_s, video.width, video.height, 0)
    if sound is not None:
        _require_length("sound", _packets_s(sound), stated_s)
    return Measured(video.duration_s, video.width, video.height, heard.channels)


def _require_length(what: str, found_s: float, stated_s: float | None) -> None:
    if stated_s is not None and found_s < stated_s * (1 - _SLACK_SHARE) - _SLACK_S:
        raise ItemProblem(
            "corrupt", f"its {what} ends after {found_s:.2f} s of {stated_s:.2f} s: the download is cut off"
        )


def _packets_s(path: Path) -> float:
    """Seconds from the first to the end of the last packet of sound, undecoded."""
    first_s: float | None = None
    last_s = 0.0
    with closing(open_media(path)) as container:
        stream = container.streams.audio[0]
        base_s = float(stream.time_base or 1 / av.time_base)
        try:
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                first_s = packet.pts * base_s if first_s is None else first_s
                last_s = max(last_s, (packet.pts + (packet.duration or 0)) * base_s)
        except av.FFmpegError as error:
            raise ItemProblem("corrupt", f"its sound cannot be read to its end ({error.strerror})") from None
    return last_s - (first_s or 0.0)
