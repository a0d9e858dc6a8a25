"""Recordings and a stage that take no time: what remains is the engine's own work for every record and stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace


@dataclass(frozen=True)
class Numbered:
    """Recordings that are numbers only."""

    version: ClassVar[int] = 1
    recordings: int

    def records(self) -> Iterator[Record]:
        """One after the other."""
        for number in range(self.recordings):
            yield Record(f"n-{number:06d}", f"n-{number:06d}", facts={"number": number})


@dataclass(frozen=True)
class Nothing:
    """Passes everything on with a fact more."""

    version: ClassVar[int] = 1
    name: str = "nothing"

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Do nothing."""
        return Passed((record.with_(facts={self.name: True}),))


SOURCE = Numbered
STAGE = Nothing
