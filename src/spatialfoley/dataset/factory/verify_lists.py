"""The lists of a built set beside each other: manifest, list of shards, funnel, index."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.findings import Finding
from spatialfoley.dataset.factory.index import INDEX_FILE, index_rows, read_index
from spatialfoley.dataset.factory.lists import FUNNEL_FILE, MANIFEST_FILE, read_manifest
from spatialfoley.dataset.factory.shard_list import SHARD_LIST_FILE, ListedShard
from spatialfoley.dataset.factory.taken_down import read_taken_down


def read_lines(root: Path, rows: list[ListedShard]) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    """Hash of the record of every clip by shard and id, and what is wrong with the manifest itself."""
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    splits: dict[str, str] = {}
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    listed = {row.shard: row.split for row in rows}
    withdrawn = read_taken_down(root)
    try:
        for line in read_manifest(root):
            findings += _line_findings(line, lines, splits, listed)
            if line["id"] in withdrawn or line["recording"] in withdrawn:
                findings.append(Finding(f"{MANIFEST_FILE}/{line['id']}", "extra", "it was taken down"))
            counts[line["split"]] += 1
            record = {name: line[name] for name in ("id", "recording", "files", "facts")}
            text = json.dumps(record, sort_keys=True, ensure_ascii=False)
            lines[line["shard"]][line["id"]] = hashlib.sha256(text.encode()).hexdigest()
    except (json.JSONDecodeError, KeyError, TypeError) as problem:
        findings.append(Finding(MANIFEST_FILE, "changed", f"it has a damaged line ({problem})"))
    findings += _check_funnel(root, counts)
    for name in sorted(lines.keys() - listed.keys()):
        sentence = f"{len(lines[name])} clips of {MANIFEST_FILE} are in it, {SHARD_LIST_FILE} has it not"
        findings.append(Finding(name, "missing", sentence))
    return lines, findings


def _line_findings(
    line: dict[str, Any], lines: dict[str, dict[str, str]], splits: dict[str, str], listed: dict[str, str]
) -> list[Finding]:
    where = f"{MANIFEST_FILE}/{line['id']}"
    found = []
    if line["id"] in lines[line["shard"]]:
        found.append(Finding(where, "doubled", "it has more than one line"))
    if splits.setdefault(line["recording"], line["split"]) != line["split"]:
        sentence = f"recording {line['recording']} is in {splits[line['recording']]} and in {line['split']}"
        found.append(Finding(where, "wrong", sentence))
    if listed.get(line["shard"], line["split"]) != line["split"]:
        sentence = f"its split is {line['split']}, that of {line['shard']} is {listed[line['shard']]}"
        found.append(Finding(where, "wrong", sentence))
    return found


def _check_funnel(root: Path, counts: Counter[str]) -> list[Finding]:
    try:
        told = json.loads((root / FUNNEL_FILE).read_text(encoding="utf-8"))["clips"]
    except FileNotFoundError:
        return [Finding(FUNNEL_FILE, "missing", "a finished build has it")]
    except (ValueError, KeyError, TypeError):
        return [Finding(FUNNEL_FILE, "changed", "it cannot be read")]
    if told == dict(counts):
        return []
    return [
        Finding(
            FUNNEL_FILE, "wrong", f"it says {told} and {MANIFEST_FILE} has {dict(sorted(counts.items()))}"
        )
    ]


def check_index(root: Path) -> list[Finding]:
    """Row by row beside what the manifest and the lists of the shards say."""
    try:
        rows = {row["id"]: row for row in read_index(root)}
    except ValueError as problem:
        return [Finding(INDEX_FILE, "changed", str(problem))]
    found = []
    try:
        for told in index_rows(root):
            row = rows.pop(told["id"], None)
            if row is None:
                found.append(Finding(f"{INDEX_FILE}/{told['id']}", "missing", f"{MANIFEST_FILE} has it"))
            elif row != told:
                found.append(
                    Finding(f"{INDEX_FILE}/{told['id']}", "changed", "its row is not what the lists say")
                )
    except (ValueError, KeyError):
        return found  # The lists themselves are damaged, which other findings say.
    return found + [Finding(f"{INDEX_FILE}/{clip}", "extra", f"{MANIFEST_FILE} has it not") for clip in rows]
