"""Workers on the machines of a Ray cluster; the same stages, the same state, one coordinator.

What is taken for granted: all machines have this program in the same version, and see the build folder, the
recordings and whatever relative paths of the settings lead to under the same paths (a shared file system). Each
worker says so when it begins. A machine that does not fit ends the build with a sentence; the state is whole and
the next run goes on.

A worker that disappears (its process killed, its machine lost) is replaced by another, wherever the cluster has
room, and its task ends as "lost": no fault of the record at first, so that the build gives it to another worker.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.config import AUTO, LOCAL, RaySettings
from spatialfoley.dataset.factory.pool import ENVIRONMENT, Finished, Task

_OBJECT_STORE_BYTES = 100_000_000  # records are small: files go through the file system
_LONGEST_CALL_S = 10.0
_START_PAUSE_S = 1.0
_LONGEST_START_S = 900.0
_MOST_BAD_STARTS = 5
"""Workers in a row, each for every one that is wanted, that die before they have begun."""


@dataclass(frozen=True)
class Place:
    """Where a worker runs."""

    host: str
    process: int


@dataclass
class _Worker:
    """A Ray actor, what was asked of it last, and where it is once it has begun."""

    actor: Any
    answer: Any
    since_s: float = field(default_factory=time.monotonic)
    place: Place | None = None
    task: Task | None = None


class RayPool:
    """Workers of a Ray cluster.

    Args:
        workers: How many at most; as many run as the cluster has room for.
        witness: A file that every worker has to see, such as the state of the build.
        settings: Where they are.

    Raises:
        ValueError: Ray is not installed, no cluster answers at the address, or `workers` is below 1.
    """

    def __init__(self, workers: int, witness: Path, settings: RaySettings | None = None) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; it must be at least 1")
        self._settings = settings or RaySettings()
        self._ray = _ray()
        self._witness = witness.resolve()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._connect(workers)
        self._actor = self._ray.remote(_Servant).options(
            num_cpus=self._settings.cpus_per_worker,
            num_gpus=self._settings.gpus_per_worker,
            runtime_env={"env_vars": dict(ENVIRONMENT)},
            max_restarts=0,
        )
        self._workers: list[_Worker] = []
        self._last_life_s, self._bad_starts = time.monotonic(), 0
        try:
            self._workers = [self._start() for _ in range(workers)]
        except BaseException:
            self.close()
            raise

    def place_of(self, number: int) -> Place | None:
        """Where a task runs; None when it does not."""
        for worker in self._workers:
            if worker.task is not None and worker.task.number == number:
                return worker.place
        return None

    def free(self) -> int:
        """Workers that have begun and have no task; waits a moment for the first one."""
        begun = any(worker.place is not None for worker in self._workers)
        for number in self._ready(0.0 if begun else _START_PAUSE_S, lambda worker: worker.place is None):
            self._hear(number)
        return sum(worker.place is not None and worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Give a task to a free worker.

        Raises:
            ValueError: There is none.
        """
        for worker in self._workers:
            if worker.place is not None and worker.task is None:
                worker.answer = worker.actor.serve.remote(task.function, task.arguments)
                worker.task, worker.since_s = task, time.monotonic()
                return
        raise ValueError("no worker is free; ask free() before")

    def wait(self, longest_s: float) -> list[Finished]:
        """Tasks that ended; workers that were lost or took too long are replaced.

        Raises:
            ValueError: The cluster gives no worker, or one that does not see what it has to see.
        """
        left_s = [
            worker.since_s + worker.task.limit_s - time.monotonic()
            for worker in self._workers
            if worker.task is not None
        ]
        ready = self._ready(max(0.0, min([longest_s, *left_s])), _owes)
        ends = [self._hear(number) for number in ready]
        ends += [self._check_time(number) for number in range(len(self._workers))]
        self._check_life()
        return [end for end in ends if end is not None]

    def close(self) -> None:
        """End all workers, finished or not, and the cluster where it was started here."""
        for worker in self._workers:
            self._end(worker)
        self._workers = []
        if self._ours:
            self._ray.shutdown()

    def _connect(self, workers: int) -> None:
        check_address(self._settings.address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._settings.address == LOCAL:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            quiet |= {
                "num_cpus": max(1, round(workers * self._settings.cpus_per_worker)),
                "object_store_memory": _OBJECT_STORE_BYTES,
                "include_dashboard": False,
            }
        try:
            self._ray.init(address=self._settings.address, **quiet)
        except (OSError, RuntimeError, ValueError, SystemExit) as problem:  # Ray exits where it cannot join
            raise ValueError(_no_cluster(self._settings.address, problem)) from None

    def _start(self) -> _Worker:
        actor = self._actor.remote(version("spatialfoley"), str(Path.cwd()), list(sys.path))
        return _Worker(actor, actor.begin.remote(str(self._witness)))

    def _ready(self, longest_s: float, wanted: Callable[[_Worker], bool]) -> list[int]:
        """Numbers of those wanted that have something to say, as soon as there is one; none after `longest_s`."""
        waiting = {worker.answer: number for number, worker in enumerate(self._workers) if wanted(worker)}
        if not waiting:
            time.sleep(longest_s)
            return []
        said, _ = self._ray.wait(list(waiting), num_returns=1, timeout=longest_s)
        if said:
            said, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        return [waiting[reference] for reference in said]

    def _hear(self, number: int) -> Finished | None:
        """Take what a worker gave: that it has begun, or the end of its task."""
        worker = self._workers[number]
        task, seconds = worker.task, time.monotonic() - worker.since_s
        try:
            value, sentence = self._ray.get(worker.answer)
        except self._ray.exceptions.RayTaskError as problem:
            # What cannot be sent back, such as a value that does not pickle.
            value, sentence = None, f"{type(problem.cause).__name__}: {problem.cause}"
        except self._ray.exceptions.RayError as problem:
            if task is None or worker.place is None:
                self._count_bad_start(problem)
                self._replace(number)
                return None
            self._replace(number)
            self._ask_idle_ones()
            where = f"its worker on {worker.place.host} (process {worker.place.process}) was lost"
            return Finished(task.number, None, "lost", where, seconds)
        if task is None:
            if sentence:
                raise ValueError(sentence)
            worker.place, self._bad_starts = value, 0
            return None
        worker.task = None
        return Finished(task.number, value, "bug" if sentence else None, sentence, seconds)

    def _check_time(self, number: int) -> Finished | None:
        worker = self._workers[number]
        task = worker.task
        if task is None or time.monotonic() - worker.since_s < task.limit_s:
            return None
        seconds = time.monotonic() - worker.since_s
        self._replace(number)
        sentence = f"it took more than {task.limit_s:g} s and was stopped"
        return Finished(task.number, None, "time", sentence, seconds)

    def _check_life(self) -> None:
        """A cluster without room for a single worker would otherwise be waited for without end."""
        if any(worker.place is not None for worker in self._workers):
            self._last_life_s = time.monotonic()
        elif time.monotonic() - self._last_life_s > _LONGEST_START_S:
            has = self._ray.cluster_resources()
            raise ValueError(
                f"no worker began within {_LONGEST_START_S:g} s: each needs {self._settings.cpus_per_worker:g} CPU "
                f"and {self._settings.gpus_per_worker:g} GPU, and the cluster has {has.get('CPU', 0):g} and "
                f"{has.get('GPU', 0):g}; add machines or lower ray.cpus_per_worker"
            )

    def _count_bad_start(self, problem: BaseException) -> None:
        self._bad_starts += 1
        if self._bad_starts > _MOST_BAD_STARTS * len(self._workers):
            raise ValueError(f"workers die before they have begun; the last one said: {_last_line(problem)}")

    def _ask_idle_ones(self) -> None:
        """Have all that wait for a task say that they are still there: a machine is lost with all its workers."""
        for worker in self._workers:
            if worker.place is not None and worker.task is None:
                worker.place, worker.answer = None, worker.actor.begin.remote(str(self._witness))

    def _replace(self, number: int) -> None:
        self._end(self._workers[number])
        self._workers[number] = self._start()

    def _end(self, worker: _Worker) -> None:
        if self._ray.is_initialized():
            self._ray.kill(worker.actor, no_restart=True)


class _Servant:
    """What runs on the machines of the cluster: one process, one task at a time."""

    def __init__(self, version: str, folder: str, paths: Sequence[str]) -> None:
        self._version, self._folder = version, folder
        # Modules of the user's are found as the coordinator finds them.
        sys.path.extend(path for path in paths if path not in sys.path)

    def begin(self, witness: str) -> tuple[Place | None, str]:
        """Whether this machine fits: where it is, or a sentence that says what is missing."""
        host = socket.gethostname()
        if version("spatialfoley") != self._version:
            return None, (
                f"{host} has version {version('spatialfoley')} of this program and the build is run by "
                f"{self._version}; install the same everywhere"
            )
        for path in (self._folder, witness):
            if not Path(path).exists():
                return None, f"{host} does not see {path}; all machines need it under the same path"
        os.chdir(self._folder)
        return Place(host, os.getpid()), ""

    def serve(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, str]:
        """Call a function; whatever it raises is its result."""
        try:
            return function(*arguments), ""
        except BaseException as problem:
            return None, f"{type(problem).__name__}: {problem}"


def _owes(worker: _Worker) -> bool:
    """Whether a worker has to say something: that it has begun, or how its task ended."""
    return worker.place is None or worker.task is not None


def check_address(address: str) -> None:
    """See whether something listens at the address of a cluster; Ray itself tries for minutes and exits.

    Args:
        address: "local" and "auto" are not looked at.

    Raises:
        ValueError: It is no host and port, or nothing listens there.
    """
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(
            f"ray.address is {address!r}; give 'local', 'auto' or host:port of the cluster's head"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_LONGEST_CALL_S).close()
    except (OSError, OverflowError) as problem:
        raise ValueError(_no_cluster(address, problem)) from None


def _no_cluster(address: str, problem: BaseException) -> str:
    return (
        f"no Ray cluster answers at {address!r} ({_first_line(problem)}); start one with 'ray start', or set "
        "ray.address"
    )


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise ValueError(
            "executor ray needs the package ray; install it with pip install 'spatialfoley[ray]'"
        ) from None
    return ray


def _first_line(problem: BaseException) -> str:
    return _lines(problem)[0]


def _last_line(problem: BaseException) -> str:
    return _lines(problem)[-1]


def _lines(problem: BaseException) -> list[str]:
    return [line.strip() for line in str(problem).splitlines() if line.strip()] or [type(problem).__name__]
