"""Builds as a whole: complete, the same after any trouble, and honest about what was left out."""

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from spatialfoley.dataset.factory.config import BuildConfig, read_build
from spatialfoley.dataset.factory.runner import build
from spatialfoley.settings import RecipeError, from_mapping

PARTS = "tests.dataset.factory.parts"
ROOT = Path(__file__).resolve().parents[3]


def settings(
    output: Path, count: int = 12, workers: int = 2, limit_s: float = 60.0, **cut: object
) -> dict[str, object]:
    # The limit counts from when a worker is started, which takes seconds where the machine is busy.
    return {
        "output": str(output),
        "source": {"kind": PARTS, "count": count},
        "stages": [{"stage": PARTS, **cut}],
        "shards": {"recordings": 5},
        "splits": {"valid": 0.2, "test": 0.2},
        "retries": {"attempts": 2, "pause_s": 0.01, "stage_limit_s": limit_s},
        "workers": workers,
    }


def config(output: Path, **values: object) -> BuildConfig:
    return from_mapping(BuildConfig, settings(output, **values), "test")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def shard_bytes(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "shards").iterdir())}


def test_a_build_holds_every_clip_once_in_the_split_of_its_recording(tmp_path: Path) -> None:
    report = build(config(tmp_path / "set"))
    manifest = lines(tmp_path / "set" / "manifest.jsonl")
    assert [clip["id"] for clip in manifest] == [f"n-{n:04d}-{s:08d}" for n in range(12) for s in (0, 5000)]
    assert sum(report.clips.values()) == 24
    assert report.recordings == 12
    splits: dict[object, set[object]] = {}
    for clip in manifest:
        splits.setdefault(clip["recording"], set()).add(clip["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert len({split for found in splits.values() for split in found}) > 1
    packed = []
    for path in (tmp_path / "set" / "shards").glob("*.tar"):
        with tarfile.open(path) as tar:
            packed += [name for name in tar.getnames() if name.endswith(".foa.bin")]
    assert sorted(packed) == [f"{clip['id']}.foa.bin" for clip in manifest]
    assert not any((tmp_path / "set" / "work").rglob("*.bin"))


def test_what_is_left_out_is_told_with_its_numbers(tmp_path: Path) -> None:
    report = build(config(tmp_path / "set", reject_every=4, corrupt=[5]))
    assert sum(report.clips.values()) == 2 * (12 - 3 - 1)
    rejected = lines(tmp_path / "set" / "rejected.jsonl")
    assert [line["numbers"] for line in rejected] == [{"number": 0}, {"number": 4}, {"number": 8}]
    assert rejected[1]["sentence"] == "4 is divisible by 4"
    (failed,) = lines(tmp_path / "set" / "failed.jsonl")
    assert (failed["recording"], failed["reason"]) == ("n-0005", "corrupt")
    funnel = json.loads((tmp_path / "set" / "funnel.json").read_text())
    assert funnel["stages"][1] == {
        "stage": PARTS,
        "records": 12,
        "passed": 16,
        "rejected": {"divisible": 3},
        "failed": {"corrupt": 1},
    }


def test_a_worker_that_dies_or_hangs_costs_its_record_only(tmp_path: Path) -> None:
    report = build(config(tmp_path / "set", count=6, limit_s=5.0, crash=[1], hang=[3]))
    assert sum(report.clips.values()) == 8
    failed = {line["recording"]: line for line in lines(tmp_path / "set" / "failed.jsonl")}
    assert failed["n-0001"]["reason"] == "crash"
    assert "exit code 7" in str(failed["n-0001"]["sentence"])
    assert failed["n-0003"]["reason"] == "time"


def test_workers_that_cannot_begin_are_not_the_recordings_fault(tmp_path: Path) -> None:
    file = tmp_path / "build.yaml"
    file.write_text(yaml.safe_dump(settings(tmp_path / "set", count=2)))
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from pathlib import Path\n"
        "from spatialfoley.dataset.factory.config import read_build\n"
        "from spatialfoley.dataset.factory.runner import build\n"
        f"build(read_build(Path({str(file)!r})))\n"
    )
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "worker processes end before they begin (exit code 1); a script has to build under" in ended.stderr


def test_a_network_that_comes_back_brings_what_was_missing(tmp_path: Path) -> None:
    there = tmp_path / "mended"
    first = build(config(tmp_path / "set", network=[2, 7], mends_when=str(there)))
    assert sum(first.clips.values()) == 20
    assert [line["reason"] for line in lines(tmp_path / "set" / "failed.jsonl")] == ["network", "network"]
    there.touch()
    build(config(tmp_path / "set", network=[2, 7], mends_when=str(there)))
    build(config(tmp_path / "plain"))
    assert (tmp_path / "set/manifest.jsonl").read_bytes() == (tmp_path / "plain/manifest.jsonl").read_bytes()
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")


def test_failures_that_stay_are_tried_again_only_when_asked_to(tmp_path: Path) -> None:
    build(config(tmp_path / "set", count=3, corrupt=[1]))
    state = (tmp_path / "set" / "manifest.jsonl").read_bytes()
    build(config(tmp_path / "set", count=3, corrupt=[1]))
    assert (tmp_path / "set" / "manifest.jsonl").read_bytes() == state
    report = build(config(tmp_path / "set", count=3, corrupt=[1]), retry=["corrupt"])
    assert report.failed == 1


def test_other_settings_of_a_stage_do_it_again(tmp_path: Path) -> None:
    build(config(tmp_path / "set", count=6))
    report = build(config(tmp_path / "set", count=6, reject_every=2))
    assert sum(report.clips.values()) == 6
    build(config(tmp_path / "plain", count=6, reject_every=2))
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")


def test_a_source_that_grew_keeps_what_was_built(tmp_path: Path) -> None:
    build(config(tmp_path / "set", count=7))
    before = shard_bytes(tmp_path / "set")
    build(config(tmp_path / "set", count=12))
    build(config(tmp_path / "plain", count=12))
    after = shard_bytes(tmp_path / "set")
    assert after == shard_bytes(tmp_path / "plain")
    assert {name: data for name, data in after.items() if "00000" in name} == {
        name: data for name, data in before.items() if "00000" in name
    }


def test_a_source_of_another_kind_is_refused(tmp_path: Path) -> None:
    build(config(tmp_path / "set", count=2))
    world = {"kind": "world", "recordings": 1}
    other = from_mapping(BuildConfig, {**settings(tmp_path / "set"), "source": world}, "test")
    with pytest.raises(
        ValueError, match=f"holds recordings of source '{PARTS}', not 'world'; build into another"
    ):
        build(other)


def test_a_limit_on_disk_that_no_shard_can_meet_is_said(tmp_path: Path) -> None:
    tight = from_mapping(BuildConfig, {**settings(tmp_path / "set"), "max_work_gb": 1e-9}, "test")
    with pytest.raises(ValueError, match=r"max_work_gb is 1e-09; raise it or lower shards\.recordings"):
        build(tight)


def test_one_build_at_a_time(tmp_path: Path) -> None:
    process = start(tmp_path, tmp_path / "set", pause_s=0.2)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "set" / "work").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(ValueError, match=f"is being built by process {process.pid}; wait for it"):
            build(config(tmp_path / "set"))
    finally:
        process.kill()
        process.wait()


