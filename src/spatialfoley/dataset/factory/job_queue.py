"""Jobs of a build: those that are ready, those that pause before another attempt, and those that workers have."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator

from spatialfoley.dataset.factory.config import RetrySettings
from spatialfoley.dataset.factory.groups import Job
from spatialfoley.dataset.factory.pool import Executor, Finished, Task

_WAIT_S = 1.0


class JobQueue:
    """Jobs under way. They are handed out in order, as soon as a worker is free.

    Args:
        hands: Who does them.
        task: The task of a job, given its number.
        retries: How long a job pauses.
    """

    def __init__(self, hands: Executor, task: Callable[[int, Job], Task], retries: RetrySettings) -> None:
        self._hands, self._task, self._retries = hands, task, retries
        self._ready: deque[Job] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._running: dict[int, Job] = {}
        self._numbers = 0

    @property
    def active(self) -> int:
        """How many jobs are ready or with workers; those that pause do not count."""
        return len(self._ready) + len(self._running)

    @property
    def idle(self) -> bool:
        """Whether there is no job at all."""
        return not (self._ready or self._running or self._later)

    def __iter__(self) -> Iterator[Job]:
        """All jobs, those that pause among them."""
        yield from self._ready
        yield from self._running.values()
        yield from (job for _, _, job in self._later)

    def add(self, job: Job) -> None:
        """Put a job behind the others."""
        self._ready.append(job)

    def again(self, job: Job) -> bool:
        """Try a job that ended once more, after a pause; False where it had its attempts."""
        if job.attempt >= self._retries.attempts:
            return False
        job.attempt += 1
        due_s = time.monotonic() + self._retries.pause_before(job.attempt)
        heapq.heappush(self._later, (due_s, self._next_number(), job))
        return True

    def start(self) -> None:
        """Hand out what is ready, to the workers that are free."""
        now_s = time.monotonic()
        while self._later and self._later[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._later)[2])
        while self._ready and self._hands.free():
            job, number = self._ready.popleft(), self._next_number()
            self._running[number] = job
            self._hands.submit(self._task(number, job))

    def wait(self) -> Iterator[tuple[Job, Finished]]:
        """Jobs that ended, with their ends; after a while none, and at once where there are no jobs."""
        if not self.idle:
            for end in self._hands.wait(self._pause_s()):
                yield self._running.pop(end.number), end

    def _pause_s(self) -> float:
        """Seconds to wait for workers: not beyond the next attempt of something."""
        if not self._later:
            return _WAIT_S
        return min(_WAIT_S, max(0.0, self._later[0][0] - time.monotonic()))

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers
