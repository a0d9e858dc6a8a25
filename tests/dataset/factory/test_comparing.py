"""Stages that compare recordings: the first one is kept, whoever finishes first and however often it is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from spatialfoley.dataset.factory.config import BuildConfig, read_build
from spatialfoley.dataset.factory.runner import build
from spatialfoley.settings import from_mapping
from tests.dataset.factory.test_runner import PARTS, ROOT, lines, settings, shard_bytes

COMPARING = "tests.dataset.factory.comparing_parts"


def with_comparison(output: Path, cut_first: bool = False, **values: object) -> dict[str, object]:
    stages = [{"stage": COMPARING, **values}, {"stage": PARTS, "reject_every": 4}]
    return {**settings(output, count=14), "stages": stages[::-1] if cut_first else stages}


def config(output: Path, cut_first: bool = False, **values: object) -> BuildConfig:
    return from_mapping(BuildConfig, with_comparison(output, cut_first, **values), "test")


def test_the_first_of_its_kind_is_kept_whoever_is_ready_first(tmp_path: Path) -> None:
    report = build(config(tmp_path / "slow", pause_s=0.03))
    rejected = lines(tmp_path / "slow" / "rejected.jsonl")
    again = [line for line in rejected if line["reason"] == "again"]
    assert [line["id"] for line in again] == [f"n-{n:04d}" for n in range(5, 14)]
    assert (again[4]["sentence"], again[4]["numbers"]) == ("n-0004 leaves 4 too", {"remainder": 4.0})
    assert sum(report.clips.values()) == 2 * 3
    build(config(tmp_path / "fast"))
    assert (tmp_path / "fast/rejected.jsonl").read_bytes() == (tmp_path / "slow/rejected.jsonl").read_bytes()
    assert shard_bytes(tmp_path / "fast") == shard_bytes(tmp_path / "slow")


def test_a_source_that_grew_is_compared_with_what_was_built(tmp_path: Path) -> None:
    few = {**with_comparison(tmp_path / "set"), "source": {"kind": PARTS, "count": 3}}
    build(from_mapping(BuildConfig, few, "test"))
    build(config(tmp_path / "set"))
    build(config(tmp_path / "plain"))
    for name in ("manifest.jsonl", "rejected.jsonl"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")


def test_what_a_failure_kept_out_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    report = build(config(tmp_path / "set", network=[1]))
    assert report.failed == 1
    assert [line["id"] for line in lines(tmp_path / "set" / "rejected.jsonl")][:2] == ["n-0000", "n-0004"]
    kept = {line["recording"] for line in lines(tmp_path / "set" / "manifest.jsonl")}
    assert kept == {"n-0002", "n-0003", "n-0006"}


def test_clips_cannot_be_compared(tmp_path: Path) -> None:
    build(config(tmp_path / "set", cut_first=True))
    failed = lines(tmp_path / "set" / "failed.jsonl")
    assert len(failed) == 2 * (14 - 4)
    assert failed[0]["reason"] == "bug"
    assert "put the stage before the one that cuts clips" in str(failed[0]["sentence"])


def test_killed_at_any_moment_the_same_recordings_are_kept(tmp_path: Path) -> None:
    moments = random.Random(5)
    file = tmp_path / "build.yaml"
    file.write_text(yaml.safe_dump(with_comparison(tmp_path / "set", pause_s=0.05)))
    program = (
        "import sys; from pathlib import Path; from spatialfoley.dataset.factory.config import read_build; "
        "from spatialfoley.dataset.factory.runner import build; build(read_build(Path(sys.argv[1])))"
    )
    for _ in range(int(os.environ.get("SPATIALFOLEY_KILLS", "2"))):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(file)], cwd=ROOT, start_new_session=True
        )
        time.sleep(moments.uniform(0.4, 1.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    build(read_build(file))
    build(config(tmp_path / "plain", pause_s=0.05))
    for name in ("manifest.jsonl", "rejected.jsonl", "funnel.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")
