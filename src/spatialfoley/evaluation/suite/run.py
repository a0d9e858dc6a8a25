"""Score systems on held-out clips of the synthetic world, side by side.

Models make a field, two ears or one channel; fields are scored as heard by two ears too, so that all stand in one
table. Every clip is rendered once for all systems. What is scored is kept at once, system by system: an interrupted
run goes on where it stopped, a system that joins later is scored on the clips that are missing, and a clip that
failed is recorded with its reason, counted, and tried again by the next run.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path
from typing import Any

from spatialfoley.evaluation.networks.world_classifier import WorldClassifier, load_world_classifier
from spatialfoley.evaluation.report.writing import write_report
from spatialfoley.evaluation.suite.clip_scores import Scored, score_clip
from spatialfoley.evaluation.suite.distances import SystemScores
from spatialfoley.evaluation.suite.exhibits import make_exhibits
from spatialfoley.evaluation.suite.figures import SuiteResult, summarise
from spatialfoley.evaluation.suite.records import Record, SystemRecords, claim_folder
from spatialfoley.evaluation.suite.report import suite_report, write_figures
from spatialfoley.evaluation.suite.settings import WorldSuiteSettings
from spatialfoley.evaluation.suite.systems import System, check_systems

Build = Callable[[], Sequence[System]]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class SuiteRun:
    """A finished run.

    Attributes:
        result: The figures.
        records: Of all clips by system.
    """

    result: SuiteResult
    records: dict[str, Sequence[Record]]


_SCORES_VERSION = 4
"""Which scores a record holds: folders of other ones are not gone on with."""

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_world_suite(
    systems: Sequence[System],
    settings: WorldSuiteSettings,
    folder: Path,
    classifier: WorldClassifier | None = None,
    progress: Progress | None = None,
    jobs: int = 1,
    build: Build | None = None,
) -> SuiteRun:
    """Let every system make every clip, score, and sum up.

    Args:
        systems: What is scored; the truth is among them, and what others build on comes before these.
        settings: Which clips.
        folder: Where the records go, see `records`, and `figures.json`.
        classifier: Knows the classes of the world; None: the one in the package.
        progress: Called with a label and the fraction done.
        jobs: Processes; each takes clips and computes with one thread.
        build: Makes the same systems in another process; a function of a module, or a partial of one. Needed for
            several jobs, which take the classifier of the package.

    Raises:
        ValueError: The folder holds clips of other settings, systems cannot be told apart, or jobs is below 1 or
            cannot be had.
    """
    check_systems(systems)
    if jobs < 1 or (jobs > 1 and (build is None or classifier is not None)):
        raise ValueError(f"jobs is {jobs}; give 1, or more with a way to build the systems and no classifier")
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"scores": _SCORES_VERSION, **asdict(settings)}
    # The number of clips may grow from run to run; anything else would mix different figures.
    del identity["clips"]
    claim_folder(folder, identity)
    kept = {system.name: SystemRecords(folder / "systems", system.name, system.label) for system in systems}
    tasks = [
        _Task(index, names)
        for index in range(settings.clips)
        if (names := tuple(name for name, records in kept.items() if not records.is_done(index)))
    ]
    done = settings.clips - len(tasks)
    with _workers(systems, settings, classifier, min(jobs, len(tasks)), build) as scored:
        for index, found in scored(tasks):
            for name, record, embeddings in found:
                kept[name].add(record, embeddings)
            done += 1
            if progress:
                progress(f"clip {index + 1} of {settings.clips}", done / settings.clips)
    scores = [_scores_of(kept[system.name], system, settings) for system in systems]
    result = summarise(scores, asdict(settings))
    write_figures(result, folder)
    return SuiteRun(result, {system.name: system.records for system in scores})


def write_world_report(
    run: SuiteRun,
    systems: Sequence[System],
    settings: WorldSuiteSettings,
    folder: Path,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write the report of a run with the worst and best clips of its systems, whose sound is made once more.

    Args:
        run: What `run_world_suite` returned.
        systems: The same systems.
        settings: The same settings.
        folder: Where the files go.
        provenance: What else is to be told: versions, command, machine.

    Returns:
        Path by name of the file.
    """
    exhibits = make_exhibits(systems, run.records, settings)
    return write_report(suite_report(run.result, run.records, exhibits, provenance), folder)


def _scores_of(records: SystemRecords, system: System, settings: WorldSuiteSettings) -> SystemScores:
    documents = [records.records[index] for index in range(settings.clips)]
    heard = {
        record["index"]: records.embeddings(record["index"]) for record in documents if not record["error"]
    }
    return SystemScores(system.name, system.info, documents, heard)


@dataclass(frozen=True)
class _Task:
    """A clip and the systems that miss it."""

    index: int
    wanted: tuple[str, ...]


_ClipScores = tuple[int, Iterator[Scored] | list[Scored]]


@contextmanager
def _workers(
    systems: Sequence[System],
    settings: WorldSuiteSettings,
    classifier: WorldClassifier | None,
    jobs: int,
    build: Build | None,
) -> Iterator[Callable[[list[_Task]], Iterator[_ClipScores]]]:
    """Something that scores tasks: this process, or several others that build the systems for themselves."""
    if jobs <= 1 or build is None:
        listener = classifier or load_world_classifier()

        def here(tasks: list[_Task]) -> Iterator[_ClipScores]:
            for task in tasks:
                yield task.index, score_clip(task.index, settings, systems, task.wanted, listener)

        yield here
        return
    before = {name: environ.get(name) for name in _THREAD_LIMITS}
    environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        # Not forked: a fork of a process whose libraries have threads may hang.
        with multiprocessing.get_context("spawn").Pool(jobs, _start_worker, (build, settings)) as pool:
            yield lambda tasks: pool.imap_unordered(_work, tasks)
    finally:
        for name, value in before.items():
            environ.pop(name) if value is None else environ.update({name: value})


_worker: dict[str, Any] = {}
"""What a worker process has built for all of its clips."""


def _start_worker(build: Build, settings: WorldSuiteSettings) -> None:
    import torch

    torch.set_num_threads(1)
    _worker.update(systems=build(), settings=settings, classifier=load_world_classifier())


def _work(task: _Task) -> _ClipScores:
    scored = score_clip(
        task.index, _worker["settings"], _worker["systems"], task.wanted, _worker["classifier"]
    )
    return task.index, list(scored)
