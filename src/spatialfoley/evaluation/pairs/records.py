"""Records of scored pairs on disk: one JSON line each as they are ready, so that a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from spatialfoley.evaluation.pairs.clip_scoring import Record
from spatialfoley.media.atomic import atomic_path

RECORDS_FILE = "scores.jsonl"


def read_records(folder: Path) -> dict[tuple[str, str], Record]:
    """Scored pairs of an earlier run by system and clip; lines that a kill cut off and failures are left "
    "out."""
    path = folder / RECORDS_FILE
    if not path.is_file():
        return {}
    known: dict[tuple[str, str], Record] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
            if "key" in record and "scores" in record and "heard" in record:
                known[record["system"], record["clip"]] = record
        except (ValueError, KeyError, TypeError):
            continue
    return known


def write_records(folder: Path, records: Sequence[Record]) -> None:
    """Write all records at once, in their order, in place of what was there."""
    with atomic_path(folder / RECORDS_FILE) as path:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


class RecordLog:
    """Appends records as they come; nothing is lost but the line that is being written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / RECORDS_FILE
        self._file: TextIO | None = None

    def __enter__(self) -> RecordLog:
        # A line that a kill cut off must not swallow the next one.
        cut_off = self._path.is_file() and self._path.read_bytes()[-1:] not in (b"", b"\n")
        self._file = self._path.open("a", encoding="utf-8")
        if cut_off:
            self._file.write("\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def add(self, records: Iterable[Record]) -> None:
        """Append records and hand them to the system."""
        if self._file is None:
            raise RuntimeError("the log is not open")
        for record in records:
            self._file.write(json.dumps(record) + "\n")
        self._file.flush()
