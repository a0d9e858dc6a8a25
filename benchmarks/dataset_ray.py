"""A build on a Ray cluster that loses workers and a whole machine, against the same build undisturbed.

The cluster is a local one: a head without processors and two machines with one each, as processes. Some workers
are killed (SIGKILL) while they work, and at some moment the second machine is lost with its worker; a third takes
its place. Manifest, lists and shards have to be those of an undisturbed build by processes, byte for byte.

    python benchmarks/dataset_ray.py --recordings 8 --kills 4
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.dataset_build import Size, recipe  # noqa: E402
from benchmarks.dataset_material import make_recording  # noqa: E402

from spatialfoley.dataset.factory.config import RaySettings  # noqa: E402
from spatialfoley.dataset.factory.pool import Finished, Task  # noqa: E402
from spatialfoley.dataset.factory.ray_pool import RayPool  # noqa: E402
from spatialfoley.dataset.factory.runner import build  # noqa: E402

LISTS = ("manifest.jsonl", "rejected.jsonl", "failed.jsonl", "funnel.json")
_STORE_BYTES = 80_000_000


class TroubledPool(RayPool):
    """Loses workers and a machine at chosen tasks."""

    def __init__(self, *arguments: Any, kill_at: set[int], lose_at: int, lose: Callable[[], None]) -> None:
        super().__init__(*arguments)
        self.kill_at, self.lose_at, self.lose = kill_at, lose_at, lose
        self.lost: list[Finished] = []

    def submit(self, task: Task) -> None:
        """Give a task to a worker, and see to it that it does not end well."""
        super().submit(task)
        place = self.place_of(task.number)
        if task.number in self.kill_at and place is not None:
            time.sleep(0.02)
            os.kill(place.process, signal.SIGKILL)
        if task.number == self.lose_at:
            self.lose()

    def wait(self, longest_s: float) -> list[Finished]:
        """Ends of tasks; those lost are counted."""
        ends = super().wait(longest_s)
        self.lost += [end for end in ends if end.problem == "lost"]
        return ends


def differing(one: Path, other: Path) -> list[str]:
    """Names of lists and shards that two builds do not have alike."""
    names = {
        *LISTS,
        *(f"shards/{path.name}" for root in (one, other) for path in (root / "shards").iterdir()),
    }
    return sorted(name for name in names if _bytes(one / name) != _bytes(other / name))


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--height-px", type=int, default=320, help="of the panoramas")
    parser.add_argument("--duration-s", type=float, default=16.0, help="of a recording; clips last 8 s")
    parser.add_argument("--kills", type=int, default=4, help="workers killed at random tasks")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed when")
    given = parser.parse_args(arguments)
    size = Size(height_px=given.height_px, view_px=given.height_px // 2, duration_s=given.duration_s)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(given.recordings):
            make_recording(folder / "recordings", seed, size.duration_s, size.height_px)
        plain = recipe(folder / "recordings", folder / "plain", 2, size)
        began_s = time.monotonic()
        build(plain)
        print(f"processes, undisturbed: {time.monotonic() - began_s:.1f} s")
        troubled = recipe(folder / "recordings", folder / "ray", 2, size)
        tasks = given.recordings * len(plain.specs())
        moments = random.Random(given.seed).sample(range(1, tasks + 1), given.kills + 1)
        began_s = time.monotonic()
        lost = disturbed(troubled, set(moments[1:]), moments[0])
        print(f"Ray, {given.kills} workers killed and a machine lost: {time.monotonic() - began_s:.1f} s")
        print(f"tasks lost and done again: {lost}")
        wrong = differing(folder / "plain", folder / "ray")
        print(f"DIFFERENT: {', '.join(wrong)}" if wrong else "lists and shards equal byte for byte")
        sys.exit(1 if wrong or not lost else 0)


def disturbed(config: Any, kill_at: set[int], lose_at: int) -> int:
    """Build with troubles; how many tasks were lost."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False},
    )
    machines = [cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES) for _ in range(2)]

    def lose() -> None:
        cluster.remove_node(machines[1], allow_graceful=False)
        cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES)

    root = Path(config.output)
    root.mkdir()
    try:
        settings = RaySettings(address=cluster.address)
        hands = TroubledPool(2, root, settings, kill_at=kill_at, lose_at=lose_at, lose=lose)
        build(config, executor=hands)
        return len(hands.lost)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
