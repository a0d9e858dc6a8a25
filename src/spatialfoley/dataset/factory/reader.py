"""A built data set as training sees it: every clip by its number, or all of them in an order that a seed draws.

A clip is found by the places of its members, which lie beside each shard: nothing is unpacked, and only what is
asked for is read. `BuiltSet` keeps a few shards' lists in memory, however many there are.

The order of `BuiltSet.stream` is one order for all processes together. Process c of C takes the places p + c,
p + c + C, ..., so that a run that stopped after p clips goes on with any number of processes. `ClipStream` in
clip_stream.py does so for the workers of torch's loaders.
"""

from __future__ import annotations

import json
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.shard_list import SHARD_LIST_FILE, ListedShard, read_shard_list
from spatialfoley.dataset.factory.shards import FOLDER
from spatialfoley.dataset.factory.stage import seed_of

_SHARDS_IN_MEMORY = 8


@dataclass(frozen=True)
class Member:
    """A file inside a shard.

    Attributes:
        name: ``<clip id>.<role>.<suffix>``, or ``<clip id>.json``.
        offset: Of its first byte in the tar.
        size: Bytes.
        sha256: Of its bytes.
    """

    name: str
    offset: int
    size: int
    sha256: str

    @property
    def clip(self) -> str:
        """Id of its clip."""
        return self.name.partition(".")[0]

    @property
    def role(self) -> str:
        """Its role; empty for the record."""
        rest = self.name.partition(".")[2]
        return "" if rest == "json" else rest.partition(".")[0]


@dataclass(frozen=True)
class Clip:
    """A clip of a shard.

    Attributes:
        record: What is known of it; paths of its files are names of members.
        shard: The tar.
        members: Its files by role.
    """

    record: Record
    shard: Path
    members: dict[str, Member]

    @property
    def id(self) -> str:
        """Id of the clip."""
        return self.record.id

    def read(self, role: str) -> bytes:
        """Bytes of a file.

        Raises:
            ValueError: The clip has no such file, or the shard was cut off.
        """
        if role not in self.members:
            raise ValueError(
                f"clip {self.id} has no file {role!r}; it has {', '.join(sorted(self.members)) or 'none'}"
            )
        return read_member(self.shard, self.members[role])


