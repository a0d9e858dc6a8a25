"""Clips packed for training: tar files in WebDataset's naming, byte for byte the same for the same clips.

A member is named ``<clip id>.<role>.<suffix>``; ``<clip id>.json`` comes first and holds the record, its files
named as the members. Beside every tar lies ``<name>.json`` with checksum, size and place of all members.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.state import ShardRow
from spatialfoley.media.atomic import atomic_path

FOLDER = "shards"


def shard_name(split: str, number: int) -> str:
    """File of a shard, relative to the build folder."""
    return f"{FOLDER}/{split}-{number:05d}.tar"


def content_hash(records: Sequence[Record]) -> str:
    """What a shard of these records would hold."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.to_json().encode() + b"\n")
    return digest.hexdigest()


def packed(record: Record) -> Record:
    """The record with its files named as members of a shard."""
    files = {role: replace(ref, path=member_name(record, role, ref)) for role, ref in record.files.items()}
    return replace(record, files=files)


def member_name(record: Record, role: str, ref: FileRef) -> str:
    """Name of a file inside a shard."""
    return f"{record.id}.{role}{Path(ref.path).suffix}"


def write_shard(root: str, number: int, split: str, lines: Sequence[str]) -> ShardRow:
    """Pack records and check every file on the way.

    Args:
        root: The build folder.
        number: Of the shard.
        split: Of its clips.
        lines: The records as JSON.

    Raises:
        ValueError: A file is not what its record says.
    """
    records = [Record.from_json(line) for line in lines]
    name = shard_name(split, number)
    target = Path(root) / name
    members = (member for record in records for member in _members(Path(root), record))
    whole, size = write_members(target, members, len(records))
    return ShardRow(number, split, content_hash(records), name, whole, size, len(records))


def write_members(target: Path, members: Iterable[tuple[str, bytes]], clips: int) -> tuple[str, int]:
    """Write a tar and what is beside it.

    Args:
        target: The tar.
        members: Name and content of each, in order.
        clips: How many clips they are.

    Returns:
        Checksum and size of the tar.
    """
    written: dict[str, dict[str, str | int]] = {}
    with atomic_path(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            _add(tar, name, content)
            # The content is filled up to whole blocks; where they end, the next member begins.
            blocks = -(-len(content) // tarfile.BLOCKSIZE)
            written[name] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "offset": tar.offset - blocks * tarfile.BLOCKSIZE,
            }
    whole, size = _hash_of(target), target.stat().st_size
    document = {"shard": target.name, "clips": clips, "sha256": whole, "size": size, "members": written}
    with atomic_path(target.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return whole, size


def _members(root: Path, record: Record) -> Iterator[tuple[str, bytes]]:
    yield f"{record.id}.json", (packed(record).to_json() + "\n").encode()
    for role, ref in sorted(record.files.items()):
        content = (root / ref.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise ValueError(f"{ref.path} has other bytes than record {record.id} says; build it again")
        yield member_name(record, role, ref), content


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # Times and owners would make equal shards differ.
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o644, 0
    tar.addfile(info, io.BytesIO(content))


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
