"""Leaves out what was cut off at a level it did not fit into."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace
from spatialfoley.dataset.screening.clipping import ClippingLimits, ClippingMeter
from spatialfoley.media.sound_file import SoundFile


@dataclass(frozen=True)
class Clipping:
    """Measures recordings or clips.

    Attributes:
        role: The sound that is measured.
        limits: Where the limits lie.
    """

    version: ClassVar[int] = 1
    role: str = "foa"
    limits: ClippingLimits = field(default_factory=ClippingLimits)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Count flat tops and full scale."""
        limits = self.limits
        if _is_float(str(record.facts.get("sound_codec", ""))):
            # Floats go on above full scale: reaching it says nothing.
            limits = replace(limits, most_full=1.0)
        sound = SoundFile.open(space.path(record.file(self.role)))
        meter = ClippingMeter(limits, 10 ** (float(record.facts.get("gain_db", 0.0)) / 20))
        for block in sound.blocks():
            meter.add(block)
        reason = meter.why_clipped()
        return reason if reason is not None else Passed((record,))


def _is_float(codec: str) -> bool:
    return codec in ("float", "double") or codec.startswith(("pcm_f32", "pcm_f64"))


STAGE = Clipping
