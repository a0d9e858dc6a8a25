"""What came of a job: the value of a task that ended, and the row that the state keeps of it."""

from __future__ import annotations

from typing import Any

from spatialfoley.dataset.factory.pool import Finished
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Passed, Rejected
from spatialfoley.dataset.factory.state import StageResult
from spatialfoley.dataset.factory.work import Problem


def value_of(end: Finished) -> Any:
    """What a task came to; a lost worker is no fault of the record until it is lost time and again."""
    if end.problem is None:
        return end.value
    if end.problem == "lost":
        return Problem("crash", end.sentence, True)
    return Problem(end.problem, end.sentence, False)


def stage_result(
    stage: int,
    record: Record,
    basis: str,
    value: Passed | Rejected | Problem,
    attempts: int,
    seconds: float,
) -> StageResult:
    """The row of a stage on a record.

    Args:
        stage: Its number.
        record: As it went in.
        basis: Hash of all that the result depends on.
        value: What came of it.
        attempts: Of this run.
        seconds: That the last of them took.
    """
    said: dict[str, Any]
    if isinstance(value, Passed):
        said = {"status": "passed", "records": value.records}
    elif isinstance(value, Rejected):
        said = {
            "status": "rejected",
            "reason": value.reason,
            "sentence": value.sentence,
            "numbers": value.numbers,
        }
    else:
        said = {"status": "failed", "reason": value.kind, "sentence": value.sentence}
    return StageResult(
        stage=stage,
        record=record.id,
        recording=record.recording,
        basis=basis,
        attempts=attempts,
        seconds=seconds,
        **said,
    )
