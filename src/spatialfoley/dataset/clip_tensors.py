"""What a ViSAGe generator trains on: per clip the codes, the visual features and the camera direction.

A folder of arrays [clips, variants, ...] that training maps into memory. Variant 0 is the clip as recorded; the
others are augmentations computed beforehand (the published quarter turn, or the world's mirror image).

    codes.npy       int16    [clips, variants, S, K]   channel-major codebooks; -1 where a short clip is padded
    embedding.npy   float16  [clips, variants, T, D]
    energy_map.npy  float16  [clips, variants, T, 49]
    direction.npy   float32  [clips, variants, 3]      right, down, forward
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from spatialfoley.media.atomic import atomic_path

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
        missing = [name for name in ARRAYS if not (folder / f"{name}.npy").is_file()]
        if missing:
            raise ValueError(
                f"{folder} lacks {', '.join(f'{name}.npy' for name in missing)}; "
                "make them with 'spatialfoley dataset prepare' or point data.folder elsewhere"
            )
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"{folder} holds arrays of different numbers of clips: {lengths}")

    def __len__(self) -> int:
        return len(self.arrays["codes"])

    @property
    def variants(self) -> int:
        """Number of variants of each clip, the original included."""
        return int(self.arrays["codes"].shape[1])

    def take(self, clips: np.ndarray, variants: np.ndarray) -> ClipArrays:
        """The named variant of each named clip, both of shape (B,); arrays get the batch axis B."""
        return ClipArrays(**{name: array[clips, variants] for name, array in self.arrays.items()})


def write_clip_tensors(folder: Path, clips: Iterable[ClipArrays], count: int) -> None:
    """Write `count` clips of equal shapes, one after the other: no more than one is held in memory.

    The files appear whole and together at the end, direction.npy last; a killed run leaves none.

    Raises:
        ValueError: There are more or fewer clips than `count`, or one has other shapes than the first.
    """
    if count < 1:
        raise ValueError(f"count is {count}; clip tensors need at least 1 clip")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Files are put in their places in the reverse of the order in which they were opened here.
        paths = {name: stack.enter_context(atomic_path(folder / f"{name}.npy")) for name in reversed(ARRAYS)}
        maps: dict[str, np.memmap] = {}
        written = 0
        for clip in clips:
            if written == count:
                raise ValueError(f"count is {count}, but there are more clips; give their number")
            for name in ARRAYS:
                array = np.asarray(getattr(clip, name))
                if written == 0:
                    shape = (count, *array.shape)
                    maps[name] = np.lib.format.open_memmap(paths[name], "w+", TYPES[name], shape)
                if array.shape != maps[name].shape[1:]:
                    raise ValueError(
                        f"clip {written} has {name} of shape {array.shape}, but the first has "
                        f"{maps[name].shape[1:]}; prepare all clips with one model"
                    )
                maps[name][written] = array
            written += 1
        if written < count:
            raise ValueError(f"count is {count}, but there are only {written} clips; give their number")
        for mapped in maps.values():
            mapped.flush()
