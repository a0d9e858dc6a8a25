"""What every preparation of clips shares: rows cut into clips, each made once, reasons for what cannot be used.

Every clip becomes a file of its own first, so that a killed run goes on where it stopped. What cannot be used is a
line of ``rejected.jsonl``, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spatialfoley.dataset.manifest import ManifestRow
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.video import Video

LENGTH_SLACK_S = 0.05
"""Picture or sound may end this much before a clip does: cuts rarely fall on whole frames of both."""
SILENT_PEAK = 1e-4
REJECTED_FILE, SETTINGS_FILE, CLIPS_FILE = "rejected.jsonl", "prepare.json", "clips.jsonl"

Report = Callable[[str, float], None]
"""Told what is being done and the fraction done in [0, 1]."""


@dataclass(frozen=True)
class Prepared:
    """What a run left.

    Attributes:
        made: Clips encoded now.
        reused: Clips that an earlier run had encoded.
        rejected: Rows and clips that could not be used.
        folders: Folder of the clips of every split.
        record: rejected.jsonl, or None when everything could be used.
    """

    made: int
    reused: int
    rejected: int
    folders: dict[str, Path]
    record: Path | None


@dataclass(frozen=True)
class MadeClip:
    """A clip whose file is there.

    Attributes:
        row: Where it comes from.
        start_s: Its start in the picture.
        file: Its features.
    """

    row: ManifestRow
    start_s: float
    file: Path


class Source(Protocol):
    """A row's picture and sound, opened."""

    def windows(self) -> list[float]:
        """Starts of the row's clips in seconds."""

    def file(self, start_s: float) -> Path:
        """Where a clip's features lie; the name changes with all that they depend on."""

    def make(self, start_s: float, file: Path) -> None:
        """Write a clip's features, whole or not at all.

        Raises:
            ValueError: The clip cannot be used; with the reason.
        """


def prepare_rows(
    rows: Sequence[ManifestRow],
    open_source: Callable[[ManifestRow], Source],
    join: Callable[[Sequence[MadeClip]], dict[str, Path]],
    out: Path,
    report: Report = lambda label, fraction: None,
) -> Prepared:
    """Make all clips of a manifest that are not there yet, and join them.

    Args:
        rows: Of the manifest.
        open_source: Opens a row; may raise ValueError with a reason.
        join: Makes the folders of all splits from the clips of this run and those that were there.
        out: Where rejected.jsonl goes.
        report: Told the progress.

    Raises:
        ValueError: No clip at all could be used.
        MediaError: `out` cannot be written.
    """
    clips: list[MadeClip] = []
    rejected: list[dict[str, Any]] = []
    made = 0
    for number, row in enumerate(rows):
        report(row.video.name, number / len(rows))
        try:
            source = open_source(row)
            starts = source.windows()
        except (ValueError, OSError, RuntimeError) as problem:
            rejected.append(_rejection(row, None, problem))
            continue
        for start_s in starts:
            file = source.file(start_s)
            try:
                if not file.is_file():
                    source.make(start_s, file)
                    made += 1
                clips.append(MadeClip(row, start_s, file))
            except (ValueError, OSError, RuntimeError, MemoryError) as problem:
                rejected.append(_rejection(row, start_s, problem))
    record = _write_rejected(out, rejected)
    if not clips:
        raise ValueError(f"none of {len(rows)} rows gave a clip; the reasons are in {record}")
    report("joining", 1.0)
    return Prepared(made, len(clips) - made, len(rejected), join(clips), record)


def clip_starts(row: ManifestRow, video: Video, clip_s: float) -> list[float]:
    """Starts of a row's clips: its own, or as many as the picture holds.

    Raises:
        ValueError: The picture ends before the clip does.
    """
    whole_s = video.duration_s
    if row.start_s is not None:
        if row.start_s + clip_s > whole_s + LENGTH_SLACK_S:
            raise ValueError(
                f"start_s is {row.start_s:g} and a clip lasts {clip_s:g} s, but the picture of "
                f"{row.video} ends at {whole_s:.2f} s; start earlier"
            )
        return [row.start_s]
    count = int((whole_s + LENGTH_SLACK_S) / clip_s)
    if count == 0:
        raise ValueError(f"the picture of {row.video} lasts {whole_s:.2f} s; a clip needs {clip_s:g} s")
    return [number * clip_s for number in range(count)]


def clip_file(folder: Path, identity: Sequence[Any], start_s: float, ending: str) -> Path:
    """Where the features of a clip lie: a name that changes with all that they depend on."""
    name = hashlib.sha256(json.dumps([*identity, start_s]).encode()).hexdigest()[:24]
    return folder / name[:2] / f"{name}{ending}"


def file_identity(path: Path) -> list[str | int]:
    """Place, size and time of a file."""
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def by_split(clips: Sequence[MadeClip]) -> dict[str, list[MadeClip]]:
    """The clips of each split, in their order."""
    splits: dict[str, list[MadeClip]] = {}
    for clip in clips:
        splits.setdefault(clip.row.split, []).append(clip)
    return splits


def check_same_settings(out: Path, described: Mapping[str, Any]) -> None:
    """Note in `out` how its clips are made, or check that they were made so.

    Raises:
        ValueError: `out` holds clips of another model or of other settings.
    """
    path = out / SETTINGS_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != json.loads(json.dumps(described)):
            raise ValueError(f"{out} holds clips of another model ({found}); choose another folder")
        return
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(described, indent=1), encoding="utf-8")


def _rejection(row: ManifestRow, start_s: float | None, problem: Exception) -> dict[str, Any]:
    reason = " ".join(str(problem).split()) or type(problem).__name__
    return {
        "line": row.line,
        "video": str(row.video),
        "start_s": start_s,
        "kind": type(problem).__name__,
        "reason": reason,
    }


def _write_rejected(out: Path, rejected: list[dict[str, Any]]) -> Path | None:
    """The record of this run; that of an earlier one goes when nothing was rejected now."""
    target = out / REJECTED_FILE
    if not rejected:
        target.unlink(missing_ok=True)
        return None
    with atomic_path(target) as path:
        lines = [json.dumps(line, ensure_ascii=False) for line in rejected]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target
