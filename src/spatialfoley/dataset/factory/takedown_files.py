"""Files beside the shards that hold something of what was taken down: of stages, and features made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from pathlib import Path

from spatialfoley.dataset.factory.shards import FOLDER
from spatialfoley.media.atomic import atomic_path

PACK_SUFFIX = ".safetensors"


def clear_files(root: Path, names: Set[str], shards: Iterable[str]) -> None:
    """Remove what belongs to records that were taken down.

    Args:
        root: The build folder.
        names: Ids of recordings and clips.
        shards: Shards that held them: packs of features are named after them. A pack with other clips in it goes
            too; their features are made again by the next run of ``dataset features``.
    """
    stems = {Path(shard).stem for shard in shards}
    for folder in (path for path in root.iterdir() if path.is_dir() and path.name != FOLDER):
        for path in folder.rglob("*"):
            first = path.name.partition(".")[0]
            if not path.is_file():
                continue
            if first in names or (
                first in stems and path.suffix == PACK_SUFFIX and clips_of_pack(path) & names
            ):
                path.unlink()
            elif path.suffix == ".jsonl":
                _leave_out(path, names)


def clips_of_pack(path: Path) -> set[str]:
    """Ids of the clips of a safetensors file whose arrays are named ``<clip id>/<array>``.

    Its head may name more: clips without arrays, and those that could not be encoded.
    """
    with path.open("rb") as file:
        head = file.read(int.from_bytes(file.read(8), "little"))
    try:
        named = json.loads(head)
        told = [json.loads(text) for text in named.pop("__metadata__", {}).values()]
    except ValueError:
        return set()
    listed = (entry.get(key, ()) for entry in told if isinstance(entry, dict) for key in ("clips", "failed"))
    return {name.partition("/")[0] for name in named}.union(*listed)


def _leave_out(path: Path, names: Set[str]) -> None:
    """Lines that name a record, as a value of any key."""
    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    left = [line for line in lines if not _values(line) & names]
    if len(left) < len(lines):
        with atomic_path(path) as temporary:
            temporary.write_text("".join(left), encoding="utf-8")


def _values(line: str) -> set[str]:
    try:
        said = json.loads(line)
    except ValueError:
        return set()
    return {value for value in said.values() if isinstance(value, str)} if isinstance(said, dict) else set()
