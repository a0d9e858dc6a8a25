"""Groups follow from places alone, and only what is not written as it should be is written."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.groups import Group
from spatialfoley.dataset.factory.packing import Packing, files_inside
from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.shards import write_shard
from spatialfoley.dataset.factory.state import STATE_FILE, BuildState
from spatialfoley.settings import from_mapping
from tests.dataset.factory.test_runner import settings

CHAIN = "all stages"


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    return from_mapping(
        BuildConfig, {**settings(tmp_path, count=12), "splits": {"valid": 0, "test": 0}}, "test"
    )


@pytest.fixture
def state(config: BuildConfig, tmp_path: Path) -> Iterator[BuildState]:
    state = BuildState(tmp_path / STATE_FILE)
    state.add_recordings(config.load_source().records())
    yield state
    state.close()


def finished(group: Group, root: Path) -> Group:
    """All recordings of a group, each with a file."""
    for record in group.waiting:
        (root / "work").mkdir(exist_ok=True)
        (root / f"work/{record.id}.foa.bin").write_bytes(b"field")
        field = FileRef(f"work/{record.id}.foa.bin", hashlib.sha256(b"field").hexdigest(), 5)
        group.kept.append(record.with_(files={"foa": field}))
    return replace(group, waiting=type(group.waiting)())


def written(packing: Packing, group: Group, root: Path) -> list[str]:
    """Do the jobs of a group; gives their splits."""
    jobs = list(packing.begin(group))
    group.shards += [write_shard(str(root), job.group, job.split, job.lines) for job in jobs]
    return [job.split for job in jobs]


def test_a_place_that_became_empty_moves_no_recording(
    config: BuildConfig, state: BuildState, tmp_path: Path
) -> None:
    packing = Packing(config, tmp_path, state, CHAIN)
    assert [(group.number, group.recordings) for group in packing.pending()] == [(0, 5), (1, 5), (2, 2)]
    state.withdraw("n-0001")
    names = [[record.id for record in group.waiting] for group in packing.pending()]
    assert names[0] == ["n-0000", "n-0002", "n-0003", "n-0004"]
    assert names[1][0] == "n-0005"


def test_a_closed_group_is_done_until_it_is_opened_or_the_stages_change(
    config: BuildConfig, state: BuildState, tmp_path: Path
) -> None:
    packing = Packing(config, tmp_path, state, CHAIN)
    group = finished(packing.pending()[1], tmp_path)
    assert written(packing, group, tmp_path) == ["train"]
    packing.close(group)
    assert [group.number for group in packing.pending()] == [0, 2]
    assert [group.number for group in Packing(config, tmp_path, state, "others").pending()] == [0, 1, 2]
    packing.open_again("n-0006")
    assert [group.number for group in packing.pending()] == [0, 1, 2]


def test_only_a_shard_that_is_missing_or_other_is_written(
    config: BuildConfig, state: BuildState, tmp_path: Path
) -> None:
    packing = Packing(config, tmp_path, state, CHAIN)
    group = finished(packing.pending()[2], tmp_path)
    assert written(packing, group, tmp_path) == ["train"]
    group.clean = False  # stays open, and its files too
    packing.close(group)
    again = replace(group, shards=[], clean=True)
    assert written(packing, again, tmp_path) == []
    assert again.shards == group.shards
    fewer = replace(group, shards=[], kept=group.kept[:1])
    assert written(packing, fewer, tmp_path) == ["train"]
    nothing = replace(group, shards=[], kept=[])
    assert written(packing, nothing, tmp_path) == []
    packing.close(nothing)
    assert not list((tmp_path / "shards").iterdir()), "a shard without clips is deleted"


def test_files_outside_the_build_are_not_its_own() -> None:
    inside, outside = FileRef("work/a.wav", "0" * 64, 1), FileRef("/home/a.wav", "0" * 64, 1)
    assert files_inside(Record("a", "a", files={"foa": inside, "sound": outside})) == [inside]


def test_what_killed_workers_left_is_cleared(config: BuildConfig, state: BuildState, tmp_path: Path) -> None:
    folder = tmp_path / "work" / "00-fetch"
    folder.mkdir(parents=True)
    (folder / ".abc.partial.txt").touch()
    (folder / ".def.partial").mkdir()
    (folder / "kept.txt").touch()
    packing = Packing(config, tmp_path, state, CHAIN)
    packing.clear_partial_files()
    assert [path.name for path in folder.iterdir()] == ["kept.txt"]
