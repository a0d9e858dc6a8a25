"""What workers do: one stage on one record, every way of failing turned into a value."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spatialfoley.dataset.factory.config import StageSpec
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    Passed,
    Rejected,
    Stage,
    TransientProblem,
    Workspace,
)
from spatialfoley.media.errors import MediaError

_PROBE_LINES = 12


@dataclass(frozen=True)
class Problem:
    """A stage that could not be done.

    Attributes:
        kind: What for: "network", "corrupt", "bug", ...
        sentence: For people.
        transient: Whether another attempt may succeed.
    """

    kind: str
    sentence: str
    transient: bool


def run_stage(spec: StageSpec, folder: str, line: str, root: str) -> Passed | Rejected | Problem:
    """One stage on one record.

    Args:
        spec: The stage.
        folder: Name of the stage's folder.
        line: The record as JSON.
        root: The build folder.
    """
    record = Record.from_json(line)
    try:
        outcome = _loaded(_frozen(spec)).run(record, Workspace(Path(root), folder))
    except TransientProblem as problem:
        return Problem(problem.kind, _sentence(problem), True)
    except ItemProblem as problem:
        return Problem(problem.kind, _sentence(problem), False)
    except MediaError as problem:
        return Problem("corrupt", _sentence(problem), False)
    except MemoryError as problem:
        return Problem("memory", _sentence(problem) or "out of memory", True)
    except OSError as problem:
        # A full or failing disk is the machine's fault, not the record's.
        return Problem("disk", _sentence(problem), True)
    except Exception as problem:
        where = "".join(traceback.format_exception(problem)[-_PROBE_LINES:])
        return Problem("bug", f"{type(problem).__name__}: {_sentence(problem)}; {where}", False)
    return _checked(outcome, record)


def _checked(outcome: object, record: Record) -> Passed | Rejected | Problem:
    if isinstance(outcome, Rejected):
        return outcome
    if not isinstance(outcome, Passed):
        return Problem(
            "bug", f"the stage gave a {type(outcome).__name__}, neither Passed nor Rejected", False
        )
    strangers = [made.id for made in outcome.records if made.recording != record.recording]
    if strangers:
        return Problem("bug", f"the stage gave records of another recording: {', '.join(strangers)}", False)
    return outcome


@lru_cache(maxsize=64)
def _loaded(key: tuple[str, str]) -> Stage:
    """A stage is made once per worker: it may hold a network."""
    return StageSpec(key[0], json.loads(key[1])).load()


def _frozen(spec: StageSpec) -> tuple[str, str]:
    return spec.name, json.dumps(dict(spec.settings), sort_keys=True)


def _sentence(problem: BaseException) -> str:
    return " ".join(str(problem).split())
