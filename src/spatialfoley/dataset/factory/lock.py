"""One build at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".build.lock"


@contextmanager
def build_lock(root: Path) -> Iterator[None]:
    """Hold the folder; the lock of a process that was killed goes with it.

    Raises:
        ValueError: Another build holds it.
    """
    with (root / LOCK_FILE).open("a+") as file:
        try:
            _lock(file.fileno())
        except OSError:
            file.seek(0)
            raise ValueError(
                f"{root} is being built by process {file.read().strip() or 'unknown'}; wait for it, or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        # Windows locks bytes: the one behind any process number.
        os.lseek(descriptor, 64, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
