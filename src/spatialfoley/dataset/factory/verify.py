"""Is a built set whole? Every shard, member, checksum, line of the manifest and row of the index is looked at.

All is compared with all: the list of shards, the list beside each shard, what is inside, the manifest, the index
and the list of what was taken down. Each thing that is missing, extra, doubled or changed is one finding.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from spatialfoley.dataset.factory.findings import Finding, SeenShard
from spatialfoley.dataset.factory.index import INDEX_FILE
from spatialfoley.dataset.factory.lists import MANIFEST_FILE
from spatialfoley.dataset.factory.shard_list import SHARD_LIST_FILE, ListedShard, read_shard_list
from spatialfoley.dataset.factory.shards import FOLDER
from spatialfoley.dataset.factory.verify_lists import check_index, read_lines
from spatialfoley.dataset.factory.verify_shard import check_shard


@dataclass
class CheckReport:
    """What a check saw.

    Attributes:
        findings: All troubles, by place; none in a good set.
        shards: Shards that were read.
        clips: Clips in them.
        size: Bytes that were read.
        index: Whether there is an index that could be read.
    """

    findings: list[Finding] = field(default_factory=list)
    shards: int = 0
    clips: int = 0
    size: int = 0
    index: bool = False


def check(
    root: Path, workers: int = 1, progress: Callable[[str, float], None] = lambda label, fraction: None
) -> CheckReport:
    """Look at everything in a built set.

    Args:
        root: The build folder.
        workers: Processes that read shards.
        progress: Told what is done and the fraction done.

    Raises:
        ValueError: The folder holds no finished build.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    rows = read_shard_list(root)
    lines, findings = read_lines(root, rows)
    report = CheckReport(findings=findings)
    total = max(1, sum(row.size for row in rows))
    where_of: dict[str, str] = {}
    for seen in _all_shards(root, rows, workers):
        report.findings += seen.findings + _against_manifest(seen, lines.pop(seen.row.shard, {}))
        for clip in seen.records:
            if clip in where_of:
                report.findings.append(_doubled(clip, seen.row.shard, where_of[clip]))
            where_of[clip] = seen.row.shard
        report.shards += 1
        report.clips += len(seen.records)
        report.size += seen.row.size
        progress(f"{report.shards}/{len(rows)} shards", report.size / total)
    report.findings += _strangers(root, rows)
    if (root / INDEX_FILE).is_file():
        index_findings = check_index(root)
        report.index = True
        report.findings += index_findings
    report.findings.sort()
    return report


def _all_shards(root: Path, rows: list[ListedShard], workers: int) -> Iterator[SeenShard]:
    jobs = [(str(root), row) for row in rows]
    with ExitStack() as stack:
        seen: Iterable[SeenShard] = map(check_shard, jobs)
        if workers > 1 and len(jobs) > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))))
            seen = pool.imap_unordered(check_shard, jobs)
        yield from seen


def _against_manifest(seen: SeenShard, lines: dict[str, str]) -> list[Finding]:
    """Clips of a shard beside the lines that speak of it."""
    shard = seen.row.shard
    missing = sorted(lines.keys() - seen.records.keys())
    if missing and not (seen.records or any(finding.kind != "missing" for finding in seen.findings)):
        return []  # The whole shard is missing, which one line says.
    found = [
        Finding(f"{shard}/{clip}", "missing", f"{MANIFEST_FILE} has it, the shard has not")
        for clip in missing
        if not seen.tells(f"{shard}/{clip}.json")
    ]
    for clip, digest in seen.records.items():
        if clip not in lines:
            found.append(Finding(f"{shard}/{clip}", "extra", f"{MANIFEST_FILE} has it not"))
        elif lines[clip] != digest and not seen.tells(f"{shard}/{clip}.json"):
            sentence = f"its record is not that of {MANIFEST_FILE}"
            found.append(Finding(f"{shard}/{clip}", "changed", sentence))
    return found


def _doubled(clip: str, shard: str, other: str) -> Finding:
    first, second = sorted((shard, other))
    return Finding(f"{second}/{clip}", "doubled", f"it is in {first} too")


def _strangers(root: Path, rows: list[ListedShard]) -> list[Finding]:
    """Files in the folder of shards that do not belong there."""
    known = {row.shard for row in rows}
    known |= {Path(name).with_suffix(".json").name for name in known}
    folder = root / FOLDER
    return [
        Finding(path.name, "extra", f"{SHARD_LIST_FILE} has it not")
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.name not in known
    ]
