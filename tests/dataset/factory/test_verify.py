"""A good set has no findings; every single damage is found and said in one line."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from spatialfoley.dataset.factory.index import INDEX_FILE
from spatialfoley.dataset.factory.reader import read_members
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.shards import FOLDER, write_members
from spatialfoley.dataset.factory.takedown import take_down
from spatialfoley.dataset.factory.taken_down import TakenDown, add_taken_down
from spatialfoley.dataset.factory.verify import check

from .test_runner import config, lines


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("good") / "set"
    build(config(root, count=8))
    return root


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copy"))


def shards(root: Path) -> list[Path]:
    return sorted((root / FOLDER).glob("*.tar"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_good_set_has_no_findings(good: Path, workers: int) -> None:
    told: list[float] = []
    report = check(good, workers, lambda label, fraction: told.append(fraction))
    assert report.findings == []
    assert (report.clips, report.shards) == (16, len(shards(good)))
    assert report.size == sum(path.stat().st_size for path in shards(good))
    assert report.index
    assert told == sorted(told)
    assert told[-1] == 1.0


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def a_member_of(shard: Path, role: str) -> tuple[str, int]:
    member = next(iter(read_members(shard).values()))[role]
    return member.name, member.offset


def damage_sound(root: Path) -> list[str]:
    name, offset = a_member_of(shards(root)[0], "foa")
    flip(shards(root)[0], offset + 3)
    return [f"changed: {shards(root)[0].name}/{name}: its bytes are not those of the list beside the shard"]


def damage_record(root: Path) -> list[str]:
    shard = shards(root)[0]
    name, offset = a_member_of(shard, "")
    place = shard.read_bytes().index(b"CC0", offset)
    flip(shard, place)
    return [f"changed: {shard.name}/{name}: its bytes are not those of the list beside the shard"]


def damage_end(root: Path) -> list[str]:
    flip(shards(root)[0], shards(root)[0].stat().st_size - 5)
    return [f"changed: {shards(root)[0].name}: its checksum is not that of shards.jsonl"]


def lose_side_list(root: Path) -> list[str]:
    side = shards(root)[0].with_suffix(".json")
    side.unlink()
    return [f"missing: {side.name}: the list beside the shard cannot be read"]


def repack(shard: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> None:
    """Only the tar: what lies beside it stays."""
    side = shard.with_suffix(".json").read_bytes()
    with tarfile.open(shard) as tar:
        members = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    write_members(shard, change(members), 0)
    shard.with_suffix(".json").write_bytes(side)


def lose_member(root: Path) -> list[str]:
    shard = shards(root)[0]
    last = list(read_members(shard).values())[-1]["foa"].name
    repack(shard, lambda members: [member for member in members if member[0] != last])
    return [f"missing: {shard.name}/{last}: the clip's record has it"]


def add_member(root: Path) -> list[str]:
    shard = shards(root)[0]
    repack(shard, lambda members: [*members, ("spare.foa.bin", b"123")])
    return [f"extra: {shard.name}/spare.foa.bin: the list beside the shard has it not"]


def double_member(root: Path) -> list[str]:
    shard = shards(root)[0]
    repack(shard, lambda members: [*members, members[-1]])
    return [f"doubled: {shard.name}/{a_last(shard)}: it is in the shard more than once"]


def a_last(shard: Path) -> str:
    return list(read_members(shard).values())[-1]["foa"].name


def add_file(root: Path) -> list[str]:
    (root / FOLDER / "notes.txt").write_text("x")
    return ["extra: notes.txt: shards.jsonl has it not"]


def manifest(root: Path, change: Callable[[list[str]], list[str]]) -> list[dict[str, str]]:
    path = root / "manifest.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(change(lines)))
    return [json.loads(line) for line in lines]


def lose_line(root: Path) -> list[str]:
    first = manifest(root, lambda lines: lines[1:])[0]
    return [f"extra: {first['shard']}/{first['id']}: manifest.jsonl has it not"]


def double_line(root: Path) -> list[str]:
    first = manifest(root, lambda lines: [lines[0], *lines])[0]
    return [f"doubled: manifest.jsonl/{first['id']}: it has more than one line"]


def change_line(root: Path) -> list[str]:
    first = manifest(root, lambda lines: [lines[0].replace("CC0-1.0", "CC-BY-4.0"), *lines[1:]])[0]
    return [f"changed: {first['shard']}/{first['id']}: its record is not that of manifest.jsonl"]


def mix_splits(root: Path) -> list[str]:
    def change(lines: list[str]) -> list[str]:
        row = json.loads(lines[1])
        row["split"] = "test" if row["split"] != "test" else "valid"
        return [lines[0], json.dumps(row) + "\n", *lines[2:]]

    second = manifest(root, change)[1]
    return [
        f"wrong: manifest.jsonl/{second['id']}: recording {second['recording']} is in {second['split']} and in"
    ]


def damage_index(root: Path) -> list[str]:
    flip(root / INDEX_FILE, 300)
    return ["changed: index.parquet: "]


def keep_old_index(root: Path) -> list[str]:
    import pyarrow.parquet as pq

    table = pq.read_table(root / INDEX_FILE)
    pq.write_table(table.slice(1), root / INDEX_FILE)
    return [f"missing: index.parquet/{table['id'][0].as_py()}: manifest.jsonl has it"]


def lose_funnel(root: Path) -> list[str]:
    (root / "funnel.json").unlink()
    return ["missing: funnel.json: a finished build has it"]


@pytest.mark.parametrize(
    "damage",
    [
        damage_sound,
        damage_record,
        damage_end,
        lose_side_list,
        lose_member,
        add_member,
        double_member,
        add_file,
        lose_line,
        double_line,
        change_line,
        mix_splits,
        damage_index,
        keep_old_index,
        lose_funnel,
    ],
)
def test_every_damage_is_said(copy: Path, damage: Callable[[Path], list[str]]) -> None:
    expected = damage(copy)
    said = [str(finding) for finding in check(copy).findings]
    for start in expected:
        assert any(line.startswith(start) for line in said), said


@pytest.mark.parametrize(
    "damage", [damage_sound, damage_record, damage_end, add_file, damage_index, lose_funnel]
)
def test_one_damage_is_one_line(copy: Path, damage: Callable[[Path], list[str]]) -> None:
    damage(copy)
    assert len(check(copy).findings) == 1


def test_a_lost_shard_is_one_line(copy: Path) -> None:
    lost = shards(copy)[0]
    lost.unlink()
    (finding,) = check(copy).findings
    assert str(finding) == f"missing: {lost.name}: shards.jsonl has it, the folder has not"


def test_a_shard_cut_off_is_found(copy: Path) -> None:
    shard = shards(copy)[0]
    shard.write_bytes(shard.read_bytes()[:3000])
    assert any(finding.where.startswith(shard.name) for finding in check(copy).findings)


def test_what_was_taken_down_must_not_be_there(copy: Path) -> None:
    first = lines(copy / "manifest.jsonl")[0]
    add_taken_down(copy, [TakenDown("2026-01-31", str(first["recording"]), "recording", "")])
    said = [str(finding) for finding in check(copy).findings]
    assert f"extra: manifest.jsonl/{first['id']}: it was taken down" in said
    take_down(copy, [str(first["recording"])])
    assert check(copy).findings == []


def test_no_folder_of_a_build_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no shards\.jsonl; build it with"):
        check(tmp_path)
    with pytest.raises(ValueError, match="workers is 0; it must be at least 1"):
        check(tmp_path, workers=0)
