"""``takedown.jsonl``: what was taken out of a data set, when and why; nothing in it ever comes back.

The file belongs to the data set: it is enough to keep what it names out, on any machine and with any state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spatialfoley.media.atomic import atomic_path

TAKEDOWN_FILE = "takedown.jsonl"


@dataclass(frozen=True)
class TakenDown:
    """Something that was taken out.

    Attributes:
        date: Day, as 2026-01-31.
        id: Of a recording or of one clip.
        kind: "recording" or "clip".
        reason: Why, in the words of who did it.
    """

    date: str
    id: str
    kind: str
    reason: str


def read_taken_down(root: Path) -> dict[str, TakenDown]:
    """What was taken out of a set, by id.

    Raises:
        ValueError: The file is damaged: nothing must be built or read then, lest something comes back.
    """
    path = root / TAKEDOWN_FILE
    if not path.is_file():
        return {}
    try:
        rows = [TakenDown(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError) as problem:
        raise ValueError(
            f"{path} is damaged ({problem}); restore it: it says what must not come back"
        ) from None
    return {row.id: row for row in rows}


def add_taken_down(root: Path, rows: Iterable[TakenDown]) -> None:
    """Add to the file; what is in it already stays as it is."""
    known = read_taken_down(root)
    for row in rows:
        known.setdefault(row.id, row)
    with atomic_path(root / TAKEDOWN_FILE) as path:
        path.write_text(
            "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in known.values()),
            encoding="utf-8",
        )
