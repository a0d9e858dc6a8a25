"""What a coordinator holds of a build under way: jobs, and the recordings that share shards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.state import ShardRow


@dataclass
class Job:
    """One stage on one record, or the packing of a shard (stage -1)."""

    stage: int
    record: Record | None
    group: int
    attempt: int = 1
    split: str = ""
    lines: tuple[str, ...] = ()


@dataclass
class Group:
    """The recordings of one shard number.

    Attributes:
        number: Of the shard.
        waiting: Recordings that were not begun yet.
        open: Records and shards under way.
        kept: Finished clips.
        recordings: How many recordings it has.
        shards: Its shards so far.
        work: Size of its files by their paths.
        packing: Whether its recordings are finished.
        clean: Whether nothing failed that another run may bring.
    """

    number: int
    waiting: deque[Record]
    recordings: int
    open: int = 0
    kept: list[Record] = field(default_factory=list)
    shards: list[ShardRow] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    packing: bool = False
    clean: bool = True
