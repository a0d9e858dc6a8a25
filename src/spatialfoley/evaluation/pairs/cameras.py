"""Where the camera looks in each clip, for fields decoded towards it and for ears at its place.

A file has one line for each clip: CSV with a head, or JSON Lines with the same names.

    id,azimuth_deg,elevation_deg          degrees, left and up positive (`spatialfoley.conventions`)
    id,azimuth_index,elevation_index      2° steps of YT-Ambigen: azimuth clockwise from the back, elevation
    from up
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley.evaluation.pairs.matching import listed
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.ytambigen import AmbigenIndex, index_to_direction

FRONT = Direction(0.0, 0.0)
_DEGREES = ("azimuth_deg", "elevation_deg")
_INDICES = ("azimuth_index", "elevation_index")
_NAMED = f"id,{','.join(_DEGREES)} or id,{','.join(_INDICES)}"


@dataclass(frozen=True)
class Cameras:
    """Directions by clip.

    Attributes:
        directions: By id; empty where the front is assumed for every clip.
        path: The file; None where there is none.
        sha256: Of the file's bytes.
    """

    directions: Mapping[str, Direction] = field(default_factory=dict)
    path: Path | None = None
    sha256: str = ""

    def of(self, name: str) -> Direction:
        """Direction of a clip; the front without a file."""
        return self.directions[name] if self.path else FRONT

    def require(self, names: list[str]) -> None:
        """Check that every clip has a camera.

        Raises:
            ValueError: The file leaves some out; they are listed.
        """
        missing = [name for name in names if name not in self.directions] if self.path else []
        if missing:
            raise ValueError(
                f"{self.path} has no camera for {listed(missing)}; add a line for each clip, or leave "
                "--cameras out, which assumes the front"
            )

    @property
    def said(self) -> str:
        """A sentence for reports."""
        if self.path:
            return f"Cameras: {self.path.name}."
        return "No cameras are given: the camera is assumed to look to the front (azimuth 0°, elevation 0°)."


def read_cameras(path: Path) -> Cameras:
    """Read a camera file.

    Raises:
        ValueError: It cannot be read, or a line is wrong; the message names the line and the rule.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path} is no text; give CSV or JSON Lines with {_NAMED}") from problem
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise ValueError(
            f"{path} cannot be read ({reason}); give CSV or JSON Lines with {_NAMED}"
        ) from problem
    rows = _json_rows(text, path) if text.lstrip().startswith("{") else _csv_rows(text, path)
    directions: dict[str, Direction] = {}
    for place, row in rows:
        name = str(row.get("id") or "").strip()
        if not name:
            raise ValueError(f"{place} of {path} has no id; the columns are {_NAMED}")
        if name in directions:
            raise ValueError(f"{place} of {path} gives {name!r} again; keep one line for each clip")
        directions[name] = _direction(row, f"{place} of {path}")
    if not directions:
        raise ValueError(f"{path} holds no camera; give a line for each clip with {_NAMED}")
    return Cameras(directions, path, hashlib.sha256(content).hexdigest())


def _csv_rows(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        return
    names = [name.strip().lower() for name in next(csv.reader([lines[0][1]]))]
    if "id" not in names or not (set(_DEGREES) <= set(names) or set(_INDICES) <= set(names)):
        raise ValueError(f"{path} has the columns {','.join(names):.80}; the columns are {_NAMED}")
    for number, line in lines[1:]:
        values = [value.strip() for value in next(csv.reader([line]))]
        if len(values) != len(names):
            raise ValueError(f"line {number} of {path} has {len(values)} values for {len(names)} columns")
        yield f"line {number}", dict(zip(names, values, strict=True))


def _json_rows(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise ValueError(
                f"line {number} of {path} is no JSON ({problem}); write one object a line"
            ) from problem
        if not isinstance(row, dict):
            raise ValueError(f"line {number} of {path} is {row!r:.40}; write an object with {_NAMED}")
        yield f"line {number}", row


def _direction(row: Mapping[str, Any], place: str) -> Direction:
    names = _DEGREES if _DEGREES[0] in row else _INDICES
    values = []
    for name in names:
        try:
            values.append(float(row[name]))
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"{place} has {name} {row.get(name)!r}; give a number") from problem
    try:
        if names is _DEGREES:
            return Direction(*values)
        return index_to_direction(AmbigenIndex(elevation=values[1], azimuth=values[0]))
    except ValueError as problem:
        raise ValueError(f"{place}: {problem}") from problem
