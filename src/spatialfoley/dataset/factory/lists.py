"""What a build says of itself: the clips it kept, what it left out and why, counts of every stage.

All lists follow from the state alone and hold no times: two builds of the same recordings write the same bytes,
however often one of them was killed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.shards import packed, shard_name
from spatialfoley.dataset.factory.state import BuildState, StageResult, basis_of
from spatialfoley.dataset.factory.taken_down import read_taken_down
from spatialfoley.media.atomic import atomic_path

MANIFEST_FILE, REJECTED_FILE, FAILED_FILE, FUNNEL_FILE = (
    "manifest.jsonl",
    "rejected.jsonl",
    "failed.jsonl",
    "funnel.json",
)


@dataclass(frozen=True)
class StageCount:
    """The funnel of one stage.

    Attributes:
        stage: Its name.
        records: Records that went in.
        passed: Records that came out: a stage may cut one into many.
        rejected: Number by reason.
        failed: Number by kind.
    """

    stage: str
    records: int
    passed: int
    rejected: dict[str, int]
    failed: dict[str, int]


@dataclass(frozen=True)
class BuildReport:
    """What a build left.

    Attributes:
        recordings: Recordings of the source.
        clips: Clips kept, by split.
        funnel: Counts of every stage.
        shards: Number of shards.
        note: What could not be written beside them, and why; empty otherwise.
    """

    recordings: int
    clips: dict[str, int]
    funnel: tuple[StageCount, ...]
    shards: int
    note: str = ""

    @property
    def failed(self) -> int:
        """Records that failed."""
        return sum(sum(stage.failed.values()) for stage in self.funnel)

    @property
    def rejected(self) -> int:
        """Records that were rejected."""
        return sum(sum(stage.rejected.values()) for stage in self.funnel)


@dataclass
class _Walked:
    """All results of a recording that count now."""

    results: list[StageResult] = field(default_factory=list)
    kept: list[Record] = field(default_factory=list)


def write_lists(config: BuildConfig, root: Path, state: BuildState) -> BuildReport:
    """Write manifest, rejections, failures and funnel.

    Args:
        config: Of the build.
        root: The build folder.
        state: Its state.
    """
    names, chains = [spec.name for spec in config.specs()], config.chains()
    counts = [_Count() for _ in names]
    clips: Counter[str] = Counter()
    left_out: dict[str, list[str]] = {"rejected": [], "failed": []}
    with atomic_path(root / MANIFEST_FILE) as path, path.open("w", encoding="utf-8") as manifest:
        for place, recording in state.all_recordings():
            walked = walk(state, chains, recording)
            for result in walked.results:
                counts[result.stage].add(result)
                if result.status in left_out:
                    left_out[result.status].append(_left_out_line(names[result.stage], result))
            for record in sorted(walked.kept, key=lambda kept: kept.id):
                split = config.splits.of(record)
                clips[split] += 1
                manifest.write(manifest_line(record, split, place // config.shards.recordings))
    for status, name in (("rejected", REJECTED_FILE), ("failed", FAILED_FILE)):
        _write(root / name, "".join(left_out[status]))
    funnel = tuple(count.done(name) for name, count in zip(names, counts, strict=True))
    report = BuildReport(state.recordings(), dict(sorted(clips.items())), funnel, len(state.shards()))
    document = {
        "recordings": report.recordings,
        "taken_down": len(read_taken_down(root)),
        "clips": report.clips,
        "stages": [vars(stage) for stage in funnel],
    }
    _write(root / FUNNEL_FILE, json.dumps(document, indent=1) + "\n")
    return report


def walk(state: BuildState, chains: tuple[str, ...], recording: Record) -> _Walked:
    """Follow a recording through the results of all stages."""
    walked = _Walked()
    records = [(0, recording)]
    while records:
        stage, record = records.pop()
        if stage == len(chains):
            if not state.clip_is_withdrawn(record.id):
                walked.kept.append(record)
            continue
        result = state.result(stage, record.id, basis_of(chains[stage], record))
        if result is not None:
            walked.results.append(result)
            records += [(stage + 1, made) for made in reversed(result.records)]
    return walked


def manifest_line(record: Record, split: str, number: int) -> str:
    """A kept clip: where it lies, and all that is known of it."""
    document: dict[str, Any] = json.loads(packed(record).to_json())
    document |= {"split": split, "shard": Path(shard_name(split, number)).name}
    return json.dumps(document, sort_keys=True, ensure_ascii=False) + "\n"


def read_manifest(root: Path) -> Iterator[dict[str, Any]]:
    """The kept clips of a build.

    Raises:
        ValueError: The folder holds no finished build.
    """
    path = root / MANIFEST_FILE
    if not path.is_file():
        raise ValueError(
            f"{root} holds no {MANIFEST_FILE}; build it with 'spatialfoley dataset build CONFIG'"
        )
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class _Count:
    """Counts of one stage under way."""

    def __init__(self) -> None:
        self.records = self.passed = 0
        self.reasons: dict[str, Counter[str]] = {"rejected": Counter(), "failed": Counter()}

    def add(self, result: StageResult) -> None:
        self.records += 1
        self.passed += len(result.records)
        if result.status in self.reasons:
            self.reasons[result.status][result.reason] += 1

    def done(self, name: str) -> StageCount:
        rejected, failed = (dict(sorted(self.reasons[status].items())) for status in ("rejected", "failed"))
        return StageCount(name, self.records, self.passed, rejected, failed)


def _left_out_line(stage: str, result: StageResult) -> str:
    document = {
        "id": result.record,
        "recording": result.recording,
        "stage": stage,
        "reason": result.reason,
        "sentence": result.sentence,
        "numbers": dict(result.numbers),
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False) + "\n"


def _write(path: Path, text: str | Iterable[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text if isinstance(text, str) else "".join(text), encoding="utf-8")
