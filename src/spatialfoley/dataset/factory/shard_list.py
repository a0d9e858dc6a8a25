"""All shards of a build with their checksums: the first thing that a reader and a check look at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spatialfoley.dataset.factory.state import ShardRow
from spatialfoley.media.atomic import atomic_path

SHARD_LIST_FILE = "shards.jsonl"


@dataclass(frozen=True)
class ListedShard:
    """A shard of the list.

    Attributes:
        shard: Its file in the folder of shards.
        split: Of all its clips.
        clips: How many.
        size: Bytes.
        sha256: Of the file.
    """

    shard: str
    split: str
    clips: int
    size: int
    sha256: str

    @property
    def number(self) -> int:
        """Number of the shard; those of the three splits share it."""
        return int(self.shard.removesuffix(".tar").rpartition("-")[2])


def listed(row: ShardRow) -> ListedShard:
    """A written shard as the list shows it."""
    return ListedShard(Path(row.file).name, row.split, row.clips, row.size, row.sha256)


def write_shard_list(root: Path, rows: Iterable[ListedShard]) -> None:
    """Write the list, by split and number."""
    ordered = sorted(rows, key=lambda row: (row.split, row.number))
    with atomic_path(root / SHARD_LIST_FILE) as path:
        path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in ordered), encoding="utf-8")


def read_shard_list(root: Path) -> list[ListedShard]:
    """The shards of a build.

    Raises:
        ValueError: The folder holds no finished build, or the list is damaged.
    """
    path = root / SHARD_LIST_FILE
    if not path.is_file():
        raise ValueError(
            f"{root} holds no {SHARD_LIST_FILE}; build it with 'spatialfoley dataset build CONFIG'"
        )
    try:
        return [ListedShard(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError) as problem:
        raise ValueError(
            f"{path} is damaged ({problem}); build the set again, it takes what is there"
        ) from None
