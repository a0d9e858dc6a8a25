"""Worker processes that may crash or hang without harm to the rest.

Each worker has a pipe of its own, so that it is known which task a dead or late one had; it is replaced by a new
one. Workers end by themselves when the coordinator is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from spatialfoley.media.container import DECODE_THREADS

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    DECODE_THREADS: os.environ.get(DECODE_THREADS) or "1",
}
"""Of every worker, set before torch is imported: one thread each, and none that waits by spinning.

Picture decoders too, unless the environment of the build says another number: few workers on many cores are done
sooner with more.
"""


@dataclass(frozen=True)
class Task:
    """A function of a module and its arguments, to be called in a worker.

    Attributes:
        number: By which its end is reported.
        function: Has to be importable by name.
        arguments: Have to be picklable.
        limit_s: Seconds after which it is stopped.
    """

    number: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    limit_s: float


@dataclass(frozen=True)
class Finished:
    """The end of a task.

    Attributes:
        number: Of the task.
        value: What the function gave; None after a problem.
        problem: "crash" when the worker died, "time" when it took too long, "bug" when the function raised, "lost"
            when the worker is gone and that may be the fault of its machine.
        sentence: Says more.
        seconds: How long it took.
    """

    number: int
    value: Any
    problem: Literal["crash", "time", "bug", "lost"] | None
    sentence: str
    seconds: float


class Executor(Protocol):
    """Something that calls functions elsewhere: processes of this machine, or of many."""

    def free(self) -> int:
        """Tasks that can be taken now."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def wait(self, longest_s: float) -> list[Finished]:
        """Tasks that ended, as soon as there is one; none after `longest_s`."""

    def close(self) -> None:
        """Stop everything."""


_READY = "ready"


class WorkerPool:
    """Processes of this machine."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; it must be at least 1")
        self._context = multiprocessing.get_context("spawn")
        self._workers = [self._start() for _ in range(workers)]

    def free(self) -> int:
        """Workers without a task."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Give a task to a free worker.

        Raises:
            ValueError: There is none.
        """
        for place, worker in enumerate(self._workers):
            if worker.task is None:
                if not worker.process.is_alive():
                    worker = self._workers[place] = self._start()
                worker.give(task)
                return
        raise ValueError("no worker is free; ask free() before")

    def wait(self, longest_s: float) -> list[Finished]:
        """Tasks that ended; workers that died or took too long are replaced.

        Raises:
            ValueError: A worker died before it could take a task: so would all others.
        """
        busy = [(place, worker) for place, worker in enumerate(self._workers) if worker.task is not None]
        until = min([longest_s, *(worker.left_s() for _, worker in busy)])
        if not busy:
            time.sleep(max(0.0, longest_s))
            return []
        wait([worker.pipe for _, worker in busy], timeout=max(0.0, until))
        finished = []
        for place, worker in busy:
            end = worker.look()
            if end is not None:
                finished.append(end)
                if end.problem in ("crash", "time"):
                    self._workers[place] = self._start()
        return finished

    def close(self) -> None:
        """End all workers, finished or not."""
        for worker in self._workers:
            worker.stop()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        # Children inherit the environment; torch reads it when it is imported.
        before = {name: os.environ.get(name) for name in ENVIRONMENT}
        os.environ.update(ENVIRONMENT)
        try:
            process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()
        return _Worker(process, ours)


class _Worker:
    """A process, its pipe and the task that it has."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.task: Task | None = None
        self._began_s = 0.0
        self._ready = False

    def give(self, task: Task) -> None:
        self.pipe.send(task)
        self.task, self._began_s = task, time.monotonic()

    def left_s(self) -> float:
        """Seconds until its task has taken too long."""
        assert self.task is not None
        return self._began_s + self.task.limit_s - time.monotonic()

    def look(self) -> Finished | None:
        """The end of its task, if it has come."""
        task = self.task
        assert task is not None
        seconds = time.monotonic() - self._began_s
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if message == _READY:
                    self._ready = True
                    continue
                value, sentence = message
                self.task = None
                return Finished(task.number, value, "bug" if sentence else None, sentence, seconds)
        except (EOFError, OSError):
            self.process.join(10)
            code = self.process.exitcode
            cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            self.stop()
            if not self._ready:
                # Otherwise every record would be blamed for it, one after the other.
                raise ValueError(
                    f"worker processes end before they begin ({cause}); a script has to build under "
                    "if __name__ == '__main__':"
                ) from None
            return Finished(task.number, None, "crash", f"its process died with {cause}", seconds)
        if seconds < task.limit_s:
            return None
        self.stop()
        return Finished(
            task.number, None, "time", f"it took more than {task.limit_s:g} s and was stopped", seconds
        )

    def stop(self) -> None:
        self.task = None
        self.pipe.close()
        self.process.kill()
        self.process.join(10)


def _serve(pipe: Connection) -> None:
    """Do what comes through the pipe until it is closed."""
    # An interrupt is the coordinator's matter: it stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(_READY)
    while True:
        try:
            task: Task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (task.function(*task.arguments), "")
        except BaseException as problem:
            # Whatever a task raises is its result: the worker goes on with the next.
            answer = (None, f"{type(problem).__name__}: {problem}")
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return
