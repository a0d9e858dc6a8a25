"""Clips that lie on this machine already: looked at where they are, never copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Rejected, reference
from spatialfoley.media.streamed_sound import open_sound
from spatialfoley.media.video import read_video

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi")


def find_video(folder: Path, stem: str) -> Path | None:
    """The video of a name, whatever its ending; None for none."""
    return next((path for suffix in VIDEO_SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def videos_in(folder: Path) -> list[Path]:
    """All videos of a folder, by name; sub-folders are left alone.

    Raises:
        ValueError: There are none.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise ValueError(f"{folder} holds no video; known endings are {', '.join(VIDEO_SUFFIXES)}")
    return found


def with_local_files(
    record: Record,
    view: Path,
    sounds: Mapping[str, Path] | None = None,
    channels: tuple[int, ...] = (),
    facts: Mapping[str, Any] | None = None,
) -> Record | Rejected:
    """A record with its files: "view", and its sound where that is a file of its own.

    Args:
        record: The record.
        view: Its video.
        sounds: Its sound by role; None: inside the video.
        channels: Numbers of channels that are right; none: any sound is.
        facts: To be added.

    Raises:
        ItemProblem: A file is not there.
        MediaError: A file cannot be read.
    """
    for path in (view, *(sounds or {}).values()):
        if not path.is_file():
            raise ItemProblem("missing", f"{path.name} is not in its folder")
    picture = read_video(view)
    heard = open_sound(next(iter((sounds or {}).values()), view), channels)
    if heard is None:
        return Rejected("channels", "it has no sound", {"channels": 0})
    if channels and heard.channels not in channels:
        wanted = " or ".join(str(count) for count in channels)
        return Rejected(
            "channels", f"its sound has {heard.channels} channels, not {wanted}", {"channels": heard.channels}
        )
    files = {"view": reference(view), **{role: reference(path) for role, path in (sounds or {}).items()}}
    measured = {
        "duration_s": round(picture.duration_s, 6),
        "width": picture.width,
        "height": picture.height,
        "rate_hz": heard.rate_hz,
        "sound_codec": heard.codec,
        "sound_channels": heard.channels,
    }
    return record.with_(files, {**measured, **(facts or {})})
