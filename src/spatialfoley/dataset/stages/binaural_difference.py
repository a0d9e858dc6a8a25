"""Leaves out clips whose two ears hear the same: ViSAudio, equations 39 and 40."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Rejected, Workspace
from spatialfoley.media.audio import read_audio
from spatialfoley.spatial.interaural import left_right_distance


@dataclass(frozen=True)
class BinauralDifference:
    """Measures the ears of every clip.

    Attributes:
        role: The sound of two ears.
        least: D up to this is left out; the paper's 0.01.
    """

    version: ClassVar[int] = 1
    role: str = "binaural"
    least: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.least < 2:
            raise ValueError(f"least is {self.least}; D lies between 0 and 2")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Measure D."""
        ears = read_audio(space.path(record.file(self.role)), "binaural")
        distance = round(left_right_distance(ears.samples), 6)
        if distance <= self.least:
            sentence = f"its ears differ by {distance:.4f}, which is not above {self.least:g}"
            return Rejected("same_ears", sentence, {"left_right_distance": distance})
        return Passed((record.with_(facts={"left_right_distance": distance}),))


STAGE = BinauralDifference
