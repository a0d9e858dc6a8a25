"""A folder of arrays [clips, ...], one file each, that training maps into memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.media.atomic import atomic_path


def write_array_folder(
    folder: Path, clips: Iterable[Mapping[str, np.ndarray]], count: int, types: Mapping[str, Any]
) -> None:
    """Write `count` clips of equal shapes, one after the other: no more than one is held in memory.

    The files appear whole and together at the end, the last one named in `types` last; a killed run leaves none.

    Args:
        folder: Made where it is missing.
        clips: The arrays of each clip by name.
        count: Number of clips.
        types: Name and type of every array.

    Raises:
        ValueError: There are more or fewer clips than `count`, or one has other shapes than the first.
    """
    if count < 1:
        raise ValueError(f"count is {count}; clip tensors need at least 1 clip")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Files are put in their places in the reverse of the order in which they were opened here.
        paths = {
            name: stack.enter_context(atomic_path(folder / f"{name}.npy")) for name in reversed(list(types))
        }
        maps: dict[str, np.memmap] = {}
        written = 0
        for clip in clips:
            if written == count:
                raise ValueError(f"count is {count}, but there are more clips; give their number")
            for name, kind in types.items():
                array = np.asarray(clip[name])
                if written == 0:
                    shape = (count, *array.shape)
                    maps[name] = np.lib.format.open_memmap(paths[name], "w+", kind, shape)
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


def open_array_folder(folder: Path, names: Iterable[str], remedy: str) -> dict[str, np.ndarray]:
    """The named arrays, mapped into memory.

    Raises:
        ValueError: One is missing (`remedy` says what to do), or their numbers of clips differ.
    """
    missing = [name for name in names if not (folder / f"{name}.npy").is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(f'{name}.npy' for name in missing)}; {remedy}")
    arrays: dict[str, np.ndarray] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{folder} holds arrays of different numbers of clips: {lengths}")
    return arrays
