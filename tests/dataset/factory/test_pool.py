"""Worker processes: what they find around them."""

import os
import time
from collections.abc import Iterator

import pytest

from spatialfoley.dataset.factory.pool import ENVIRONMENT, Task, WorkerPool
from spatialfoley.media.container import DECODE_THREADS


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.close()


def test_a_worker_has_one_thread_for_everything(pool: WorkerPool) -> None:
    before = dict(os.environ)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", DECODE_THREADS)
    found = []
    for number, name in enumerate(names):
        pool.submit(Task(number, os.getenv, (name,), 60.0))
        deadline = time.monotonic() + 60
        while not pool.free() and time.monotonic() < deadline:
            found += [end.value for end in pool.wait(1.0)]
    assert found == [ENVIRONMENT[name] for name in names]
    assert found[:2] == ["1", "1"]
    assert dict(os.environ) == before, "only workers have one thread"
