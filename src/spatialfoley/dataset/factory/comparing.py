"""Stages whose results depend on earlier recordings, such as the one that leaves out duplicates.

Workers finish in any order, but what is first must not depend on that: results of such a stage are held back
until all recordings with earlier places are through it or have ended before. Then ``compare`` decides, in the
coordinator, and its decision is committed together with what later recordings are compared with. So a build that is
killed and goes on decides the same as one that is not.

Once made, decisions stay: where a failure of the network kept the first of two duplicates out, the second was
taken, and the first is the duplicate when it comes back. A recording that was taken down still counts: its copies
do not come back in its place.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from spatialfoley.dataset.factory.groups import Job
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed
from spatialfoley.dataset.factory.work import Problem


@runtime_checkable
class ComparingStage(Protocol):
    """A stage with two more methods; it has to stand before the stage that cuts recordings into clips."""

    def begin(self, earlier: Iterable[tuple[str, str]]) -> Any:
        """What earlier recordings left, ready to be compared with.

        Args:
            earlier: Recording and what `compare` gave of it, in the order of the decisions.
        """

    def compare(self, record: Record, earlier: Any) -> tuple[Outcome, str | None]:
        """Decide on a record that `run` passed.

        Args:
            record: As `run` gave it.
            earlier: What `begin` gave, with all that was passed since; the method adds what it passes.

        Returns:
            The outcome, and what later recordings are compared with; None to be forgotten.
        """


@dataclass(frozen=True)
class Waiting:
    """A record that was passed by a worker and waits for its turn."""

    job: Job
    record: Record
    seconds: float


class Comparison:
    """Such a stage in a build under way."""

    def __init__(self, stage: ComparingStage, earlier: Iterable[tuple[str, str]]) -> None:
        self._stage = stage
        self._earlier = stage.begin(earlier)
        self._open: list[int] = []
        self._ended: set[int] = set()
        self._waiting: dict[int, Waiting] = {}

    def begin(self, place: int) -> None:
        """A recording is under way; places come in ascending order."""
        heapq.heappush(self._open, place)

    def arrive(self, place: int, waiting: Waiting) -> None:
        """A recording waits for its turn."""
        self._waiting[place] = waiting

    def end(self, place: int) -> None:
        """A recording is through, or ended before."""
        self._ended.add(place)

    def next(self) -> Waiting | None:
        """The recording whose turn it is; None if that is not here yet."""
        while self._open:
            place = self._open[0]
            waiting = self._waiting.pop(place, None)
            if waiting is None and place not in self._ended:
                return None
            heapq.heappop(self._open)
            self._ended.discard(place)
            if waiting is not None:
                return waiting
        return None

    def decide(self, record: Record) -> tuple[Outcome | Problem, str | None]:
        """The outcome of a record, and what is kept of it."""
        try:
            return self._stage.compare(record, self._earlier)
        except Exception as problem:
            return Problem("bug", f"{type(problem).__name__}: {' '.join(str(problem).split())}", False), None


def one_recording(job: Job, outcome: Passed) -> Record | Problem:
    """The one record of a whole recording that can be compared, or what is wrong."""
    record = outcome.records[0] if len(outcome.records) == 1 else None
    if record is None or record.id != record.recording:
        said = "recordings are compared as a whole; put the stage before the one that cuts clips"
        return Problem("bug", said, False)
    return record
