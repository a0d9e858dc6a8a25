"""Clips by many processes, each with one thread of its own.

Scoring one clip is a chain of small arrays: threads inside it wait for each other, clips beside each other do
not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread

from spatialfoley.evaluation.pairs.clip_scoring import ClipScorer, ClipTask, Record

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Idle OpenMP threads must sleep, not spin, beside other processes.
    "OMP_WAIT_POLICY": "passive",
}
_AHEAD = 4
"""Clips that wait for each process, so that none is idle and a stop is quick."""

_worker: ClipScorer | None = None


def score_clips(
    tasks: Sequence[ClipTask], make_scorer: Callable[[], ClipScorer], jobs: int
) -> Iterator[list[Record]]:
    """Yield the records of each clip, as they are ready.

    Args:
        tasks: The clips.
        make_scorer: Makes what scores them; must be picklable when there are several jobs, as each process
            makes its own.
        jobs: Processes, from 1; 1 works in this one.

    Raises:
        ValueError: `jobs` is less than 1, or a process died.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; give 1 process or more")
    if jobs == 1 or len(tasks) < 2:
        scorer = make_scorer()
        yield from (scorer.score(task) for task in tasks)
        return
    # The environment counts when a process starts, which the pool may do until its last clip.
    with (
        _environment(_ONE_THREAD),
        ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn"), _start, (make_scorer,)) as pool,
    ):
        waiting = iter(tasks)
        running = {pool.submit(_score, task) for task in islice(waiting, jobs * _AHEAD)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                    if (task := next(waiting, None)) is not None:
                        running.add(pool.submit(_score, task))
        except BrokenProcessPool as problem:
            raise ValueError(
                "a scoring process ended by itself, most likely for lack of memory; run again with fewer "
                "--jobs, it goes on where it stopped"
            ) from problem
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(make_scorer: Callable[[], ClipScorer]) -> None:
    global _worker
    # Who started the processes decides when they end: interruptions are for it alone, and its end is ours.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _worker = make_scorer()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _score(task: ClipTask) -> list[Record]:
    if _worker is None:
        raise RuntimeError("the process has no scorer")
    return _worker.score(task)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
