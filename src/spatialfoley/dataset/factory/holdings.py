"""What a built set holds, counted in one pass over its manifest: for its card and its statistics."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.media.atomic import atomic_path

LICENCES_FILE = "licences.csv"
_COLUMNS = ("id", "recording", "source", "url", "title", "channel", "licence")
_OPEN = re.compile(
    r"cc0|cc[ -]by|creative commons (attribution|zero)|creativecommon|public domain|\bmit\b|apache|odbl|pddl",
    re.IGNORECASE,
)
_RESTRICTED = re.compile(r"\bn[cd]\b|non-?commercial|no ?derivatives", re.IGNORECASE)


@dataclass
class Share:
    """Part of a set.

    Attributes:
        clips: Number of clips.
        seconds: Their length together.
        recordings: Their recordings.
    """

    clips: int = 0
    seconds: float = 0.0
    recordings: set[str] = field(default_factory=set)

    def add(self, clip: dict[str, Any]) -> None:
        """Count a clip."""
        self.clips += 1
        self.seconds += float(clip["facts"].get("duration_s") or 0.0)
        self.recordings.add(clip["recording"])


@dataclass
class FileKind:
    """Files of one role.

    Attributes:
        suffix: Ending of the name.
        files: How many.
        size: Bytes of all.
    """

    suffix: str
    files: int = 0
    size: int = 0


@dataclass
class Holdings:
    """What a set holds.

    Attributes:
        splits: Shares of the splits.
        licences: By the licence that the source states.
        sources: By kind of source.
        channels: Clips by channel, where known.
        files: Files by role.
        facts: Clips that have a fact, by its name.
        missing_captions: Clips without a caption, by why.
        writers: Clips by who described them or wrote their caption, with its licence.
        missing_durations: Clips whose length is not known.
    """

    splits: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    licences: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    sources: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    channels: Counter[str] = field(default_factory=Counter)
    files: dict[str, FileKind] = field(default_factory=dict)
    facts: Counter[str] = field(default_factory=Counter)
    missing_captions: Counter[str] = field(default_factory=Counter)
    writers: Counter[str] = field(default_factory=Counter)
    missing_durations: int = 0

    @property
    def whole(self) -> Share:
        """The set as a whole."""
        shares = list(self.splits.values())
        recordings = set().union(*(share.recordings for share in shares)) if shares else set()
        return Share(sum(share.clips for share in shares), sum(share.seconds for share in shares), recordings)

    def add(self, clip: dict[str, Any]) -> None:
        """Count a clip of the manifest."""
        facts = clip["facts"]
        self.splits[clip["split"]].add(clip)
        self.licences[licence_of(facts)].add(clip)
        self.sources[str(facts.get("source", "not stated"))].add(clip)
        if facts.get("channel"):
            self.channels[str(facts["channel"])] += 1
        for role, ref in clip["files"].items():
            kind = self.files.setdefault(role, FileKind("".join(Path(ref["path"]).suffixes[-1:])))
            kind.files += 1
            kind.size += ref["size"]
        self.facts.update(facts.keys())
        if "caption_missing" in facts:
            self.missing_captions[str(facts["caption_missing"])] += 1
        for writer in (facts[name] for name in ("description_by", "caption_by") if name in facts):
            self.writers[f"{writer['model']} ({writer['licence']})"] += 1
        self.missing_durations += "duration_s" not in facts


def count_holdings(root: Path) -> Holdings:
    """Count the manifest of a build.

    Raises:
        ValueError: The folder holds no finished build.
    """
    found = Holdings()
    for clip in read_manifest(root):
        found.add(clip)
    return found


def licence_of(facts: dict[str, Any]) -> str:
    """The licence that a source states, or that it states none."""
    return str(facts.get("licence") or "not stated")


def is_open(licence: str) -> bool:
    """Whether a licence, as sources write it, lets everybody pass the material on and change it."""
    return bool(_OPEN.search(licence)) and not _RESTRICTED.search(licence)


def write_licences(root: Path) -> int:
    """Write where every clip comes from and what may be done with it, one row a clip.

    Returns:
        Number of rows.
    """
    rows = 0
    with atomic_path(root / LICENCES_FILE) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for clip in read_manifest(root):
            facts = {**clip["facts"], "licence": licence_of(clip["facts"])}
            row = {**facts, "id": clip["id"], "recording": clip["recording"]}
            writer.writerow([_cell(row.get(name, "")) for name in _COLUMNS])
            rows += 1
    return rows


def _cell(value: object) -> str:
    """A value as a cell; spreadsheets take what begins so for a formula, and titles are other people's words."""
    text = " ".join(str(value).split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
