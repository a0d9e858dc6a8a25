"""A folder of one's own 360° recordings: any container, sound inside the video or in a file beside it.

``street.mp4`` is a recording; its sound is ``street.foa.wav``, ``street.wav`` (also .flac, .caf, .ogg, .opus,
.m4a) beside it, or the video's own. ``street.json`` beside it adds facts: title, licence, url, channel, split,
convention, caption.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace, reference
from spatialfoley.media.video import read_video

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi")
SOUND_SUFFIXES = (".foa.wav", ".wav", ".flac", ".caf", ".ogg", ".opus", ".m4a", ".mka", ".aac")
CONVENTIONS = ("ambix", "fuma", "unknown")


@dataclass(frozen=True)
class FolderSource:
    """Recordings of a folder and its sub-folders.

    Attributes:
        path: The folder.
        convention: Of the sound: "ambix" (ACN, SN3D), "fuma", or "unknown", to be found out by the screening.
        licence: Of all recordings that do not state their own.
    """

    version: ClassVar[int] = 1
    path: str
    convention: str = "ambix"
    licence: str = "not stated"

    def __post_init__(self) -> None:
        if not Path(self.path).is_dir():
            raise ValueError(f"path is {self.path}, which is no folder; give the folder of the recordings")
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention is {self.convention!r}; it must be one of {', '.join(CONVENTIONS)}")

    def records(self) -> Iterator[Record]:
        """One record for every video, by path."""
        root = Path(self.path).resolve()
        videos = [path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES]
        if not videos:
            raise ValueError(f"{self.path} holds no video; known endings are {', '.join(VIDEO_SUFFIXES)}")
        for video in sorted(videos):
            place = video.relative_to(root).as_posix()
            facts = {
                "source": "folder",
                "title": video.stem,
                "file": place,
                "licence": self.licence,
                "convention": self.convention,
                **_said_beside(video),
            }
            name = f"local-{_readable(place)}"
            yield Record(name, name, facts=facts)

    def fetch_depends_on(self) -> dict[str, Any]:
        """Nothing: what is looked at is the file that the record names."""
        return {}

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Look at the files where they are; nothing is copied."""
        video = Path(self.path).resolve() / record.facts["file"]
        if not video.is_file():
            raise ItemProblem("missing", f"{record.facts['file']} is not there any more")
        picture = read_video(video)
        files = {"panorama": reference(video)}
        sound = _sound_beside(video)
        if sound is not None:
            files["sound"] = reference(sound)
        facts = {"duration_s": round(picture.duration_s, 6), "width": picture.width, "height": picture.height}
        return Passed((record.with_(files, facts),))


def _said_beside(video: Path) -> dict[str, Any]:
    """Facts of the JSON file beside a video; those that follow from the files cannot be set."""
    path = video.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} is no JSON ({problem}); mend it, or take it away") from None
    known = ("title", "licence", "url", "channel", "split", "convention", "caption")
    return {key: said[key] for key in known if isinstance(said, dict) and key in said}


def _sound_beside(video: Path) -> Path | None:
    stem = video.name.removesuffix(video.suffix)
    return next(
        (path for suffix in SOUND_SUFFIXES if (path := video.with_name(stem + suffix)).is_file()), None
    )


def _readable(place: str) -> str:
    """A path as an id: readable, and told apart from similar ones by a few digits."""
    mark = hashlib.sha256(place.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', Path(place).with_suffix('').as_posix())[:80]}-{mark}"


SOURCE = FolderSource
