"""Files that are either complete or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spatialfoley.media.errors import MediaError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` on success, remove it on failure.

    The temporary name keeps the suffix, because writers choose the format by it, and starts with a dot, so
    that a killed run leaves nothing that looks finished.

    Raises:
        MediaError: the folder cannot be made or written.
    """
    target = Path(path)
    if target.is_dir():
        raise MediaError(f"cannot write {target}: it is a folder; give the name of a file")
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise MediaError(
            f"cannot write {target}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    try:
        yield temporary
        os.replace(temporary, target)  # noqa: PTH105 - replaces an existing file on every platform
    finally:
        temporary.unlink(missing_ok=True)
