"""What is taken down is gone from everything, nothing else changes, and no build brings it back."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.takedown import take_down
from spatialfoley.dataset.factory.taken_down import TakenDown, read_taken_down
from spatialfoley.dataset.factory.verify import check

from .test_runner import ROOT, config, lines, shard_bytes

LISTS = ("manifest.jsonl", "rejected.jsonl", "failed.jsonl", "shards.jsonl", "funnel.json")
GONE = "n-0003"
CLIP = "n-0006-00005000"


def contents(root: Path) -> dict[str, bytes]:
    dataset = BuiltSet(root)
    return {clip.id: clip.read("foa") for clip in dataset.stream()}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("good") / "set"
    build(config(root, count=12, reject_every=5))
    return root


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "set"))


def mentions(root: Path, name: str) -> list[str]:
    """Files that still hold an id, other than the record of the takedown and the state's list of recordings."""
    return [
        path.name
        for path in root.rglob("*")
        if path.is_file()
        and not path.name.startswith(("takedown", "state.sqlite"))
        and name.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("with_state", [True, False])
def test_a_recording_and_a_clip_are_gone_and_the_rest_stays(copy: Path, with_state: bool) -> None:
    before = contents(copy)
    if not with_state:
        (copy / "state.sqlite").unlink()
    report = take_down(copy, [GONE, CLIP], "asked by its author", day="2026-01-31")
    assert (report.recordings, report.clips, report.removed) == (1, 1, 3)
    after = contents(copy)
    assert before.keys() - after.keys() == {f"{GONE}-00000000", f"{GONE}-00005000", CLIP}
    assert all(before[clip] == sound for clip, sound in after.items())
    assert mentions(copy, GONE) == []
    assert mentions(copy, CLIP) == []
    assert check(copy).findings == []
    assert read_taken_down(copy)[GONE] == TakenDown("2026-01-31", GONE, "recording", "asked by its author")
    assert json.loads((copy / "funnel.json").read_text())["taken_down"] == 2


@pytest.mark.parametrize("with_state", [True, False])
def test_no_build_brings_it_back(copy: Path, with_state: bool) -> None:
    take_down(copy, [GONE, CLIP])
    kept, packed = contents(copy), shard_bytes(copy)
    if not with_state:
        (copy / "state.sqlite").unlink()
    done = (copy / "shards").stat().st_mtime_ns
    build(config(copy, count=12, reject_every=5))
    assert contents(copy) == kept
    assert shard_bytes(copy) == packed
    assert check(copy).findings == []
    if with_state:
        assert (copy / "shards").stat().st_mtime_ns == done, "a takedown must not build a shard anew"
    build(config(copy, count=15, reject_every=5))
    assert {line["recording"] for line in read_manifest(copy)} == {
        f"n-{n:04d}" for n in range(15) if n % 5 and n != 3
    }
    assert CLIP not in contents(copy)


def test_lists_are_those_of_a_build_that_never_had_it(copy: Path) -> None:
    take_down(copy, [GONE, CLIP])
    after = {name: (copy / name).read_bytes() for name in LISTS if name != "funnel.json"}
    build(config(copy, count=12, reject_every=5))
    assert after == {name: (copy / name).read_bytes() for name in after}


def test_a_rejected_recording_is_named_no_more(copy: Path) -> None:
    take_down(copy, ["n-0005", GONE])
    assert [line["id"] for line in lines(copy / "rejected.jsonl")] == ["n-0000", "n-0010"]


def test_a_shard_without_clips_is_removed(copy: Path) -> None:
    shard = next(iter(read_manifest(copy)))["shard"]
    inside = {line["recording"] for line in read_manifest(copy) if line["shard"] == shard}
    take_down(copy, inside)
    assert not (copy / "shards" / shard).exists()
    assert check(copy).findings == []


def test_files_of_stages_go_too(tmp_path: Path) -> None:
    kept = {"shards": {"recordings": 5, "keep_work": True}}
    from spatialfoley.dataset.factory.config import BuildConfig
    from spatialfoley.settings import from_mapping

    from .test_runner import settings

    build(from_mapping(BuildConfig, {**settings(tmp_path / "set", count=6), **kept}, "test"))
    work = tmp_path / "set" / "work"
    names = {path.name for path in work.rglob("*") if path.is_file()}
    take_down(tmp_path / "set", [GONE])
    left = {path.name for path in work.rglob("*") if path.is_file()}
    assert names - left == {
        f"{GONE}.sound.txt",
        f"{GONE}-00000000.foa.bin",
        f"{GONE}-00005000.foa.bin",
    }


def test_features_made_of_it_go_too(copy: Path) -> None:
    """Packs are named after shards and hold several clips; those with other clips only stay."""
    shard = {line["id"]: Path(line["shard"]).stem for line in read_manifest(copy)}
    folder = copy / "features" / "dac" / "0123"
    folder.mkdir(parents=True)
    for number, clip in enumerate((f"{GONE}-00000000", "n-0004-00000000")):
        save_file({f"{clip}/codes": np.zeros(4)}, folder / f"{shard[clip]}.{number:04d}.safetensors")
    (folder / "failed.jsonl").write_text(
        "".join(
            json.dumps({"clip": clip, "kind": "format"}) + "\n"
            for clip in (f"{GONE}-00005000", "n-0004-00005000")
        )
    )
    take_down(copy, [GONE])
    assert [path.name for path in folder.glob("*.safetensors")] == [
        f"{shard['n-0004-00000000']}.0001.safetensors"
    ]
    assert [line["clip"] for line in lines(folder / "failed.jsonl")] == ["n-0004-00005000"]


def test_unknown_ids_change_nothing(copy: Path) -> None:
    before = {
        path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and "lock" not in path.name
    }
    with pytest.raises(ValueError, match=r"has no recording and no clip n-9999; nothing was changed"):
        take_down(copy, [GONE, "n-9999"])
    assert all(path.read_bytes() == data for path, data in before.items() if "state" not in path.name)
    with pytest.raises(ValueError, match="no id is given"):
        take_down(copy, [])


def test_a_damaged_record_of_takedowns_stops_everything(copy: Path) -> None:
    take_down(copy, [GONE])
    (copy / "takedown.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"takedown\.jsonl is damaged .*it says what must not come back"):
        build(config(copy, count=12, reject_every=5))


def test_killed_at_any_moment_a_takedown_is_finished_by_the_next(good: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import spatialfoley.dataset.factory.takedown as t; "
        "print('on', flush=True); t.take_down(Path(sys.argv[1]), sys.argv[2:])"
    )
    whole = Path(shutil.copytree(good, tmp_path / "whole"))
    take_down(whole, [GONE, CLIP], day="2026-01-31")
    for number, pause_s in enumerate((0.0, 0.006, 0.02)):
        root = Path(shutil.copytree(good, tmp_path / str(number)))
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(root), GONE, CLIP], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(pause_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # What is written down is done by the next build; what is not, by the next request.
        if (root / "takedown.jsonl").exists() and number % 2:
            build(config(root, count=12, reject_every=5))
        take_down(root, [GONE, CLIP], day="2026-01-31")
        assert check(root).findings == []
        assert contents(root) == contents(whole)


def test_killed_behind_the_manifest_a_takedown_still_brings_the_index_up_to_date(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(root: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("spatialfoley.dataset.factory.takedown.write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            take_down(copy, [GONE])
    assert check(copy).findings  # the index still speaks of the clips
    take_down(copy, [GONE])
    assert check(copy).findings == []
