"""The list of one's own clips: JSON Lines or CSV, one row per clip or per recording to be cut into clips.

video           path of the picture, relative to the manifest; needed
audio           path of the sound; default: NAME.foa.wav beside NAME.mp4, or the video's own sound for mono
azimuth_deg     where the picture's centre points in the sound field, left positive; default 0
elevation_deg   the same, up positive; default 0
start_s         one clip from here; default: the whole video, cut into clips
split           name of the part that the clips belong to; default train
text            what is heard, for models that read text; default none
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialfoley.spatial.direction import Direction

COLUMNS = ("video", "audio", "azimuth_deg", "elevation_deg", "start_s", "split", "text")


@dataclass(frozen=True)
class ManifestRow:
    """One row.

    Attributes:
        line: Its number in the file, for messages.
        video: The picture.
        audio: The sound, or None for the usual place.
        direction: Where the picture's centre points in the sound field.
        start_s: Start of the only clip; None for as many clips as the video holds.
        split: Part of the data set.
        text: What is heard; empty for none.
    """

    line: int
    video: Path
    audio: Path | None
    direction: Direction
    start_s: float | None
    split: str
    text: str = ""


def read_clip_manifest(path: Path) -> list[ManifestRow]:
    """Read a manifest; its form follows its name, .csv or .jsonl.

    Raises:
        ValueError: The file is missing, has another form or no row, or a row lacks its video, has an unknown
            column or an impossible value; the line is named.
    """
    if not path.is_file():
        raise ValueError(f"manifest {path} does not exist; give a .jsonl or .csv file with a column video")
    readers = {".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix.lower() not in readers:
        raise ValueError(f"manifest {path} ends in {path.suffix!r}; give a .jsonl or .csv file")
    try:
        rows = [_row(path, line, values) for line, values in readers[path.suffix.lower()](path)]
    except UnicodeDecodeError as problem:
        raise ValueError(f"manifest {path} is no UTF-8 text; save it as UTF-8") from problem
    if not rows:
        raise ValueError(f"manifest {path} has no rows; each names a video")
    return rows


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # A byte-order mark, as spreadsheets write it, would become part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for values in reader:
            if None in values:
                raise ValueError(f"{path} line {reader.line_num} has more values than there are columns")
            yield reader.line_num, values


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as problem:
            raise ValueError(f"{path} line {number} is no JSON ({problem})") from problem
        if not isinstance(values, dict):
            raise ValueError(f'{path} line {number} is no object; write {{"video": "street.mp4"}}')
        yield number, values


def _row(path: Path, line: int, values: Mapping[str, Any]) -> ManifestRow:
    where = f"{path} line {line}"
    unknown = sorted(set(values) - set(COLUMNS))
    if unknown:
        raise ValueError(f"{where} has unknown columns {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
    # An empty cell of a table is a value that was not given.
    given = {name: value for name, value in values.items() if value not in (None, "")}
    if "video" not in given:
        raise ValueError(f"{where} has no video; give the path of one")
    split = str(given.get("split", "train"))
    if not re.fullmatch(r"[\w-]+", split) or split in ("parts", "clips"):
        raise ValueError(
            f"{where} has split {split!r}; give letters, digits, - and _, and neither 'parts' nor 'clips'"
        )
    start_s = _number(where, given, "start_s", None)
    if start_s is not None and start_s < 0:
        raise ValueError(f"{where} has start_s {start_s:g}; give seconds from 0 on")
    azimuth_deg, elevation_deg = (
        _number(where, given, f"{name}_deg", 0.0) for name in ("azimuth", "elevation")
    )
    try:
        direction = Direction(azimuth_deg or 0.0, elevation_deg or 0.0)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem
    audio = path.parent / str(given["audio"]) if "audio" in given else None
    text = str(given.get("text", "")).strip()
    return ManifestRow(line, path.parent / str(given["video"]), audio, direction, start_s, split, text)


def _number(where: str, given: Mapping[str, Any], name: str, default: float | None) -> float | None:
    if name not in given:
        return default
    try:
        number = float(given[name])
    except (TypeError, ValueError):
        raise ValueError(f"{where} has {name} {given[name]!r}; it must be a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{where} has {name} {number}; it must be a finite number")
    return number
