"""360° recordings of YouTube, by a list of ids: fetched through yt-dlp once their formats prove them right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Workspace
from spatialfoley.dataset.fetching.lists import read_videos
from spatialfoley.dataset.fetching.program import find_program
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.videos import fetch_video


@dataclass(frozen=True)
class YoutubeSource:
    """Videos of a list.

    Attributes:
        ids: The list: .txt with an id or address a line, .csv or .jsonl with a column id, video_id or url, and
            facts beside it: title, channel, licence, split, caption, convention.
        download: How they are fetched.
    """

    version: ClassVar[int] = 1
    ids: str
    download: FetchSettings = field(default_factory=FetchSettings)

    def records(self) -> Iterator[Record]:
        """One record for every video, in the order of the list."""
        find_program(self.download)
        for listed in read_videos(Path(self.ids)):
            yield youtube_record(listed.video, {"convention": "ambix", **listed.facts})

    def fetch_depends_on(self) -> dict[str, Any]:
        """What is taken of a recording; not which others are in the list."""
        return self.download.depends_on()

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Download "panorama" and "sound" of four channels; rejected when they are not offered."""
        return fetch_video(self.download, record, space, record.facts["video"], "field")


def youtube_record(video: str, facts: dict[str, Any]) -> Record:
    """The record of a video that is not here yet."""
    name = f"yt-{video}"
    return Record(name, name, facts={"source": "youtube", "video": video, **facts})


SOURCE = YoutubeSource
