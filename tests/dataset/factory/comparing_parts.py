"""A stage that keeps the first recording of each remainder, however long the workers take over any of them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import (
    Outcome,
    Passed,
    Rejected,
    TransientProblem,
    Workspace,
    seed_of,
)


@dataclass(frozen=True)
class FirstOfEachRemainder:
    version: ClassVar[int] = 1
    divisor: int = 5
    pause_s: float = 0.0
    network: tuple[int, ...] = ()

    def run(self, record: Record, space: Workspace) -> Outcome:
        number = int(record.facts["number"])
        time.sleep(self.pause_s * (seed_of(number) % 4))
        if number in self.network:
            raise TransientProblem("network", f"number {number} is out of reach")
        return Passed((record,))

    def begin(self, earlier: Iterable[tuple[str, str]]) -> dict[str, str]:
        return {remainder: recording for recording, remainder in earlier}

    def compare(self, record: Record, earlier: dict[str, str]) -> tuple[Outcome, str | None]:
        remainder = str(int(record.facts["number"]) % self.divisor)
        first = earlier.setdefault(remainder, record.id)
        if first != record.id:
            return Rejected("again", f"{first} leaves {remainder} too", {"remainder": float(remainder)}), None
        return Passed((record,)), remainder


STAGE = FirstOfEachRemainder
