"""Keeping a folder of embeddings below a size: what was not used for longest goes first.

A run needs what it heard to its end, for the distances between sets of clips. So nothing is deleted while a run is
under way: all runs hold a lock of the folder together, and who deletes has to hold it alone. The lock of a process
that was killed goes with it. Where there are no such locks (Windows, some network folders) nothing is deleted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LIMIT_GB = 10.0
"""Unless told otherwise."""
LOCK_FILE = ".lock"
ENTRIES, LEFTOVERS = "??/*.npz", "??/.*.partial.npz"


@dataclass(frozen=True)
class Pruned:
    """What was deleted.

    Attributes:
        entries: Number of embeddings.
        size_bytes: Of them.
        last_used_s: When the last of them was used, in seconds since 1970; None if there was none.
    """

    entries: int = 0
    size_bytes: int = 0
    last_used_s: float | None = None


@contextmanager
def in_use(folder: Path) -> Iterator[float]:
    """Let nothing be deleted from a folder of embeddings; waits while something is.

    Yields:
        When that began by the clock of the folder's disk: what is used from now on has this time or a later one.
    """
    file = _open(folder)
    try:
        if file is None:
            yield time.time()
        else:
            _lock(file, "shared")
            mark_used(folder / LOCK_FILE)
            yield (folder / LOCK_FILE).stat().st_mtime
    finally:
        if file is not None:
            file.close()


def prune(folder: Path, limit_bytes: float) -> Pruned | None:
    """Delete embeddings until the rest takes no more than `limit_bytes`, and files that killed runs left half made.

    Args:
        folder: Of an `EmbeddingStore`.
        limit_bytes: Size of all entries together.

    Returns:
        What was deleted; None where a run is under way, which will see to it at its end, or nothing can be locked.
    """
    file = _open(folder)
    if file is None:
        return None
    with file:
        if not _lock(file, "alone"):
            return None
        for path in folder.glob(LEFTOVERS):
            path.unlink(missing_ok=True)
        return _delete_oldest(folder, limit_bytes)


def mark_used(path: Path) -> None:
    """Note that a file was used; times of access are not kept on every disk, those of change are."""
    # A store that can only be read is not pruned either.
    with suppress(OSError):
        os.utime(path)


def _delete_oldest(folder: Path, limit_bytes: float) -> Pruned:
    entries = []
    for path in folder.glob(ENTRIES):
        if not path.name.startswith("."):
            found = path.stat()
            entries.append((found.st_mtime, path.name, found.st_size, path))
    surplus = sum(size for _, _, size, _ in entries) - limit_bytes
    deleted = Pruned()
    for used_s, _, size, path in sorted(entries):
        if deleted.size_bytes >= surplus:
            break
        path.unlink(missing_ok=True)
        deleted = Pruned(deleted.entries + 1, deleted.size_bytes + size, used_s)
    return deleted


def _open(folder: Path) -> IO[bytes] | None:
    """The file to lock; None where there can be none."""
    if fcntl is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOCK_FILE).open("ab")
    except OSError:
        return None


def _lock(file: IO[bytes], how: str) -> bool:
    """Whether the lock is held: together with others, for which it waits, or alone, for which it does not."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH if how == "shared" else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
