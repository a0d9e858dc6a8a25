"""Leaves out recordings that an earlier one of the same build already is: the earliest stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.screening.fingerprints import (
    FRAMES,
    Fingerprint,
    FingerprintIndex,
    SoundSketch,
    Twin,
    picture_hash,
)
from spatialfoley.dataset.screening.still_picture import gray
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.media.video import read_video

_FACT = "fingerprint"

Agreement = Literal["both", "sound", "picture", "either"]


@dataclass(frozen=True)
class Duplicates:
    """Compares whole recordings; stands before the stage that cuts clips.

    Attributes:
        by: What has to be the same. With "both", what is missing on either side does not count: a recording without
            a picture is compared by its sound.
        most_bits: Pictures are the same up to so many of 63 bits; ours: copies measure up to 6, other recordings
            from 20 on. Stretches of one recording measure from 5 on: pictures alone do not tell them apart.
        least_share: Sounds are the same from this share of common peaks on; ours: copies measure 0.06 and more,
            others 0.
        picture, sound: Roles that are compared.
    """

    version: ClassVar[int] = 1
    by: Agreement = "both"
    most_bits: float = 8.0
    least_share: float = 0.03
    picture: str = "panorama"
    sound: str = "foa"

    def __post_init__(self) -> None:
        if self.by not in get_args(Agreement):
            raise ValueError(f"by is {self.by!r}; it must be one of {', '.join(get_args(Agreement))}")
        if not 0 <= self.most_bits < 32:
            raise ValueError(f"most_bits is {self.most_bits}; it must be from 0 to below 32")
        if not 0 < self.least_share <= 1:
            raise ValueError(f"least_share is {self.least_share}; it must be above 0 and at most 1")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Take the recording's fingerprint."""
        pictures: tuple[int, ...] = ()
        sound: tuple[int, ...] = ()
        if self.picture in record.files and self.by != "sound":
            video = read_video(space.path(record.file(self.picture)))
            times_s = (np.arange(FRAMES) + 0.5) / FRAMES * video.duration_s
            frames = gray(video.frames_at(times_s, (32, 32), crop=None))
            pictures = tuple(mark for frame in frames if (mark := picture_hash(frame)) is not None)
        if self.sound in record.files and self.by != "picture":
            field = SoundFile.open(space.path(record.file(self.sound)))
            sketch = SoundSketch(field.rate_hz)
            for block in field.blocks(field.rate_hz):
                if not sketch.add(block[0]):
                    break
            sketch.finish()
            sound = sketch.sketch()
        return Passed((record.with_(facts={_FACT: Fingerprint(pictures, sound).text()}),))

    def begin(self, earlier: Iterable[tuple[str, str]]) -> FingerprintIndex:
        """The fingerprints of earlier recordings."""
        index = FingerprintIndex()
        for recording, text in earlier:
            index.add(recording, Fingerprint.from_text(text))
        return index

    def compare(self, record: Record, earlier: FingerprintIndex) -> tuple[Outcome, str | None]:
        """Leave the recording out if an earlier one is the same."""
        text = str(record.facts[_FACT])
        marks = Fingerprint.from_text(text)
        for twin in earlier.candidates(marks, self.most_bits):
            if twin.recording != record.recording and self._is_same(twin):
                numbers = {"shared_peaks": twin.sounds_share, "picture_bits": twin.pictures_bits}
                said = {name: round(value, 4) for name, value in numbers.items() if value is not None}
                return Rejected("duplicate", f"it is the same as {twin.recording}", said), None
        earlier.add(record.recording, marks)
        facts = {name: value for name, value in record.facts.items() if name != _FACT}
        return Passed((Record(record.id, record.recording, record.files, facts),)), text

    def _is_same(self, twin: Twin) -> bool:
        same = {
            "picture": None if twin.pictures_bits is None else twin.pictures_bits <= self.most_bits,
            "sound": None if twin.sounds_share is None else twin.sounds_share >= self.least_share,
        }
        if self.by in ("sound", "picture"):
            return bool(same[self.by])
        told = [value for value in same.values() if value is not None]
        return bool(told) and (all(told) if self.by == "both" else any(told))


STAGE = Duplicates
