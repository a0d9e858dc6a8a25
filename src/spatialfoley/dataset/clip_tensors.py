"""What a ViSAGe generator trains on: per clip the codes, the visual features and the camera direction.

A folder of arrays [clips, variants, ...] that training maps into memory. Variant 0 is the clip as recorded; the
others are augmentations computed beforehand (the published quarter turn, or the world's mirror image).

    codes.npy       int16    [clips, variants, S, K]   channel-major codebooks; -1 where a short clip is padded
    embedding.npy   float16  [clips, variants, T, D]
    energy_map.npy  float16  [clips, variants, T, 49]
    direction.npy   float32  [clips, variants, 3]      right, down, forward

What all variants of a clip share, such as the picture of a turned field, may be there once: [clips, 1, ...].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spatialfoley.dataset.array_folder import open_array_folder, write_array_folder

TYPES = {"codes": np.int16, "embedding": np.float16, "energy_map": np.float16, "direction": np.float32}
ARRAYS = tuple(TYPES)


@dataclasses.dataclass(frozen=True)
class ClipArrays:
    """One clip with all its variants; see the module's table for shapes without the first axis."""

    codes: np.ndarray
    embedding: np.ndarray
    energy_map: np.ndarray
    direction: np.ndarray


class ClipTensors:
    """A folder of clip arrays, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        remedy = "make them with 'spatialfoley dataset prepare' or point data.folder elsewhere"
        self.arrays = open_array_folder(folder, ARRAYS, remedy)

    def __len__(self) -> int:
        return len(self.arrays["codes"])

    @property
    def variants(self) -> int:
        """Number of variants of each clip, the original included."""
        return int(self.arrays["codes"].shape[1])

    def take(self, clips: np.ndarray, variants: np.ndarray) -> ClipArrays:
        """The named variant of each named clip, both of shape (B,); arrays get the batch axis B."""
        return ClipArrays(
            **{
                name: array[clips, variants if array.shape[1] > 1 else 0]
                for name, array in self.arrays.items()
            }
        )


def write_clip_tensors(folder: Path, clips: Iterable[ClipArrays], count: int) -> None:
    """Write `count` clips of equal shapes, one after the other: no more than one is held in memory.

    The files appear whole and together at the end, direction.npy last; a killed run leaves none.

    Raises:
        ValueError: There are more or fewer clips than `count`, or one has other shapes than the first.
    """
    names = {name: TYPES[name] for name in ARRAYS}
    plain = ({name: getattr(clip, name) for name in names} for clip in clips)
    write_array_folder(folder, plain, count, names)
