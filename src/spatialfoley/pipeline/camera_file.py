"""Where a camera looked, second by second, from a CSV or JSON file.

Times count from the first frame of the video, angles are those of `spatial.direction.CameraPose`. Between two
lines the angles run linearly. What could mean two things, or nothing, is refused by line.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from spatialfoley.spatial.trajectory import CameraTrajectory

COLUMNS: Final = ("time_s", "yaw_deg", "pitch_deg", "roll_deg")
LONGEST_HOLE_S: Final = 10.0
"""Two neighbouring poses may lie this far apart; a straight line between more distant ones is a guess."""
LONGEST_EDGE_S: Final = 1.0
"""The first and the last pose may be held for this long at the ends of the clip."""
WRAPPED_WITHIN_S: Final = 1.0
"""A jump of more than half a turn within this time is a tracker's step from 180 to -180."""

_SHORT_NAMES: Final = {"time": "time_s", "yaw": "yaw_deg", "pitch": "pitch_deg", "roll": "roll_deg"}
_NAMED: Final = f"{','.join(COLUMNS)} (or {','.join(_SHORT_NAMES)})"
_MOST_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, eq=False)
class CameraFile:
    """A camera's poses over a whole video.

    Attributes:
        path: the file.
        sha256: of its bytes.
        trajectory: the poses, at seconds after the first frame of the video.
        places: where in the file each pose stands, such as "line 3".
    """

    path: Path
    sha256: str
    trajectory: CameraTrajectory
    places: tuple[str, ...] = field(repr=False)

    def over_clip(self, start_s: float, duration_s: float) -> CameraTrajectory:
        """The poses over one clip of the video, at seconds after the clip's start.

        Args:
            start_s: where the clip starts in the video.
            duration_s: its length.

        Raises:
            ValueError: if the file says nothing about a part of the clip that is too long to guess.
        """
        times_s, end_s = self.trajectory.times_s, start_s + duration_s
        if times_s[0] > start_s + LONGEST_EDGE_S:
            raise ValueError(
                f"{self.path} starts at {times_s[0]:g} s ({self.places[0]}), but the clip at {start_s:g} s; the "
                f"pose may be missing for {LONGEST_EDGE_S:g} s at most: add a line for {start_s:g} s"
            )
        if times_s[-1] < end_s - LONGEST_EDGE_S:
            raise ValueError(
                f"{self.path} ends at {times_s[-1]:g} s ({self.places[-1]}), but the clip at {end_s:g} s; the "
                f"pose may be missing for {LONGEST_EDGE_S:g} s at most: add a line for {end_s:g} s"
            )
        inside = (times_s[1:] > start_s) & (times_s[:-1] < end_s)
        for index in np.flatnonzero(inside & (np.diff(times_s) > LONGEST_HOLE_S)):
            before, after = times_s[index], times_s[index + 1]
            raise ValueError(
                f"{self.path} has no pose between {before:g} s ({self.places[index]}) and {after:g} s "
                f"({self.places[index + 1]}), a hole of {after - before:g} s; write a line at least every "
                f"{LONGEST_HOLE_S:g} s"
            )
        whole = self.trajectory
        return CameraTrajectory(times_s - start_s, whole.yaw_deg, whole.pitch_deg, whole.roll_deg)


def read_camera_file(path: str | Path) -> CameraFile:
    """Read a camera file.

    CSV: a line with the names time_s,yaw_deg,pitch_deg,roll_deg (or time,yaw,pitch,roll), in any order, and one
    line for each pose; comma, semicolon or tab between values; empty lines and lines that begin with # do not
    count. JSON: a list of objects with these names, or one object of lists. pitch_deg and roll_deg may be left
    out as a whole, for 0.

    Args:
        path: the file.

    Raises:
        ValueError: if it cannot be read, or a line is wrong; the message says which line and what to do.
    """
    source = Path(path)
    content = _bytes_of(source)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{source} is no text; give a CSV or JSON file with {_NAMED} for the camera"
        ) from error
    if not text.strip():
        raise ValueError(f"{source} is empty; give a line with {_NAMED} and one line for each pose")
    is_json = source.suffix.lower() == ".json" or text.lstrip()[0] in "[{"
    poses = _Poses(source)
    for place, values in _json_rows(text, source) if is_json else _csv_rows(text, source):
        poses.append(place, values)
    return CameraFile(source, hashlib.sha256(content).hexdigest(), poses.trajectory(), tuple(poses.places))


def _bytes_of(source: Path) -> bytes:
    try:
        if source.is_dir():
            raise ValueError(f"{source} is a folder; give a CSV or JSON file with {_NAMED} for the camera")
        if source.stat().st_size > _MOST_BYTES:
            raise ValueError(
                f"{source} has {source.stat().st_size >> 20} MiB, and a camera file has at most "
                f"{_MOST_BYTES >> 20}; give a CSV or JSON file with {_NAMED}"
            )
        return source.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{source} does not exist; check the path of the camera file") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{source} cannot be read ({reason}); give a camera file that can") from error


