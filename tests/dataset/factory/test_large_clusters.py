"""Builds with more workers than the recordings of a few shards."""

import time
from pathlib import Path

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.pool import Finished, Task
from spatialfoley.dataset.factory.runner import build
from spatialfoley.settings import from_mapping
from tests.dataset.factory.test_runner import settings


class Here:
    """Does the tasks in this process, as many at a time as it is told, and counts how many it was given at once."""

    def __init__(self, workers: int) -> None:
        self.workers, self.most = workers, 0
        self.given: list[Task] = []

    def free(self) -> int:
        return self.workers - len(self.given)

    def submit(self, task: Task) -> None:
        self.given.append(task)
        self.most = max(self.most, len(self.given))

    def wait(self, longest_s: float) -> list[Finished]:
        given, self.given = self.given, []
        began_s = time.monotonic()
        return [
            Finished(task.number, task.function(*task.arguments), None, "", time.monotonic() - began_s)
            for task in given
        ]

    def close(self) -> None:
        self.given = []


def test_all_workers_have_work_when_shards_are_small(tmp_path: Path) -> None:
    values = {**settings(tmp_path / "set", count=60, workers=20), "shards": {"recordings": 1}}
    hands = Here(20)
    report = build(from_mapping(BuildConfig, values, "test"), executor=hands)
    assert sum(report.clips.values()) == 120
    assert hands.most == 20
