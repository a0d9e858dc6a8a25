"""Workers of a Ray cluster: the same results as processes of this machine, whoever of them is lost on the way.

The last test ends the cluster of this file.
"""

import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from spatialfoley.dataset.factory.config import RaySettings, read_build
from spatialfoley.dataset.factory.pool import ENVIRONMENT, Finished, Task
from spatialfoley.dataset.factory.ray_pool import RayPool, _Servant, check_address
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.state import STATE_FILE
from spatialfoley.dataset.factory.work import run_stage
from spatialfoley.settings import RecipeError, from_mapping
from tests.dataset.factory.test_runner import config, lines, settings, shard_bytes

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None,
    reason="ray is not installed: pip install 'spatialfoley[ray]'",
)


class Troubled(RayPool):
    """Kills the worker that cuts a certain recording, while it does so for the first time."""

    victim = ""

    def submit(self, task: Task) -> None:
        super().submit(task)
        if self.victim and task.function is run_stage and task.arguments[1].startswith("01-"):
            if self.victim not in task.arguments[2]:
                return
            self.victim = ""
            time.sleep(0.05)
            place = self.place_of(task.number)
            assert place is not None
            os.kill(place.process, signal.SIGKILL)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    witness = tmp_path_factory.mktemp("ray") / "state"
    witness.touch()
    made = Troubled(2, witness, RaySettings(cpus_per_worker=0.9))  # leaves room for a third
    yield made
    made.close()


def ends(pool: RayPool, count: int) -> dict[int, Finished]:
    """The next `count` tasks that end."""
    found: dict[int, Finished] = {}
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        found |= {end.number: end for end in pool.wait(1.0)}
    return found


def give(pool: RayPool, number: int, function: Callable[..., Any], *arguments: object) -> None:
    deadline = time.monotonic() + 60
    while not pool.free() and time.monotonic() < deadline:
        time.sleep(0.01)
    pool.submit(Task(number, function, arguments, 1.0))


@needs_ray
def test_a_task_gives_its_value_or_says_what_went_wrong(pool: Troubled) -> None:
    give(pool, 1, os.getenv, "OMP_NUM_THREADS")
    give(pool, 2, int, "seven")
    found = ends(pool, 2)
    assert (found[1].value, found[1].problem) == (ENVIRONMENT["OMP_NUM_THREADS"], None)
    assert (found[2].value, found[2].problem) == (None, "bug")
    assert found[2].sentence.startswith("ValueError: invalid literal for int()")


@needs_ray
def test_workers_that_hang_or_die_are_replaced(pool: Troubled) -> None:
    give(pool, 3, time.sleep, 30)
    give(pool, 4, os._exit, 7)
    found = ends(pool, 2)
    assert (found[3].problem, found[3].sentence) == ("time", "it took more than 1 s and was stopped")
    assert found[4].problem == "lost"
    assert "was lost" in found[4].sentence
    give(pool, 5, len, "four")
    assert ends(pool, 1)[5].value == 4


@needs_ray
def test_a_machine_lost_with_all_its_workers_costs_one_task_at_most(pool: Troubled) -> None:
    give(pool, 6, os.getpid)
    give(pool, 7, os.getpid)
    for end in ends(pool, 2).values():
        os.kill(end.value, signal.SIGKILL)
    give(pool, 8, len, "four")
    assert ends(pool, 1)[8].problem == "lost"
    give(pool, 9, len, "four")
    assert ends(pool, 1)[9].value == 4


@needs_ray
def test_a_machine_that_sees_other_files_is_refused(pool: Troubled, tmp_path: Path) -> None:
    elsewhere = RayPool(1, tmp_path / "not there", RaySettings(cpus_per_worker=0.1))
    try:
        with pytest.raises(ValueError, match=r"does not see .*not there; all machines need it under"):
            ends(elsewhere, 1)
    finally:
        elsewhere.close()


@needs_ray
def test_a_build_that_loses_a_worker_ends_as_one_on_this_machine(pool: Troubled, tmp_path: Path) -> None:
    pool.victim = '"n-0006"'
    cut = {"count": 8, "reject_every": 5, "crash": [3], "pause_s": 0.2}
    report = build(config(tmp_path / "set", **cut), executor=pool)
    assert report.failed == 1
    with sqlite3.connect(tmp_path / "set" / STATE_FILE) as state:
        again = dict(state.execute("SELECT id, attempts FROM results WHERE attempts > 1"))
    assert again == {"n-0003": 2, "n-0006": 2}
    (failed,) = lines(tmp_path / "set" / "failed.jsonl")
    assert (failed["recording"], failed["reason"]) == ("n-0003", "crash")
    build(config(tmp_path / "plain", **cut))
    for name in ("manifest.jsonl", "rejected.jsonl", "funnel.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")


def test_a_cluster_is_asked_for_where_ray_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ValueError, match=r"needs the package ray; install it with pip install 'spatialfoley\[ray"
    ):
        build(from_mapping(type(config(tmp_path)), {**settings(tmp_path / "set"), "executor": "ray"}, "test"))


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        check_address(address)
    with pytest.raises(
        ValueError, match=f"no Ray cluster answers at '{address}' .*; start one with 'ray start'"
    ):
        check_address(address)
    with pytest.raises(ValueError, match=r"ray\.address is 'head'; give 'local', 'auto' or host:port"):
        check_address("head")


def test_the_command_may_choose_the_executor(tmp_path: Path) -> None:
    file = tmp_path / "build.yaml"
    file.write_text(
        "output: out\nsource: {kind: world, recordings: 1}\nstages: []\nray: {address: 'head:6379'}\n"
    )
    assert read_build(file).executor == "processes"
    chosen = read_build(file, executor="ray")
    assert (chosen.executor, chosen.ray.address, chosen.ray.cpus_per_worker) == ("ray", "head:6379", 1.0)
    with pytest.raises(RecipeError, match="executor is 'slurm'; it must be one of processes, ray"):
        read_build(file, executor="slurm")


def test_a_machine_with_another_version_is_refused(tmp_path: Path) -> None:
    place, sentence = _Servant("0.0.0", str(tmp_path), []).begin(str(tmp_path))
    assert place is None
    assert sentence.endswith("of this program and the build is run by 0.0.0; install the same everywhere")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"address": ""}, "ray.address is empty"),
        ({"cpus_per_worker": 0}, "ray.cpus_per_worker is 0"),
        ({"gpus_per_worker": -1}, "ray.gpus_per_worker is -1"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        RaySettings(**values)
