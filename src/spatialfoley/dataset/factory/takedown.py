"""Take recordings or clips out of a data set for good, at the wish of those whose they are.

What is taken down is written down first (``takedown.jsonl``) and done then, so that a takedown that is killed is
finished by the next one, or by the next build. Shards are rewritten from themselves: no other file of the build is
needed, and no other clip changes. Builds leave out what the file names, whatever their source says.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.card import CARD_FILE, write_card
from spatialfoley.dataset.factory.index import write_index
from spatialfoley.dataset.factory.lists import (
    FAILED_FILE,
    FUNNEL_FILE,
    MANIFEST_FILE,
    REJECTED_FILE,
    read_manifest,
)
from spatialfoley.dataset.factory.lock import build_lock
from spatialfoley.dataset.factory.reader import read_tar
from spatialfoley.dataset.factory.shard_list import ListedShard, read_shard_list, write_shard_list
from spatialfoley.dataset.factory.shards import FOLDER, write_members
from spatialfoley.dataset.factory.state import STATE_FILE, BuildState, ShardRow
from spatialfoley.dataset.factory.takedown_files import clear_files
from spatialfoley.dataset.factory.taken_down import TakenDown, add_taken_down, read_taken_down
from spatialfoley.media.atomic import atomic_path

UNFINISHED_FILE = ".takedown.unfinished"
"""Beside the lists while they are being rewritten."""

_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class TakedownReport:
    """What a takedown did.

    Attributes:
        recordings: Recordings of the request that were taken down.
        clips: Single clips of the request.
        removed: Clips that left the shards.
        shards: Shards that were rewritten or removed.
    """

    recordings: int
    clips: int
    removed: int
    shards: int


def take_down(
    root: Path,
    ids: Iterable[str],
    reason: str = "",
    day: str | None = None,
    progress: Callable[[str, float], None] = lambda label, fraction: None,
) -> TakedownReport:
    """Take recordings, with all their clips, or single clips out of a built set.

    Args:
        root: The build folder; its work files and its state may be missing.
        ids: Of recordings or clips; a recording that was rejected may be named too.
        reason: Why; kept beside the id.
        day: As 2026-01-31; None for today.
        progress: Told what is done and the fraction done.

    Raises:
        ValueError: An id is unknown, and nothing was changed; or a build runs in the folder.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        raise ValueError(
            "no id is given; give ids of recordings or clips, as licences.csv or the manifest has them"
        )
    with build_lock(root):
        state = BuildState(root / STATE_FILE) if (root / STATE_FILE).is_file() else None
        try:
            kinds = _kinds(root, state, wanted)
            today = day or date.today().isoformat()
            add_taken_down(root, (TakenDown(today, name, kinds[name], reason) for name in wanted))
            removed, shards = apply_takedown(root, state, progress)
        finally:
            if state is not None:
                state.close()
    counts = Counter(kinds.values())
    return TakedownReport(counts["recording"], counts["clip"], removed, shards)


def apply_takedown(
    root: Path,
    state: BuildState | None,
    progress: Callable[[str, float], None] = lambda label, fraction: None,
) -> tuple[int, int]:
    """Do what ``takedown.jsonl`` says and was not done yet.

    Args:
        root: The build folder, held by the caller.
        state: Of the build, where there is one.
        progress: Told what is done and the fraction done.

    Returns:
        Clips and shards that were changed.
    """
    gone = read_taken_down(root)
    if not gone:
        return 0, 0
    names = set(gone)
    dropped: dict[str, set[str]] = defaultdict(set)
    if (root / MANIFEST_FILE).is_file():
        for line in read_manifest(root):
            if line["id"] in gone or line["recording"] in gone:
                dropped[line["shard"]].add(line["id"])
                names.add(line["id"])
    if state is not None:
        names |= _withdraw(state, gone.values())
    if dropped:
        rows = []
        for number, row in enumerate(read_shard_list(root)):
            if row.shard in dropped:
                rows += _rewritten(root, row, dropped[row.shard])
                progress(row.shard, (number + 1) / (number + 1 + len(dropped)))
            else:
                rows.append(row)
        if state is not None:
            state.keep_shards(_state_row(state, row) for row in rows)
        write_shard_list(root, rows)
    clear_files(root, names, dropped)
    mark = root / UNFINISHED_FILE
    if dropped:
        mark.touch()
        # The manifest comes last of the lists: as long as it speaks of a clip, a takedown is not finished.
        _filter(root / REJECTED_FILE, names)
        _filter(root / FAILED_FILE, names)
        _rewrite_funnel(root, rows, len(gone))
        _filter(root / MANIFEST_FILE, names)
    if mark.exists():
        # Index and card are made of the manifest: killed behind it, a takedown has only these left to do.
        write_index(root)
        if (root / CARD_FILE).is_file():
            write_card(root)
        mark.unlink()
    return sum(map(len, dropped.values())), len(dropped)


