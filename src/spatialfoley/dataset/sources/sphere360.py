"""The published lists of Sphere360: about 103 000 stretches of ten seconds in 360° recordings of YouTube.

As ``Sphere360/dataset/split`` of the publication has them: train.txt and test.txt with one VIDEO_SECONDS a line,
seconds being where the ten seconds begin. ``channels.csv`` beside them names the channels that were gone through;
it says nothing of single recordings and is not needed. BiAudio is made of these recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Workspace
from spatialfoley.dataset.fetching.clip_lists import recordings_of, wanted_lists
from spatialfoley.dataset.fetching.program import find_program
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.videos import fetch_video

LISTS = {"train": "train.txt", "test": "test.txt"}


@dataclass(frozen=True)
class Sphere360Source:
    """Recordings with the published stretches as fact "clips"; build with ``splits: {given: true}``.

    Attributes:
        lists: Folder of the lists.
        splits: Which of them.
        download: How recordings are fetched.
    """

    version: ClassVar[int] = 1
    lists: str
    splits: tuple[str, ...] = ("train", "test")
    download: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        wanted_lists(Path(self.lists), self.splits, LISTS)

    def records(self) -> Iterator[Record]:
        """One record for every recording, in the order of the lists."""
        find_program(self.download)
        facts = {"source": "sphere360", "convention": "ambix"}
        yield from recordings_of(wanted_lists(Path(self.lists), self.splits, LISTS), lambda clip: {}, facts)

    def fetch_depends_on(self) -> dict[str, Any]:
        """What is taken of a recording; not which others are in the lists."""
        return self.download.depends_on()

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Download "panorama" and "sound" of four channels; rejected when they are not offered."""
        return fetch_video(self.download, record, space, record.facts["video"], "field")


SOURCE = Sphere360Source
