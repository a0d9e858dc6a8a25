"""Many videos in one run: which files, under which names, which are done already, and what failed.

A clip is done when its sidecar is there, was written for the same request, and every file it names is there.
The sidecar is written last, so an interrupted clip is simply not done.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialfoley.media.atomic import atomic_path

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"}
    | {".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp", ".gif"}
)
FAILURES_FILE = "failures.jsonl"


@dataclass(frozen=True)
class Job:
    """One video and the name that its output files begin with."""

    source: Path
    name: str


@dataclass(frozen=True)
class Failure:
    """One video that could not be done, and why."""

    source: Path
    kind: str
    reason: str


def collect_videos(inputs: Sequence[Path], out: Path) -> list[Path]:
    """List the videos among files and folders, each once, in a stable order.

    A file is taken as it is. A folder gives every video inside it, sub-folders too, but neither hidden files
    nor what lies in the output folder.

    Raises:
        ValueError: if a path does not exist or a folder holds no video.
    """
    found: dict[Path, Path] = {}
    for path in inputs:
        if not path.exists():
            raise ValueError(f"{path} does not exist; give the path of a video or of a folder with videos")
        videos = _videos_in(path, out) if path.is_dir() else [path]
        if not videos:
            raise ValueError(
                f"{path} is a folder without videos; it needs files such as {path / 'street.mp4'}"
            )
        for video in videos:
            found.setdefault(video.resolve(), video)
    return list(found.values())


def _videos_in(folder: Path, out: Path) -> list[Path]:
    own = out.resolve()
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (own == folder.resolve() or own not in path.resolve().parents)
        and not path.name.endswith(".energy.mp4")
    )


def name_jobs(videos: Iterable[Path], out: Path) -> list[Job]:
    """Give every video an output name of its own: its stem, or if taken, its folder and stem.

    A name is also taken when the sidecar of another video holds it from an earlier run.
    """
    taken: set[str] = set()
    jobs = []
    for video in videos:
        name = next(
            name
            for name in _names(video)
            if name.casefold() not in taken and not _held_by_other(out, name, video)
        )
        taken.add(name.casefold())
        jobs.append(Job(video, name))
    return jobs


def _names(video: Path) -> Iterable[str]:
    yield video.stem
    longer = f"{video.resolve().parent.name}_{video.stem}"
    yield longer
    number = 2
    while True:
        yield f"{longer}-{number}"
        number += 1


def _held_by_other(out: Path, name: str, video: Path) -> bool:
    sidecar = read_sidecar(out, name)
    request = sidecar.get("request") if sidecar else None
    return isinstance(request, dict) and request.get("input") not in (None, str(video.resolve()))


def input_identity(video: Path) -> dict[str, Any]:
    """What tells one input file from another, for a request: path, size and time of change."""
    state = video.stat()
    return {
        "input": str(video.resolve()),
        "input_bytes": state.st_size,
        "input_modified_ns": state.st_mtime_ns,
    }


def is_done(out: Path, name: str, request: Mapping[str, Any]) -> bool:
    """Tell whether an earlier run finished this clip for the same request."""
    sidecar = read_sidecar(out, name)
    if sidecar is None or sidecar.get("request") != json.loads(json.dumps(request)):
        return False
    files = sidecar.get("files")
    return isinstance(files, dict) and all((out / str(file)).is_file() for file in files.values())


def sidecar_path(out: Path, name: str) -> Path:
    """Where the sidecar of a clip lies."""
    return out / f"{name}.json"


def read_sidecar(out: Path, name: str) -> dict[str, Any] | None:
    """The sidecar of a clip, or None where there is none that can be read as one."""
    try:
        content = json.loads(sidecar_path(out, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_failures(out: Path, failures: Sequence[Failure]) -> Path | None:
    """Write ``failures.jsonl`` of this run, or remove that of an earlier one when nothing failed.

    Returns:
        the file, or None when nothing failed.
    """
    target = out / FAILURES_FILE
    if not failures:
        target.unlink(missing_ok=True)
        return None
    lines = [
        json.dumps({"input": str(f.source), "kind": f.kind, "reason": f.reason}, ensure_ascii=False)
        for f in failures
    ]
    with atomic_path(target) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target
