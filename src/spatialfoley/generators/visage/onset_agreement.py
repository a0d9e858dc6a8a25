"""How well a sound begins when something is seen to happen: a score for `candidates`, in numpy.

Our reading of "reranking"; nothing is published of it. It needs no weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RANGE_DB = 40.0
"""What is this far below the loudest moment counts as this far below: no onsets in faint tails."""

FloatArray = npt.NDArray[np.float64]


def seen_change(energy_map: npt.ArrayLike) -> FloatArray:
    """How much the seen energy changes from each video frame to the next.

    Args:
        energy_map: Energy of the 49 patches of each frame (T, 49), T at least 1.

    Returns:
        (T,), 0 for the first frame.

    Raises:
        ValueError: If the shape is impossible.
    """
    patches = np.asarray(energy_map, np.float64)
    if patches.ndim != 2 or len(patches) == 0:
        raise ValueError(f"energy_map has the shape {patches.shape}, not (T, patches)")
    return np.abs(np.diff(patches, axis=0, prepend=patches[:1])).sum(axis=1)


def loudness_rise(mono: npt.ArrayLike, parts: int) -> FloatArray:
    """How much louder each of some equal parts of a sound is than the part before, in dB; falls count 0.

    Args:
        mono: (N,), N at least `parts`.
        parts: At least 1.

    Returns:
        (parts,), 0 for the first.

    Raises:
        ValueError: If a shape or the number of parts is impossible.
    """
    samples = np.asarray(mono, np.float64)
    if samples.ndim != 1 or not 1 <= parts <= len(samples):
        raise ValueError(f"mono has the shape {samples.shape}, not (N,) with N at least parts, {parts}")
    ends = np.arange(parts + 1) * len(samples) // parts
    power = np.add.reduceat(samples**2, ends[:-1]) / np.diff(ends)
    floor = max(float(power.max()) * 10 ** (-RANGE_DB / 10), np.finfo(np.float64).tiny)
    level_db = 10 * np.log10(np.maximum(power, floor))
    return np.maximum(np.diff(level_db, prepend=level_db[:1]), 0.0)


def onset_agreement(mono: npt.ArrayLike, energy_map: npt.ArrayLike) -> float:
    """Whether a sound rises when the seen energy changes: their correlation over the video frames.

    Args:
        mono: (N,), W of a field.
        energy_map: Energy of the patches of each frame (T, 49), over the same time; T at most N.

    Returns:
        -1 to 1; 0 where nothing rises or nothing changes.

    Raises:
        ValueError: If a shape is impossible.
    """
    seen = seen_change(energy_map)
    heard = loudness_rise(mono, len(seen))
    seen, heard = seen - seen.mean(), heard - heard.mean()
    scale = float(np.linalg.norm(seen) * np.linalg.norm(heard))
    return float(seen @ heard) / scale if scale > 0 else 0.0
