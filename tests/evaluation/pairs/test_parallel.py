from functools import partial
from pathlib import Path

import pytest

from spatialfoley.evaluation.pairs.clip_scoring import ClipTask, Record
from spatialfoley.evaluation.pairs.parallel import score_clips
from spatialfoley.spatial.direction import Direction


class Echo:
    """Gives the clip's name back, with the threads that numerical libraries are allowed."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def score(self, task: ClipTask) -> list[Record]:
        import os

        if self.fails:
            os._exit(1)
        return [
            {
                "clip": task.name,
                "threads": os.environ["OMP_NUM_THREADS"],
                "waits": os.environ["OMP_WAIT_POLICY"],
            }
        ]


def tasks(count: int) -> list[ClipTask]:
    return [
        ClipTask(str(index), Path("t.wav"), {"ours": Path("o.wav")}, Direction(0.0)) for index in range(count)
    ]


def test_every_clip_is_scored_once_by_processes_of_one_thread() -> None:
    found = [record for records in score_clips(tasks(40), Echo, jobs=2) for record in records]
    assert sorted(int(record["clip"]) for record in found) == list(range(40))
    assert {(record["threads"], record["waits"]) for record in found} == {("1", "passive")}


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(ValueError, match="a scoring process ended by itself, most likely for lack of memory"):
        list(score_clips(tasks(3), partial(Echo, fails=True), jobs=2))
