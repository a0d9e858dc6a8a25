"""What listeners heard in a file, kept on disk under a name that says everything it depends on.

An entry is named by the hash of: the file's bytes, the listener and its weights, how the sound was prepared,
and the source code of preparation and networks with the versions of the libraries that calculate. So an entry
can be missing or damaged, but not stale: whatever changes, it has another name. Entries are written whole or
not at all; one that does not hold what it says is made anew. `store_size` deletes those that were not used for
longest.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.store_size import mark_used
from spatialfoley.evaluation.pairs.views import Hearing
from spatialfoley.media.atomic import atomic_path
from spatialfoley.weights.store import home

FORMAT = 2

_FRONT_END = (
    "evaluation/networks",
    "evaluation/pairs/layouts.py",
    "evaluation/pairs/protocols.py",
    "evaluation/pairs/views.py",
    "features",
    "media/audio.py",
    "resources",
    "spatial",
)
_LIBRARIES = ("torch", "numpy", "soxr", "soundfile", "av")


@dataclass(frozen=True)
class EmbeddingStore:
    """A folder of entries.

    Attributes:
        folder: Made when the first entry is written.
    """

    folder: Path

    def read(self, key: str, channels: Sequence[str]) -> Heard | None:
        """An entry; None where it is missing, damaged or of other channels."""
        try:
            with np.load(self._path(key), allow_pickle=False) as entry:
                if str(entry["key"]) != key or tuple(entry["channels"]) != tuple(channels):
                    return None
                logits = entry.get("logits")
                heard = Heard(entry["embeddings"], logits)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        arrays = [heard.embeddings, *([] if logits is None else [logits])]
        fits = heard.embeddings.ndim == 3 and all(len(array) == len(channels) for array in arrays)
        if not (fits and all(bool(np.isfinite(array).all()) for array in arrays)):
            return None
        mark_used(self._path(key))
        return heard

    def write(self, key: str, channels: Sequence[str], heard: Heard) -> None:
        """Keep what was heard."""
        arrays: dict[str, NDArray] = {"embeddings": heard.embeddings}
        if heard.logits is not None:
            arrays["logits"] = heard.logits
        with atomic_path(self._path(key)) as path:
            np.savez(path, key=np.array(key), channels=np.array(channels), **arrays)  # type: ignore[arg-type]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


def default_store_folder() -> Path:
    """Where embeddings are kept unless told otherwise: beside the downloaded models."""
    return home() / "embeddings"


def embedding_key(file_sha256: str, listener: str, weights_sha256: str, hearing: Hearing) -> str:
    """Name of an entry: a hash of all that it depends on."""
    facts = {
        "format": FORMAT,
        "file": file_sha256,
        "listener": listener,
        "weights": weights_sha256,
        "hearing": asdict(hearing),
        "code": code_sha256(_FRONT_END),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of this package and of the libraries that calculate."""
    return {name: version(name) for name in ("spatialfoley", *_LIBRARIES)}


@cache
def code_sha256(parts: Iterable[str]) -> str:
    """Hash of source files of the package and of the versions of the libraries that calculate.

    Args:
        parts: Files or folders, relative to the package.
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for name in _LIBRARIES:
        digest.update(f"{name} {version(name)}\n".encode())
    for part in parts:
        place = root / part
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for path in files:
            if path.suffix != ".pyc":
                digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