class _Poses:
    """Takes poses in order, each checked against the one before."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._written: list[float] = []
        self._rows: list[list[float]] = []
        self.places: list[str] = []

    def append(self, place: str, values: dict[str, Any]) -> None:
        row = [self._number(place, name, values.get(name, 0.0)) for name in COLUMNS]
        if abs(row[2]) > 90:
            raise self._wrong(place, f"has pitch_deg {row[2]:g}; give degrees from -90 (down) to 90 (up)")
        row, self._written = self._continued(place, row), row
        self._rows.append(row)
        self.places.append(place)

    def trajectory(self) -> CameraTrajectory:
        if not self._rows:
            raise ValueError(
                f"{self._source} holds no pose; give one for each moment, beginning with that of 0 s"
            )
        return CameraTrajectory(*np.array(self._rows).T)

    def _number(self, place: str, name: str, value: Any) -> float:
        if value is None or value == "":
            raise self._wrong(place, f"has no {name}; fill it in or leave the pose out")
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self._wrong(
                place, f"has {name} {value}; give a finite number such as 1.5, or leave the pose out"
            )
        return number

    def _continued(self, place: str, row: list[float]) -> list[float]:
        """The pose with angles that go on from those before, where a tracker has jumped by a whole turn."""
        if not self._rows:
            return row
        before, last = self.places[-1], self._written
        step_s = row[0] - last[0]
        if step_s == 0:
            raise self._wrong(place, f"has time_s {row[0]:g}, and so has {before}; keep one of them")
        if step_s < 0:
            raise self._wrong(place, f"has time_s {row[0]:g} after {last[0]:g} of {before}; sort by time")
        continued = [row[0], 0.0, row[2], 0.0]
        for axis in (1, 3):
            step_deg = row[axis] - last[axis]
            if abs(step_deg) > 180 and step_s > WRAPPED_WITHIN_S:
                raise self._wrong(
                    place,
                    f"has {COLUMNS[axis]} {row[axis]:g} and {before}, {step_s:g} s earlier, {last[axis]:g}: more "
                    "than half a turn, which may go either way round; write a pose in between",
                )
            if abs(step_deg) > 180:
                step_deg -= 360 * round(step_deg / 360)
            continued[axis] = self._rows[-1][axis] + step_deg
        return continued

    def _wrong(self, place: str, what: str) -> ValueError:
        return ValueError(f"{place} of {self._source} {what}")


def _csv_rows(text: str, source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = [
        (number, line)
        for number, line in enumerate(io.StringIO(text), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError(f"{source} holds only comments; give a line with {_NAMED} and one for each pose")
    first = lines[0][1]
    between = next((mark for mark in (";", "\t") if mark in first), ",")
    names: list[str] | None = None
    for number, line in lines:
        values = [value.strip() for value in next(csv.reader([line], delimiter=between))]
        place = f"line {number}"
        if names is None:
            names = _column_names(values, place, source)
            continue
        if len(values) != len(names):
            raise ValueError(
                f"{place} of {source} has {len(values)} values for {len(names)} columns; give one for each of "
                f"{','.join(names)}"
            )
        yield place, dict(zip(names, values, strict=True))


def _json_rows(text: str, source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{source} is no JSON ({error}); mend it there, or give a CSV file with {_NAMED}"
        ) from error
    if isinstance(content, dict):
        content = _as_list(content, source)
    if not isinstance(content, list):
        raise ValueError(f"{source} holds a {type(content).__name__}; give a list of objects with {_NAMED}")
    known: list[str] | None = None
    for number, entry in enumerate(content, 1):
        place = f"entry {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{place} of {source} is {entry!r:.60}; give an object with {_NAMED}")
        names = _column_names(list(entry), place, source)
        known = known or names
        if set(names) != set(known):
            missing = sorted(set(known) ^ set(names))[0]
            raise ValueError(
                f"{place} of {source} differs from entry 1 in {missing}; give every pose the same values"
            )
        yield place, dict(zip(names, entry.values(), strict=True))


def _as_list(columns: dict[str, Any], source: Path) -> list[dict[str, Any]]:
    """Poses of an object with one list for each column."""
    _column_names(list(columns), "the object", source)
    lengths = {name: len(values) for name, values in columns.items() if isinstance(values, list)}
    if len(lengths) != len(columns) or len(set(lengths.values())) != 1:
        found = ", ".join(f"{name} {lengths.get(name, 'no list')}" for name in columns)
        raise ValueError(f"{source} holds lists of different lengths ({found}); give lists of one length")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _column_names(names: Sequence[str], place: str, source: Path) -> list[str]:
    full = [_SHORT_NAMES.get(name.strip().lower(), name.strip().lower()) for name in names]
    for name, given in zip(full, names, strict=True):
        if name not in COLUMNS:
            raise ValueError(f"{place} of {source} names {given!r:.40}; the columns are {_NAMED}")
        if full.count(name) > 1:
            raise ValueError(f"{place} of {source} names {name} twice; keep one of the two")
    missing = [name for name in COLUMNS[:2] if name not in full]
    if missing:
        raise ValueError(f"{place} of {source} does not name {missing[0]}; the columns are {_NAMED}")
    return full
