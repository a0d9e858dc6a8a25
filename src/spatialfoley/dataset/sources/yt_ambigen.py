"""The published lists of YT-Ambigen: 102 364 clips of five seconds in 360° recordings of YouTube.

As ``csv/yt_ambigen`` of the publication has them: train.csv, valid.csv and test.csv with one column "file_path" of
rows VIDEO_SECONDS.npy, seconds being where the clip begins; and ambi.json, which gives the camera of a clip as
[elevation, azimuth] in units of 2°. How ambi.json names its clips was read from the publication's script, not from
the file: names with and without an ending are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Workspace
from spatialfoley.dataset.fetching.clip_lists import recordings_of, wanted_lists
from spatialfoley.dataset.fetching.lists import ListedClip, read_json
from spatialfoley.dataset.fetching.program import find_program
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.videos import fetch_video
from spatialfoley.spatial.ytambigen import AmbigenIndex

LISTS = {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}
CAMERAS = "ambi.json"


@dataclass(frozen=True)
class YtAmbigenSource:
    """Recordings with the published clips as fact "clips"; build with ``splits: {given: true}``.

    Attributes:
        lists: Folder of the lists.
        splits: Which of them.
        cameras: Take the published cameras; otherwise the builder looks where the sound is loudest.
        download: How recordings are fetched.
    """

    version: ClassVar[int] = 1
    lists: str
    splits: tuple[str, ...] = ("train", "valid", "test")
    cameras: bool = True
    download: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        wanted_lists(Path(self.lists), self.splits, LISTS)

    def records(self) -> Iterator[Record]:
        """One record for every recording, in the order of the lists."""
        find_program(self.download)
        folder = Path(self.lists)
        cameras = _read_cameras(folder / CAMERAS) if self.cameras else {}
        found = 0

        def camera(clip: ListedClip) -> dict[str, Any]:
            nonlocal found
            if clip.name not in cameras:
                return {}
            found += 1
            return {"camera_index": cameras[clip.name]}

        facts = {"source": "yt_ambigen", "convention": "ambix"}
        records = list(recordings_of(wanted_lists(folder, self.splits, LISTS), camera, facts))
        if self.cameras and not found:
            raise ValueError(
                f"{folder / CAMERAS} names none of the clips of the lists; give the one that belongs to them, or "
                "set cameras: false"
            )
        yield from records

    def fetch_depends_on(self) -> dict[str, Any]:
        """What is taken of a recording; not which others are in the lists."""
        return self.download.depends_on()

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Download "panorama" and "sound" of four channels; rejected when they are not offered."""
        return fetch_video(self.download, record, space, record.facts["video"], "field")


def _read_cameras(path: Path) -> dict[str, list[float]]:
    """[elevation, azimuth] by name of the clip.

    Raises:
        ValueError: The file is missing, of another form, or an index is out of range.
    """
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; it holds the published cameras, and cameras: false does without it"
        )
    said = read_json(path)
    if not isinstance(said, Mapping):
        raise ValueError(f"{path} is no object; it must give [elevation, azimuth] for every clip")
    cameras = {}
    for name, index in said.items():
        try:
            elevation, azimuth = index
            AmbigenIndex(elevation, azimuth)
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}: the camera of {name} is {index!r}; it must be [elevation 0 to 89, azimuth 0 to 179]"
            ) from None
        cameras[Path(name).name.split(".")[0]] = [elevation, azimuth]
    return cameras


SOURCE = YtAmbigenSource
