"""Reading a built set: every clip as it was packed, in orders that processes share and runs resume."""

import hashlib
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from torch.utils.data import DataLoader

from spatialfoley.dataset.factory.index import INDEX_FILE, read_index
from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.dataset.factory.reader import BuiltSet, read_member, read_members, read_tar
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.shards import FOLDER

from .test_runner import config


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty recordings, sixty clips, six shard numbers."""
    root = tmp_path_factory.mktemp("built") / "set"
    build(config(root, count=30))
    return root


def test_members_are_where_the_list_says(built: Path) -> None:
    for path in (built / FOLDER).glob("*.tar"):
        with tarfile.open(path) as tar:
            inside = {info.name: (info.offset_data, info.size) for info in tar}
        told = {
            member.name: (member.offset, member.size)
            for members in read_members(path).values()
            for member in members.values()
        }
        assert told == inside
        for members in read_members(path).values():
            for member in members.values():
                assert hashlib.sha256(read_member(path, member)).hexdigest() == member.sha256


def test_every_clip_is_read_as_the_manifest_says(built: Path) -> None:
    clips = {clip.id: clip for clip in map(BuiltSet(built).__getitem__, range(60))}
    for line in read_manifest(built):
        clip = clips.pop(line["id"])
        assert clip.record.facts == line["facts"]
        assert hashlib.sha256(clip.read("foa")).hexdigest() == line["files"]["foa"]["sha256"]
        assert clip.shard.name == line["shard"]
    assert not clips
    only = BuiltSet(built, "valid")
    assert {row.split for row in only.shards} == {"valid"}
    assert len(only) < 60


def test_a_pipe_gives_the_same_members(built: Path) -> None:
    path = next((built / FOLDER).glob("*.tar"))
    told = [member for members in read_members(path).values() for member in members.values()]
    found = list(read_tar(io.BytesIO(path.read_bytes())))
    assert [(name, offset, len(content)) for name, offset, content in found] == [
        (member.name, member.offset, member.size) for member in told
    ]
    with pytest.raises(ValueError, match="the tar"):
        list(read_tar(io.BytesIO(path.read_bytes()[:1700])))


@pytest.mark.parametrize("window", [1, 3, 100])
def test_an_epoch_holds_every_clip_once(built: Path, window: int) -> None:
    dataset = BuiltSet(built)
    orders = [[clip.id for clip in dataset.stream(seed=3, epoch=epoch, window=window)] for epoch in range(2)]
    plain = [clip.id for clip in dataset.stream()]
    assert all(sorted(order) == sorted(plain) for order in orders)
    assert len(set(plain)) == 60
    assert orders[0] != orders[1] != plain
    assert orders[0] == [clip.id for clip in dataset.stream(seed=3, epoch=0, window=window)]
    assert orders[0] != [clip.id for clip in dataset.stream(seed=4, epoch=0, window=window)]


@pytest.mark.parametrize("consumers", [1, 2, 7])
def test_processes_share_an_epoch_evenly(built: Path, consumers: int) -> None:
    dataset = BuiltSet(built)
    parts = [
        [clip.id for clip in dataset.stream(seed=1, consumer=consumer, consumers=consumers)]
        for consumer in range(consumers)
    ]
    assert {len(part) for part in parts} == {60 // consumers}
    taken = [clip for part in parts for clip in part]
    assert len(set(taken)) == len(taken)


def test_a_run_goes_on_where_it_stopped_with_other_processes(built: Path) -> None:
    dataset = BuiltSet(built)
    whole = [clip.id for clip in dataset.stream(seed=1)]
    parts = [[clip.id for clip in dataset.stream(1, consumer=c, consumers=4)] for c in range(4)]
    before = [part[step] for step in range(5) for part in parts]
    after = [[clip.id for clip in dataset.stream(1, consumer=c, consumers=2, position=20)] for c in range(2)]
    assert before + [part[step] for step in range(20) for part in after] == whole


def test_torch_loads_it_as_it_is(built: Path) -> None:
    dataset = BuiltSet(built)
    loader: DataLoader = DataLoader(dataset, batch_size=8, shuffle=True, num_workers=2, collate_fn=_ids)  # type: ignore[arg-type]
    assert sorted(clip for batch in loader for clip in batch) == sorted(clip.id for clip in dataset.stream())


def _ids(clips: list) -> list[str]:
    return [clip.id for clip in clips]


def test_memory_does_not_grow_with_the_set(built: Path) -> None:
    dataset = BuiltSet(built)
    tracemalloc.start()
    for _ in dataset.stream(seed=0):
        pass
    once = tracemalloc.get_traced_memory()[1]
    for epoch in range(5):
        for _ in dataset.stream(seed=0, epoch=epoch):
            pass
    assert tracemalloc.get_traced_memory()[1] < 1.1 * once
    tracemalloc.stop()


def test_the_index_tells_the_same_as_the_manifest(built: Path) -> None:
    rows = list(read_index(built))
    assert [row["id"] for row in rows] == [line["id"] for line in read_manifest(built)]
    row = rows[7]
    with (built / FOLDER / row["shard"]).open("rb") as file:
        for member in row["members"]:
            file.seek(member["offset"])
            assert hashlib.sha256(file.read(member["size"])).hexdigest() == member["sha256"]
    assert {member["role"] for member in row["members"]} == {"", "foa"}
    assert json.loads(row["facts"])["number"] == 3
    table = pq.read_table(built / INDEX_FILE, filters=[("start_s", ">", 1.0), ("licence", "=", "CC0-1.0")])
    assert table.num_rows == 30


def test_without_pyarrow_there_is_no_index_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(config(tmp_path / "set", count=2))
    assert (tmp_path / "set" / INDEX_FILE).is_file()
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    report = build(config(tmp_path / "set", count=3))
    assert "index.parquet was not written: it needs pyarrow" in report.note
    assert not (tmp_path / "set" / INDEX_FILE).exists()
    assert len(BuiltSet(tmp_path / "set")) == 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"consumer": 2, "consumers": 2}, "consumer is 2 of 2; it must be from 0 to 1"),
        ({"position": 61}, "position is 61; the set has 60 clips"),
        ({"window": 0}, "window is 0; it must be at least 1"),
    ],
)
def test_impossible_orders_are_refused(built: Path, arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        next(BuiltSet(built).stream(**arguments))


def test_what_is_no_built_set_is_said(tmp_path: Path, built: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds no shards\.jsonl; build it with 'spatialfoley dataset build"
    ):
        BuiltSet(tmp_path)
    with pytest.raises(ValueError, match="holds no clip of split 'spare'"):
        BuiltSet(built, "spare")
    with pytest.raises(ValueError, match="has no file 'view'; it has foa"):
        BuiltSet(built)[0].read("view")
