"""Lists of videos: text, CSV or JSON Lines, as their owners write them; what is wrong is told with its line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ID_COLUMNS = ("id", "video_id", "youtube_id", "ytid", "url")
FACT_COLUMNS = ("title", "channel", "licence", "split", "caption", "convention")
"""Further columns that are taken; others are left alone."""

_VIDEO = re.compile(r"[A-Za-z0-9_-]{11}")
_IN_URL = re.compile(r"(?:[?&]v=|youtu\.be/|/(?:shorts|embed|live|v)/)([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")
_CLIP = re.compile(r"(?P<video>[A-Za-z0-9_-]{11})_(?P<start_s>\d+)")


@dataclass(frozen=True)
class Listed:
    """A row of a list.

    Attributes:
        line: Its number in the file, from 1.
        video: Id of the video.
        facts: What the list says of it.
    """

    line: int
    video: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class ListedClip:
    """A clip of a published list: VIDEO_SECONDS.

    Attributes:
        line: Its number in the file, from 1.
        name: As it stands there, without an ending.
        video: Id of the video.
        start_s: Where it begins.
        row: The other columns.
    """

    line: int
    name: str
    video: str
    start_s: float
    row: Mapping[str, str]


def read_videos(path: Path) -> list[Listed]:
    """A list of videos: ids or addresses, one a line (.txt), or with facts (.csv, .jsonl).

    Raises:
        ValueError: It is missing or empty, names a video twice, or has a line that cannot be read.
    """
    readers = {".txt": _text_rows, ".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix not in readers:
        raise ValueError(f"list {path} ends in {path.suffix!r}; it must be one of {', '.join(readers)}")
    listed: dict[str, Listed] = {}
    for line, row in readers[path.suffix](path):
        one = _listed(path, line, row)
        if one.video in listed:
            raise ValueError(
                f"{path}, line {line}: {one.video} is in line {listed[one.video].line} already; take one away"
            )
        listed[one.video] = one
    if not listed:
        raise ValueError(f"list {path} names no video; give ids or addresses of YouTube")
    return list(listed.values())


def video_id(text: str) -> str | None:
    """Id of a video from an id or an address of YouTube; None for anything else."""
    text = text.strip()
    if _VIDEO.fullmatch(text):
        return text
    found = _IN_URL.search(text) if "/" in text else None
    return found[1] if found else None


def read_clips(path: Path) -> list[ListedClip]:
    """A published list of clips named VIDEO_SECONDS, one a line, or in the first column of a CSV with a heading.

    Raises:
        ValueError: It is missing or empty, or has a line that names no clip.
    """
    clips: list[ListedClip] = []
    heading: list[str] = []
    for line, cells in _rows(path):
        name = Path(cells[0].strip()).name.split(".")[0]
        match = _CLIP.fullmatch(name)
        if match is None:
            if not clips and not heading:
                heading = cells
                continue
            raise ValueError(
                f"{path}, line {line}: {cells[0]!r} is no clip; it must be VIDEO_SECONDS, such as 530swnPWJrQ_17"
            )
        row = dict(zip(heading[1:], cells[1:], strict=False))
        clips.append(ListedClip(line, name, match["video"], float(match["start_s"]), row))
    if not clips:
        raise ValueError(f"list {path} names no clip; it must have lines such as 530swnPWJrQ_17")
    return clips


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        ValueError: It is missing or no JSON.
    """
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path}, line {problem.lineno}: no JSON ({problem.msg})") from None


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV that are not empty, with their lines."""
    reader = csv.reader(_text(path).splitlines())
    for cells in reader:
        if cells and cells[0].strip():
            yield reader.line_num, cells


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of a CSV that are not empty, with their lines.

    Raises:
        ValueError: It is missing.
    """
    return list(_rows(path))


def _listed(path: Path, line: int, row: Mapping[str, Any]) -> Listed:
    said = next((row[name] for name in ID_COLUMNS if row.get(name)), None)
    if said is None:
        raise ValueError(f"{path}, line {line}: no video; one of {', '.join(ID_COLUMNS)} must hold it")
    video = video_id(str(said))
    if video is None:
        raise ValueError(
            f"{path}, line {line}: {said!r} is neither a YouTube id of 11 characters nor an address with one"
        )
    facts = {name: row[name] for name in FACT_COLUMNS if row.get(name)}
    return Listed(line, video, facts)


def _text_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(_text(path).splitlines(), start=1):
        said = text.split("#")[0].strip()
        if said:
            yield line, {"id": said}


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(_text(path).splitlines())
    known = [name for name in reader.fieldnames or [] if name in ID_COLUMNS]
    if not known:
        raise ValueError(f"{path}, line 1: no column for the video; name one of {', '.join(ID_COLUMNS)}")
    for row in reader:
        yield reader.line_num, row


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as problem:
            raise ValueError(f"{path}, line {line}: no JSON ({problem.msg})") from None
        if not isinstance(row, dict):
            raise ValueError(f'{path}, line {line}: no object; give one such as {{"id": "530swnPWJrQ"}}')
        yield line, row


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"list {path} does not exist; check its path")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValueError(f"list {path} is no text in UTF-8 (byte {problem.start})") from None
