"""FAIR-Play: 1 871 clips of ten seconds from a music room, recorded with two ears; CC BY 4.0.

As the repository of FAIR-Play has them: videos/000001.mp4, binaural_audios/000001.wav, and ten splits as
splits/split1/{train,val,test}.h5, each with a data set "audio" of paths whose names are those of the clips. The
splits may also be text, one name a line. One scene may be in two parts of a split: the publication says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.fetching.local_clips import videos_in, with_local_files

VIDEOS, SOUNDS, SPLITS = "videos", "binaural_audios", "splits"
LICENCE = "CC-BY-4.0"
_SPLIT_FILES = {"train": "train", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class FairPlaySource:
    """The clips of the data set's folder; each is a recording.

    Attributes:
        path: The folder.
        split: Number of the split, 1 to 10 (build with ``splits: {given: true}``), or 0 for all clips without one.
    """

    version: ClassVar[int] = 1
    path: str
    split: int = 0

    def __post_init__(self) -> None:
        for name in (VIDEOS, SOUNDS):
            if not (Path(self.path) / name).is_dir():
                raise ValueError(f"path is {self.path}, which has no folder {name}; give that of FAIR-Play")
        if self.split < 0:
            raise ValueError(f"split is {self.split}; give the number of one, or 0 for none")

    def records(self) -> Iterator[Record]:
        """One record for every clip, by split and name."""
        root = Path(self.path)
        if not self.split:
            for video in videos_in(root / VIDEOS):
                yield _record(video.stem, {})
            return
        seen: dict[str, str] = {}
        for split, name in _SPLIT_FILES.items():
            for clip in _read_split(root / SPLITS / f"split{self.split}", name):
                if clip in seen:
                    raise ValueError(f"split{self.split} has clip {clip} in {seen[clip]} and in {split}")
                seen[clip] = split
                yield _record(clip, {"split": split})

    def fetch_depends_on(self) -> dict[str, Any]:
        """Nothing: the files of a clip are those of its name."""
        return {}

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Look at "view" and "binaural" where they are."""
        root, name = Path(self.path).resolve(), record.facts["title"]
        video, sound = root / VIDEOS / f"{name}.mp4", root / SOUNDS / f"{name}.wav"
        found = with_local_files(record, video, {"binaural": sound}, (2,))
        return found if isinstance(found, Rejected) else Passed((found,))


def _record(name: str, facts: dict[str, Any]) -> Record:
    said = {
        "source": "fair_play",
        "title": name,
        "licence": LICENCE,
        "convention": "binaural",
        "caption_missing": "FAIR-Play has no captions",
    }
    clip = f"fairplay-{name}"
    return Record(clip, clip, facts={**said, **facts})


def _read_split(folder: Path, name: str) -> list[str]:
    """Names of the clips of one part of a split.

    Raises:
        ValueError: It is missing, empty or of another form, or h5py is needed and not there.
    """
    text = folder / f"{name}.txt"
    paths = text.read_text(encoding="utf-8").split() if text.is_file() else _read_h5(folder / f"{name}.h5")
    clips = [Path(path).stem for path in paths]
    if not clips:
        raise ValueError(
            f"{folder / name} names no clip; it must hold the paths of sounds such as 000001.wav"
        )
    return clips


def _read_h5(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; FAIR-Play has split1 to split10, each with train, val and test"
        )
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"reading {path.name} needs h5py: install spatialfoley[sofa], or write the names into "
            f"{path.with_suffix('.txt').name}"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            return [one.decode() for one in file["audio"][:]]
    except (OSError, KeyError, AttributeError) as problem:
        raise ValueError(f"{path} is no split of FAIR-Play: {problem}") from None


SOURCE = FairPlaySource
