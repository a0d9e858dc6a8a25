"""C code beside a module, compiled on first use for this very CPU and kept in the user's cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.errors import MediaError

_TIMEOUT_S = 60


def load_compiled(source: Path, options: Sequence[str]) -> ctypes.CDLL:
    """Compile a C file, unless that was done before, and load it.

    Args:
        source: The file.
        options: Of the compiler.

    Raises:
        RuntimeError: There is no compiler, or it fails.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("no C compiler (gcc or cc) is installed")
    key = hashlib.sha256("\n".join([source.read_text(), compiler, *options, _cpu()]).encode()).hexdigest()[
        :16
    ]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spatialfoley" / "native"
    path = folder / f"{source.stem}-{key}.so"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as unfinished:
                _compile(compiler, source, options, unfinished)
        return ctypes.CDLL(str(path))
    except (OSError, MediaError, subprocess.SubprocessError) as problem:
        raise RuntimeError(f"{source.name} could not be compiled and loaded: {problem}") from problem


def _cpu() -> str:
    """What the CPU can do, where that is told: code for one may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return "".join(sorted({line for line in lines if "flags" in line}))


def _compile(compiler: str, source: Path, options: Sequence[str], target: Path) -> None:
    """Two steps, so that the library is linked without an OpenMP of its own: torch has loaded one."""
    compiled = target.with_suffix(".o")
    try:
        for command in (
            [compiler, *options, "-c", str(source), "-o", str(compiled)],
            [compiler, "-shared", str(compiled), "-o", str(target), "-lm"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
    finally:
        compiled.unlink(missing_ok=True)