def start(folder: Path, output: Path, **cut: object) -> "subprocess.Popen[bytes]":
    file = folder / "build.yaml"
    file.write_text(yaml.safe_dump(settings(output, **cut)))
    program = (
        "import sys; from pathlib import Path; from spatialfoley.dataset.factory.config import read_build; "
        "from spatialfoley.dataset.factory.runner import build; build(read_build(Path(sys.argv[1])))"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(file)], cwd=ROOT, start_new_session=True)


def test_killed_at_any_moment_a_build_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """`kill -9` of the whole build, workers included, at moments drawn at random, until it gets through."""
    moments = random.Random(4)
    cut = {"pause_s": 0.03, "reject_every": 5}
    kills = int(os.environ.get("SPATIALFOLEY_KILLS", "4"))
    for _ in range(kills):
        process = start(tmp_path, tmp_path / "set", **cut)
        time.sleep(moments.uniform(0.25, 1.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    build(read_build(tmp_path / "build.yaml"))
    build(config(tmp_path / "plain", **cut))
    for name in ("manifest.jsonl", "rejected.jsonl", "failed.jsonl", "funnel.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert shard_bytes(tmp_path / "set") == shard_bytes(tmp_path / "plain")
    assert not [path for path in (tmp_path / "set").rglob("*") if "partial" in path.name]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"workers": 0}, "workers is 0; it must be at least 1"),
        ({"source": {"path": "x"}}, "source has no kind"),
        ({"source": {"kind": "nowhere"}}, "source is 'nowhere'; known are"),
        ({"stages": [{"name": "x"}]}, "stage 1 of the list has no key 'stage'"),
        ({"stages": [{"stage": PARTS, "colour": "red"}]}, "unknown key colour; known keys are pause_s"),
        ({"splits": {"valid": 0.6, "test": 0.5}}, "valid is 0.6 and test 0.5; give shares"),
        ({"shard": {}}, "unknown key shard"),
    ],
)
def test_a_config_that_cannot_be_is_refused_before_anything_is_done(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises((RecipeError, ValueError), match=sentence.replace("(", r"\(")):
        from_mapping(BuildConfig, {**settings(tmp_path / "set"), **change}, "test")
    assert not (tmp_path / "set").exists()
