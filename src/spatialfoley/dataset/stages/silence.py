"""Leaves out what is silent: Sphere360's rule, and digital silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace
from spatialfoley.dataset.screening.silence import SilenceLimits, SilenceMeter
from spatialfoley.media.sound_file import SoundFile


@dataclass(frozen=True)
class Silence:
    """Measures recordings or clips.

    Attributes:
        role: The sound that is measured.
        limits: Where the limits lie.
    """

    version: ClassVar[int] = 1
    role: str = "foa"
    limits: SilenceLimits = field(default_factory=SilenceLimits)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Count the silent chunks."""
        sound = SoundFile.open(space.path(record.file(self.role)))
        meter = SilenceMeter(sound.rate_hz, self.limits)
        for block in sound.blocks():
            meter.add(block)
        reason = meter.why_silent()
        if reason is not None:
            return reason
        return Passed((record.with_(facts={"silent_share": meter.numbers()["silent_share"]}),))


STAGE = Silence
