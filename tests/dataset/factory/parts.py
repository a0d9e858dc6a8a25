"""A source and stages of tests: small, real, and as troublesome as they are told to be."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record, clip_id
from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    Outcome,
    Passed,
    Rejected,
    TransientProblem,
    Workspace,
    seed_of,
)


@dataclass(frozen=True)
class Numbered:
    """Recordings that are numbers, "fetched" into files that hold them."""

    version: ClassVar[int] = 1
    count: int
    pause_s: float = 0.0

    def records(self) -> Iterator[Record]:
        for number in range(self.count):
            name = f"n-{number:04d}"
            yield Record(name, name, facts={"number": number, "licence": "CC0-1.0"})

    def fetch_depends_on(self) -> dict[str, object]:
        return {}

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        time.sleep(self.pause_s)
        with space.new_file(record.id, "sound", ".txt") as new:
            new.path.write_text(f"{record.facts['number']}\n")
        return Passed((record.with_(files={"sound": new.ref}),))


SOURCE = Numbered


@dataclass(frozen=True)
class Cut:
    """Cuts a recording into two clips; leaves out, fails, crashes or hangs on chosen numbers."""

    version: ClassVar[int] = 1
    pause_s: float = 0.0
    reject_every: int = 0
    corrupt: tuple[int, ...] = ()
    crash: tuple[int, ...] = ()
    hang: tuple[int, ...] = ()
    network: tuple[int, ...] = ()
    mends_when: str = ""
    """Network problems end when this file exists."""

    def run(self, record: Record, space: Workspace) -> Outcome:
        number = int(space.path(record.file("sound")).read_text())
        time.sleep(self.pause_s)
        if self.reject_every and number % self.reject_every == 0:
            return Rejected("divisible", f"{number} is divisible by {self.reject_every}", {"number": number})
        if number in self.corrupt:
            raise ItemProblem("corrupt", f"number {number} cannot be read")
        if number in self.crash:
            os._exit(7)
        if number in self.hang:
            time.sleep(60)
        if number in self.network and not Path(self.mends_when).exists():
            raise TransientProblem("network", f"number {number} is out of reach")
        clips = []
        for half in range(2):
            clip = Record(clip_id(record.id, half * 5.0), record.id, facts=record.facts)
            with space.new_file(clip.id, "foa", ".bin") as new:
                new.path.write_bytes(seed_of(number, half).to_bytes(8, "big") * 100)
            clips.append(clip.with_(files={"foa": new.ref}, facts={"start_s": half * 5.0}))
        return Passed(tuple(clips))


STAGE = Cut
