"""Files of the store: a few clips' arrays in one safetensors file, whole or not there.

A file of its own for every clip would be a million files for 100,000 clips and ten encoders, which file systems
of clusters bear badly; a file for every shard would lose hours of work to a kill and would not fit in memory (the
patches of 500 clips are 17 GB). So a pack holds neighbours of a shard: up to 64 clips or 256 MB, at least one. A
kill loses no more than the pack under way. Readers map a pack and touch the arrays of one clip only.

    features/<encoder>/<basis>/encoder.json                  what the basis stands for
    features/<encoder>/<basis>/<shard>.<number>.safetensors  a pack; arrays are named <clip id>/<array>

The head of a pack says by which content of a clip its arrays were made, their checksums, and which clips could not
be encoded and why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spatialfoley.media.atomic import atomic_path

FOLDER, DESCRIPTION_FILE, FAILED_FILE = "features", "encoder.json", "failed.jsonl"
MOST_CLIPS, MOST_BYTES = 64, 256_000_000

_HEAD = "spatialfoley"
"""One entry holds all: the order of several is not the same in every run."""


@dataclass(frozen=True)
class PackedClip:
    """A clip of a pack.

    Attributes:
        key: Of the content that it was made of.
        sha256: Of its arrays.
        arrays: Their names.
    """

    key: str
    sha256: str
    arrays: tuple[str, ...]


@dataclass(frozen=True)
class FailedClip:
    """A clip that could not be encoded."""

    key: str
    kind: str
    sentence: str


@dataclass(frozen=True)
class PackHead:
    """What a pack says of itself."""

    basis: str
    clips: dict[str, PackedClip] = field(default_factory=dict)
    failed: dict[str, FailedClip] = field(default_factory=dict)

    def keys(self) -> dict[str, str]:
        """Content keys of all clips, those that failed included."""
        every: dict[str, PackedClip | FailedClip] = {**self.clips, **self.failed}
        return {clip: entry.key for clip, entry in every.items()}


def clips_per_pack(bytes_per_clip: int) -> int:
    """How many clips share a pack."""
    return max(1, min(MOST_CLIPS, MOST_BYTES // max(1, bytes_per_clip)))


def pack_path(folder: Path, shard: str, number: int) -> Path:
    """Where a pack of a shard lies."""
    return folder / f"{Path(shard).stem}.{number:04d}.safetensors"


def packs_of(folder: Path, shard: str) -> list[Path]:
    """All packs of a shard."""
    return sorted(folder.glob(f"{Path(shard).stem}.[0-9]*.safetensors"))


def all_packs(folder: Path) -> list[Path]:
    """All packs of a folder; a half-written one has a name with a dot in front."""
    return sorted(path for path in folder.glob("*.safetensors") if not path.name.startswith("."))


def write_pack(
    path: Path,
    basis: str,
    made: Mapping[str, tuple[str, Mapping[str, Tensor]]],
    failed: Mapping[str, FailedClip],
) -> PackHead:
    """Write a pack.

    Args:
        path: Where.
        basis: Of the encoder.
        made: Content key and arrays of every clip.
        failed: Clips without arrays, and why.
    """
    clips: dict[str, PackedClip] = {}
    tensors: dict[str, Tensor] = {}
    for clip, (key, arrays) in made.items():
        plain = {name: array.contiguous() for name, array in sorted(arrays.items())}
        clips[clip] = PackedClip(key, arrays_sha256(plain), tuple(plain))
        tensors |= {f"{clip}/{name}": array for name, array in plain.items()}
    head = PackHead(basis, clips, dict(failed))
    with atomic_path(path) as partial:
        save_file(tensors, partial, {_HEAD: json.dumps(asdict(head), sort_keys=True)})
    return head


def read_head(path: Path) -> PackHead | None:
    """What a pack says of itself; None where there is none, or a damaged one."""
    try:
        with safe_open(path, "pt") as stored:
            document = json.loads((stored.metadata() or {})[_HEAD])
        clips = {
            clip: PackedClip(entry["key"], entry["sha256"], tuple(entry["arrays"]))
            for clip, entry in document["clips"].items()
        }
        failed = {clip: FailedClip(**entry) for clip, entry in document["failed"].items()}
        return PackHead(document["basis"], clips, failed)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


def read_clip(path: Path, clip: str, entry: PackedClip) -> dict[str, Tensor]:
    """The arrays of a clip.

    Raises:
        ValueError: The pack is damaged.
    """
    try:
        with safe_open(path, "pt") as stored:
            return {name: stored.get_tensor(f"{clip}/{name}") for name in entry.arrays}
    except (OSError, SafetensorError) as problem:
        raise ValueError(
            f"{path} cannot be read ({problem}); delete it and add the features again"
        ) from problem


def arrays_sha256(arrays: Mapping[str, Tensor]) -> str:
    """Of names, shapes, types and content."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {tuple(array.shape)} {array.dtype}".encode())
        # An array of no element has no bytes to look at.
        if array.numel():
            digest.update(array.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