class BuiltSet:
    """The clips of a build folder.

    ``len`` and ``[]`` make it a data set that torch's loaders take as it is.

    Args:
        root: The folder.
        split: Only clips of this split; None for all.

    Raises:
        ValueError: The folder holds no finished build, or no clip of the split.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self.root = root
        self.shards = [row for row in read_shard_list(root) if split in (None, row.split)]
        if not self.shards:
            raise ValueError(
                f"{root} holds no clip{f' of split {split!r}' if split else ''}; see {SHARD_LIST_FILE}"
            )
        self._ends = list(accumulate(row.clips for row in self.shards))
        self._listed = lru_cache(maxsize=_SHARDS_IN_MEMORY)(read_members)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, number: int) -> Clip:
        if not 0 <= number < len(self):
            raise IndexError(f"clip {number} is asked for; the set has {len(self)}")
        shard = bisect_right(self._ends, number)
        return self.clip(shard, number - (self._ends[shard] - self.shards[shard].clips))

    def clip(self, shard: int, row: int) -> Clip:
        """The clip of a row of a shard, both counted from 0."""
        path = self.root / FOLDER / self.shards[shard].shard
        members = list(self._listed(path).values())[row]
        record = Record.from_json(read_member(path, members[""]).decode())
        return Clip(record, path, {role: member for role, member in members.items() if role})

    def stream(
        self,
        seed: int | None = None,
        epoch: int = 0,
        consumer: int = 0,
        consumers: int = 1,
        position: int = 0,
        window: int = 4,
        block: int = 1,
        stop: int | None = None,
    ) -> Iterator[Clip]:
        """The clips of one epoch that fall to one of several processes.

        Args:
            seed: Draws the order; None keeps that of the shards.
            epoch: Every epoch has an order of its own.
            consumer: Which process this is, from 0.
            consumers: How many there are: ranks times workers of each.
            position: Clips that all processes together took before.
            window: Shards whose clips are mixed; shards themselves are drawn from all.
            block: Neighbours in the order that a process takes at a time, such as a batch.
            stop: Clips of the order that are given out; None: as many as let all processes have the same number.
        """
        if not 0 <= consumer < consumers:
            raise ValueError(f"consumer is {consumer} of {consumers}; it must be from 0 to {consumers - 1}")
        if not 0 <= position <= len(self):
            raise ValueError(f"position is {position}; the set has {len(self)} clips")
        for name, value in (("window", window), ("block", block)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        alike = consumers * block
        last = position + (len(self) - position) // alike * alike if stop is None else stop
        for place, shard, row in self._order(seed, epoch, window, position):
            if place >= last:
                return
            if (place - position) // block % consumers == consumer:
                yield self.clip(shard, row)

    def _order(
        self, seed: int | None, epoch: int, window: int, position: int
    ) -> Iterator[tuple[int, int, int]]:
        """Place, shard and row of the clips from a place on."""
        order = np.arange(len(self.shards))
        if seed is not None:
            np.random.default_rng(seed_of("order", seed, epoch)).shuffle(order)
        place = 0
        for first in range(0, len(order), window):
            chosen = order[first : first + window]
            clips = [self.shards[shard].clips for shard in chosen]
            if place + sum(clips) <= position:
                place += sum(clips)
                continue
            pairs = np.stack(
                [np.repeat(chosen, clips), np.concatenate([np.arange(n) for n in clips])], axis=1
            )
            if seed is not None:
                np.random.default_rng(seed_of("window", seed, epoch, first)).shuffle(pairs)
            for shard, row in pairs:
                if place >= position:
                    yield place, int(shard), int(row)
                place += 1


def read_members(shard: Path) -> dict[str, dict[str, Member]]:
    """The files of every clip of a shard by role, in the shard's order; the record has the role "".

    Raises:
        ValueError: The list beside the shard is missing or damaged.
    """
    clips: dict[str, dict[str, Member]] = {}
    for name, values in read_side_list(shard)["members"].items():
        member = Member(name, values["offset"], values["size"], values["sha256"])
        clips.setdefault(member.clip, {})[member.role] = member
    return clips


def read_side_list(shard: Path) -> dict[str, Any]:
    """What lies beside a shard.

    Raises:
        ValueError: It is missing or damaged.
    """
    path = shard.with_suffix(".json")
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document["members"], dict):
            return document
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; restore it, or build the set again") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path} is no list of a shard; restore it, or build the set again")


def read_member(shard: Path, member: Member) -> bytes:
    """Bytes of a member.

    Raises:
        ValueError: The shard ends before it.
    """
    with shard.open("rb") as file:
        file.seek(member.offset)
        content = file.read(member.size)
    if len(content) != member.size:
        raise ValueError(f"{shard} ends inside {member.name}; restore it, or build the set again")
    return content


class Readable(Protocol):
    """Bytes from the beginning on, without going back: a file, a pipe, an answer of a server."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; none at the end."""


def read_tar(file: Readable) -> Iterator[tuple[str, int, bytes]]:
    """Name, place and content of all members of a tar that is read from its beginning, such as a pipe.

    Raises:
        ValueError: It is damaged or cut off.
    """
    try:
        with tarfile.open(fileobj=cast(IO[bytes], file), mode="r|") as tar:
            for info in tar:
                opened = tar.extractfile(info)
                content = b"" if opened is None else opened.read()
                if len(content) != info.size:
                    raise ValueError(f"the tar ends inside {info.name}")
                yield info.name, info.offset_data, content
    except tarfile.TarError as problem:
        raise ValueError(f"the tar cannot be read ({problem})") from None


def shard_path(root: Path, row: ListedShard) -> Path:
    """Where a shard lies."""
    return root / FOLDER / row.shard
