"""Leaves out what is no sound field: mono or stereo in four channels, dead or copied ones, unrelated sounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.screening.field_proof import FieldLimits, FieldMeter, suspicion_of, why_no_field
from spatialfoley.media.sound_file import SoundFile


@dataclass(frozen=True)
class FoaProof:
    """Measures the field of every recording.

    Attributes:
        reject_suspects: Leave out recordings whose energies look like another convention ("fuma", "n3d"); otherwise
            the suspicion is a fact. Suspicion of the channel order is weak, and a fact in any case.
        limits: Where the limits lie.
    """

    version: ClassVar[int] = 1
    reject_suspects: bool = False
    limits: FieldLimits = field(default_factory=FieldLimits)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Prove the field, or say what is in its place."""
        sound = SoundFile.open(space.path(record.file("foa")), "foa")
        meter = FieldMeter(sound.rate_hz, self.limits)
        for block in sound.blocks(sound.rate_hz):
            meter.add(block)
        found = meter.numbers()
        reason = why_no_field(found, self.limits)
        if reason is not None:
            return reason
        suspicion, sentence = suspicion_of(found, self.limits)
        if self.reject_suspects and suspicion in ("fuma", "n3d"):
            return Rejected(f"{suspicion}_suspected", sentence, found.document())
        facts: dict[str, object] = {}
        if found.ratio_db is not None:
            facts["field_ratio_db"] = round(found.ratio_db, 2)
        if suspicion:
            facts["suspicion"] = suspicion
        return Passed((record.with_(facts=facts),))


STAGE = FoaProof