def _kinds(root: Path, state: BuildState | None, wanted: list[str]) -> dict[str, str]:
    """Whether ids are those of recordings or of clips."""
    asked = set(wanted)
    kinds = {name: row.kind for name, row in read_taken_down(root).items() if name in asked}
    if (root / MANIFEST_FILE).is_file():
        for line in read_manifest(root):
            if line["recording"] in asked:
                kinds[line["recording"]] = "recording"
            if line["id"] in asked:
                kinds.setdefault(line["id"], "clip")
    for name in asked:
        if state is not None and state.place_of(name) is not None:
            kinds[name] = "recording"
    unknown = [name for name in wanted if name not in kinds]
    if unknown:
        named = ", ".join(unknown[:_NAMED_IN_ERRORS]) + (", ..." if len(unknown) > _NAMED_IN_ERRORS else "")
        raise ValueError(
            f"{root} has no recording and no clip {named}; nothing was changed: give ids as the manifest has them"
        )
    return kinds


def _withdraw(state: BuildState, gone: Iterable[TakenDown]) -> set[str]:
    """Withdraw what the state still has; ids of all records that were made of it."""
    names: set[str] = set()
    before = set(state.withdrawn())
    for row in gone:
        if row.kind == "clip":
            state.withdraw_clip(row.id)
        elif row.id not in before and state.place_of(row.id) is not None:
            results = state.results_of(row.id)
            names |= {result.record for result in results}
            names |= {made.id for result in results for made in result.records}
            state.withdraw(row.id)
    return names


def _rewritten(root: Path, row: ListedShard, dropped: set[str]) -> list[ListedShard]:
    """A shard without some clips; none where no clip is left."""
    path = root / FOLDER / row.shard
    if not path.is_file():
        return []  # Removed by a takedown that was killed.
    with tarfile.open(path) as tar:
        clips = {name.removesuffix(".json") for name in tar.getnames() if name.partition(".")[2] == "json"}
    left = len(clips - dropped)
    if not left:
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
        return []
    with closing(_kept_members(path, dropped)) as members:
        whole, size = write_members(path, members, left)
    return [replace(row, clips=left, size=size, sha256=whole)]


def _kept_members(path: Path, dropped: set[str]) -> Generator[tuple[str, bytes], None, None]:
    with path.open("rb") as file:
        for name, _, content in read_tar(file):
            if name.partition(".")[0] not in dropped:
                yield name, content


def _state_row(state: BuildState, row: ListedShard) -> ShardRow:
    """A shard as the state keeps it."""
    known = state.shard(row.number, row.split)
    same = known is not None and known.sha256 == row.sha256
    # What a rewritten shard would be packed of is not known here: it is packed anew should its group be opened.
    content = known.content if same and known is not None else ""
    return ShardRow(row.number, row.split, content, f"{FOLDER}/{row.shard}", row.sha256, row.size, row.clips)


def _filter(path: Path, names: set[str]) -> None:
    """Leave lines of records and recordings out of a list."""
    if not path.is_file():
        return
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8") as out,
        path.open(encoding="utf-8") as lines,
    ):
        for line in lines:
            said: dict[str, Any] = json.loads(line)
            if said["id"] not in names and said["recording"] not in names:
                out.write(line)


def _rewrite_funnel(root: Path, rows: Iterable[ListedShard], gone: int) -> None:
    """Clips as they are now; the counts of the stages stay those of the build."""
    path = root / FUNNEL_FILE
    if not path.is_file():
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    clips: Counter[str] = Counter()
    for row in rows:
        clips[row.split] += row.clips
    document |= {"taken_down": gone, "clips": dict(sorted(clips.items()))}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
