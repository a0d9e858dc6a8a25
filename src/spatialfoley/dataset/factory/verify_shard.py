"""One shard beside what is told of it: read once from its beginning to its end, whatever its size."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from spatialfoley.dataset.factory.findings import Finding, Kind, SeenShard
from spatialfoley.dataset.factory.reader import Member, Readable, read_side_list, read_tar
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.shard_list import SHARD_LIST_FILE, ListedShard
from spatialfoley.dataset.factory.shards import FOLDER

_BLOCK = 1 << 20


def check_shard(job: tuple[str, ListedShard]) -> SeenShard:
    """Read one shard from its beginning to its end."""
    root, row = Path(job[0]), job[1]
    path = root / FOLDER / row.shard
    seen = SeenShard(row)
    if not path.is_file():
        seen.findings.append(Finding(row.shard, "missing", f"{SHARD_LIST_FILE} has it, the folder has not"))
        return seen
    told, listed = _told_members(path, seen.findings)
    with path.open("rb") as file:
        hashing = _Hashing(file)
        found = _read_members(hashing, told, seen)
        whole = hashing.finish()
    if listed:
        for name in sorted(told.keys() - found.keys()):
            where = f"{row.shard}/{name}"
            if not seen.tells(where):
                seen.findings.append(Finding(where, "missing", "the list beside the shard has it"))
    if whole != row.sha256 and not seen.findings:
        seen.findings.append(Finding(row.shard, "changed", f"its checksum is not that of {SHARD_LIST_FILE}"))
    if len(seen.records) != row.clips:
        sentence = f"it holds {len(seen.records)} clips and {SHARD_LIST_FILE} says {row.clips}"
        seen.findings.append(Finding(row.shard, "wrong", sentence))
    return seen


def _told_members(path: Path, findings: list[Finding]) -> tuple[dict[str, Member], bool]:
    """Members as the list beside a shard tells them, and whether it could be read."""
    try:
        members = read_side_list(path)["members"]
        return {
            name: Member(name, values["offset"], values["size"], values["sha256"])
            for name, values in members.items()
        }, True
    except (ValueError, KeyError, TypeError):
        side = path.with_suffix(".json")
        kind: Kind = "changed" if side.is_file() else "missing"
        findings.append(Finding(side.name, kind, "the list beside the shard cannot be read"))
        return {}, False


def _read_members(file: Readable, told: dict[str, Member], seen: SeenShard) -> dict[str, tuple[str, int]]:
    """Checksum and size of every member by its name; what a record promises is compared at its end."""
    found: dict[str, tuple[str, int]] = {}
    records: list[Record] = []
    shard = seen.row.shard
    try:
        for name, offset, content in read_tar(file):
            if name in found:
                seen.findings.append(
                    Finding(f"{shard}/{name}", "doubled", "it is in the shard more than once")
                )
            digest = hashlib.sha256(content).hexdigest()
            found[name] = (digest, len(content))
            if told and name not in told:
                sentence = "the list beside the shard has it not"
                seen.findings.append(Finding(f"{shard}/{name}", "extra", sentence))
            elif told and told[name] != Member(name, offset, len(content), digest):
                sentence = "its bytes are not those of the list beside the shard"
                seen.findings.append(Finding(f"{shard}/{name}", "changed", sentence))
            if name.partition(".")[2] == "json":
                records += _record_of(content, f"{shard}/{name}", seen)
    except ValueError as problem:
        seen.findings.append(Finding(shard, "changed", str(problem)))
    promised = {f"{record.id}.json" for record in records}
    for record in records:
        for ref in record.files.values():
            promised.add(ref.path)
            if ref.path not in found:
                seen.findings.append(Finding(f"{shard}/{ref.path}", "missing", "the clip's record has it"))
            elif found[ref.path] != (ref.sha256, ref.size) and not seen.tells(f"{shard}/{ref.path}"):
                sentence = "its bytes are not those of the clip's record"
                seen.findings.append(Finding(f"{shard}/{ref.path}", "changed", sentence))
    for name in found.keys() - promised:
        if not seen.tells(f"{shard}/{name}"):
            seen.findings.append(Finding(f"{shard}/{name}", "extra", "no record of a clip has it"))
    return found


def _record_of(content: bytes, where: str, seen: SeenShard) -> list[Record]:
    try:
        text = content.decode().strip()
        record = Record.from_json(text)
    except (ValueError, KeyError, TypeError):
        if not seen.tells(where):
            seen.findings.append(Finding(where, "changed", "it is no record of a clip"))
        return []
    seen.records[record.id] = hashlib.sha256(text.encode()).hexdigest()
    return [record]


class _Hashing:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self._digest.update(block)
        return block

    def finish(self) -> str:
        """Hash of the whole file, the rest included."""
        while self.read(_BLOCK):
            pass
        return self._digest.hexdigest()
