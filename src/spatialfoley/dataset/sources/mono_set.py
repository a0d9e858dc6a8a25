"""Sets of clips with a label and ordinary sound, such as VGGSound, to train on before space is learnt.

The list is a CSV as VGGSound's: video, start in seconds, label, split; without a heading, or with one that names
these columns. The clips lie in a folder as VIDEO_START (six digits or plain), or their videos are fetched from
YouTube, whole: a stage cuts them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record, clip_id
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.fetching.lists import ID_COLUMNS, read_table, video_id
from spatialfoley.dataset.fetching.local_clips import find_video, with_local_files
from spatialfoley.dataset.fetching.program import find_program
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.videos import fetch_video

COLUMNS = ("video", "start", "label", "split")
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "test": "test",
}
_OTHER_NAMES = {
    **dict.fromkeys(ID_COLUMNS, "video"),
    "start_s": "start",
    "start_seconds": "start",
    "start seconds": "start",
    "class": "label",
    "caption": "label",
}


@dataclass(frozen=True)
class MonoSetSource:
    """Clips of a list, gathered by video.

    Attributes:
        clips: The CSV.
        path: Folder of the clips; None: their videos come from YouTube.
        name: Of the set, as ids begin.
        clip_s: Length of a clip.
        licence: Of the clips, as far as it is known.
        download: How videos are fetched.
    """

    version: ClassVar[int] = 1
    clips: str
    path: str | None = None
    name: str = "vggsound"
    clip_s: float = 10.0
    licence: str = "not stated"
    download: FetchSettings = field(
        default_factory=lambda: FetchSettings(min_height=144, max_height=480, max_gb=1.0)
    )

    def __post_init__(self) -> None:
        if self.path is not None and not Path(self.path).is_dir():
            raise ValueError(f"path is {self.path}, which is no folder; give the folder of the clips")
        if not (math.isfinite(self.clip_s) and self.clip_s > 0):
            raise ValueError(f"clip_s is {self.clip_s}; give seconds above 0")
        Record(self.name, self.name)

    def records(self) -> Iterator[Record]:
        """One record for every video, with its clips, in the order of the list."""
        if self.path is None:
            find_program(self.download)
        for video, clips in _read_clips(Path(self.clips)).items():
            splits = {clip["split"] for clip in clips if "split" in clip}
            facts = {
                "source": "mono_set",
                "set": self.name,
                "video": video,
                "convention": "mono",
                **({"licence": self.licence} if self.path is not None else {}),
                **({"split": splits.pop()} if len(splits) == 1 else {}),
                "clips": clips,
            }
            recording = f"{self.name}-{video}"
            yield Record(recording, recording, facts=facts)

    def fetch_depends_on(self) -> dict[str, Any]:
        """What is taken of a video; not which others are in the list."""
        return {} if self.path is not None else self.download.depends_on()

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Download "view" and "sound" of a video, or look at its clips in the folder: a record for each."""
        if self.path is None:
            return fetch_video(self.download, record, space, record.facts["video"], "view")
        folder = Path(self.path).resolve()
        made = []
        refused: Rejected | None = None
        for entry in record.facts["clips"]:
            start = int(entry["start_s"])
            names = (f"{record.facts['video']}_{start:06d}", f"{record.facts['video']}_{start}")
            view = next((found for name in names if (found := find_video(folder, name)) is not None), None)
            if view is None:
                continue
            facts = {name: value for name, value in record.facts.items() if name != "clips"}
            clip = Record(clip_id(record.id, entry["start_s"]), record.id, {}, {**facts, **entry})
            looked = with_local_files(clip, view)
            if isinstance(looked, Rejected):
                refused = looked
            else:
                made.append(looked)
        if made:
            return Passed(tuple(made))
        if refused is not None:
            return refused
        raise ItemProblem("missing", f"the folder holds no clip of {record.facts['video']}")


def _read_clips(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Clips of every video.

    Raises:
        ValueError: The list is missing or empty, or a row cannot be read.
    """
    columns: tuple[str, ...] = COLUMNS
    found: dict[str, list[dict[str, Any]]] = {}
    for number, (line, cells) in enumerate(read_table(path)):
        if number == 0 and video_id(cells[0]) is None:
            columns = tuple(_OTHER_NAMES.get(cell.strip().lower(), cell.strip().lower()) for cell in cells)
            missing = [name for name in ("video", "start") if name not in columns]
            if missing:
                raise ValueError(
                    f"{path}, line {line}: no column {' or '.join(missing)}; it must have {', '.join(COLUMNS)}"
                )
            continue
        row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
        video, entry = _entry(path, line, row)
        found.setdefault(video, []).append(entry)
    if not found:
        raise ValueError(f"list {path} names no clip; it must have rows of {', '.join(COLUMNS)}")
    return found


def _entry(path: Path, line: int, row: dict[str, str]) -> tuple[str, dict[str, Any]]:
    video = video_id(row.get("video", ""))
    if video is None:
        raise ValueError(f"{path}, line {line}: {row.get('video', '')!r} is no YouTube id of 11 characters")
    try:
        start_s = float(row.get("start", ""))
    except ValueError:
        start_s = -1.0
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ValueError(
            f"{path}, line {line}: start is {row.get('start', '')!r}; give seconds of at least 0"
        )
    entry: dict[str, Any] = {"start_s": start_s}
    if row.get("split"):
        if row["split"] not in SPLITS:
            raise ValueError(f"{path}, line {line}: split is {row['split']!r}; known are {', '.join(SPLITS)}")
        entry["split"] = SPLITS[row["split"]]
    if row.get("label"):
        entry["caption"] = row["label"]
    else:
        entry["caption_missing"] = "the list has no label"
    return video, entry


SOURCE = MonoSetSource
