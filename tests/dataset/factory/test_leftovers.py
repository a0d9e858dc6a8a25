"""What killed workers leave is cleared away by the build, whether they die in it or died in the one before."""

from pathlib import Path

from spatialfoley.dataset.factory.pool import Task, WorkerPool
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.work import run_stage
from tests.dataset.factory.test_runner import config


class Litter(WorkerPool):
    """Leaves half a shard behind while the build is under way, as a worker that is killed while it packs."""

    def submit(self, task: Task) -> None:
        super().submit(task)
        if task.function is not run_stage:
            shards = Path(task.arguments[0]) / "shards"
            shards.mkdir(exist_ok=True)
            (shards / ".train-00000.0123.partial.tar").touch()


def test_nothing_half_made_is_left_in_a_finished_build(tmp_path: Path) -> None:
    before = tmp_path / "set" / "work" / ".scene.partial"
    before.mkdir(parents=True)
    (before / "panorama.mp4").touch()
    report = build(config(tmp_path / "set", count=2), executor=Litter(2))
    assert sum(report.clips.values()) == 4
    assert not [path for path in (tmp_path / "set").rglob("*") if "partial" in path.name]
