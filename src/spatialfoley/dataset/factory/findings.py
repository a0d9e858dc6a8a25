"""What a check of a built set finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from spatialfoley.dataset.factory.shard_list import ListedShard

Kind = Literal["missing", "extra", "doubled", "changed", "wrong"]


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        where: File, and clip or member inside it.
        kind: What kind of trouble.
        sentence: What was found.
    """

    where: str
    kind: Kind
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.sentence}"


@dataclass
class SeenShard:
    """What was seen in one shard.

    Attributes:
        row: Its line of the list.
        findings: What is wrong.
        records: Hash of the record of every clip, by id.
    """

    row: ListedShard
    findings: list[Finding] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)

    def tells(self, where: str) -> bool:
        """Whether there is a finding of a place already: one line for one trouble."""
        return any(finding.where == where for finding in self.findings)
