"""MUSIC-21: solos and duets of 21 instruments on YouTube; captions are the instruments, as ViSAudio takes them.

As the repository of MUSIC has them: JSON lists {"videos": {"cello": [ids], "flute violin": [ids]}}. Their sound is
YouTube's ordinary stereo; ViSAudio trains on it as on binaural sound, and so `convention` says by default. The
lists name no split: which clips ViSAudio trained on (17 825) and tested on (1 857) is not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from spatialfoley.dataset.captions import music_caption
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.fetching.lists import read_json, video_id
from spatialfoley.dataset.fetching.local_clips import VIDEO_SUFFIXES, videos_in, with_local_files
from spatialfoley.dataset.fetching.program import find_program
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.videos import NOT_STATED, fetch_video

CONVENTIONS = ("binaural", "stereo")
_ID_LENGTH = 11


@dataclass(frozen=True)
class Music21Source:
    """Videos by lists, from YouTube or from a folder; or all videos of a folder.

    Attributes:
        lists: JSON lists of ids by instruments; none: the files of the folder.
        path: Folder of videos named [solo_ or duet_]INSTRUMENTS_ID, such as solo_cello_XYbxjA3TxvI.mp4; None:
            YouTube.
        convention: What their two channels are taken for, "binaural" or "stereo".
        download: How videos are fetched.
    """

    version: ClassVar[int] = 1
    lists: tuple[str, ...] = ()
    path: str | None = None
    convention: str = "binaural"
    download: FetchSettings = field(default_factory=lambda: FetchSettings(min_height=240, max_height=720))

    def __post_init__(self) -> None:
        if not self.lists and self.path is None:
            raise ValueError(
                "neither lists nor path is given; name JSON lists of MUSIC-21, a folder of videos, or both"
            )
        if self.path is not None and not Path(self.path).is_dir():
            raise ValueError(f"path is {self.path}, which is no folder; give the folder of the videos")
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention is {self.convention!r}; it must be one of {', '.join(CONVENTIONS)}")

    def records(self) -> Iterator[Record]:
        """One record for every video, in the order of the lists, or by name."""
        if self.path is None:
            find_program(self.download)
        captions = self._listed() if self.lists else self._in_folder()
        for video, caption in captions.items():
            name = f"music-{video}"
            facts = {
                "source": "music21",
                "video": video,
                "caption": caption,
                "convention": self.convention,
                **({"licence": NOT_STATED} if self.path is not None else {}),
            }
            yield Record(name, name, facts=facts)

    def _listed(self) -> dict[str, str]:
        """Captions by video; one that is in several lists has the instruments of all."""
        captions: dict[str, str] = {}
        for name in self.lists:
            path = Path(name)
            said = read_json(path)
            groups = said.get("videos") if isinstance(said, Mapping) else None
            if not isinstance(groups, Mapping):
                raise ValueError(
                    f'{path} is no list of MUSIC-21; it must be {{"videos": {{"cello": [ids]}}}}'
                )
            for instruments, videos in groups.items():
                for video in videos if isinstance(videos, list) else [videos]:
                    if not isinstance(video, str) or video_id(video) != video:
                        raise ValueError(
                            f"{path}: {video!r} of {instruments!r} is no YouTube id of 11 characters"
                        )
                    caption = _caption(path, instruments, video)
                    before = captions.get(video, "").split(", ") if video in captions else []
                    new = [one for one in caption.split(", ") if one not in before]
                    captions[video] = ", ".join([*before, *new])
        if not captions:
            raise ValueError("the lists of MUSIC-21 name no video")
        return captions

    def _in_folder(self) -> dict[str, str]:
        return {path.stem[-_ID_LENGTH:]: music_caption(path.name) for path in videos_in(Path(str(self.path)))}

    def fetch_depends_on(self) -> dict[str, Any]:
        """What is taken of a video; not which others are in the lists."""
        return {} if self.path is not None else self.download.depends_on()

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Download "view" and "sound", or look at the file in the folder, whose sound stays inside."""
        video = record.facts["video"]
        if self.path is None:
            return fetch_video(self.download, record, space, video, "view")
        folder = Path(self.path).resolve()
        found = sorted(path for path in folder.glob(f"*{video}.*") if path.suffix.lower() in VIDEO_SUFFIXES)
        if not found:
            raise ItemProblem("missing", f"no video of the folder has a name that ends with {video}")
        made = with_local_files(record, found[0], None, (2,), {"title": found[0].stem})
        return made if isinstance(made, Rejected) else Passed((made,))


def _caption(path: Path, instruments: str, video: str) -> str:
    try:
        return music_caption(f"{'_'.join(instruments.split())}_{video}")
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


SOURCE = Music21Source
