"""Fingerprints of weights, remembered between runs because large files take seconds to read."""

import hashlib
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from spatialfoley.weights.errors import WeightsError
from spatialfoley.weights.state_dict import weight_files


def sha256_of(path: str | Path, memory: Path | None = None) -> str:
    """Return the SHA-256 of a file in hex; of a folder: of its weights files.

    One weights file gives its own hash, so that it can be compared with published ones; several give the hash
    of their names and hashes.

    Args:
        path: a file or a checkpoint folder.
        memory: JSON file that remembers hashes by path, size and time of change; None: only this process does.

    Raises:
        WeightsError: nothing there.
    """
    files = weight_files(path)
    hashes = [_remembered(file.resolve(), memory) for file in files]
    if len(files) == 1:
        return hashes[0]
    joined = "".join(f"{file.name} {digest}\n" for file, digest in zip(files, hashes, strict=True))
    return hashlib.sha256(joined.encode()).hexdigest()


def _remembered(file: Path, memory: Path | None) -> str:
    state = file.stat()
    key = f"{file}|{state.st_size}|{state.st_mtime_ns}"
    known: dict[str, str] = {}
    if memory is not None and memory.is_file():
        try:
            known = json.loads(memory.read_text("utf-8"))
        except ValueError:
            known = {}  # a damaged memory only costs the time to hash again
    if key not in known:
        known[key] = _hash(file, key)
        if memory is not None:
            _store(memory, known)
    return known[key]


@lru_cache(maxsize=64)
def _hash(file: Path, key: str) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{file} cannot be read ({error.strerror}); allow reading it") from error


def _store(memory: Path, known: dict[str, str]) -> None:
    temporary = memory.with_name(f".{memory.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps(known, indent=1), "utf-8")
        os.replace(temporary, memory)  # noqa: PTH105 - replaces an existing file on every platform
    except OSError:
        temporary.unlink(missing_ok=True)  # a cache that cannot be written is no reason to stop
