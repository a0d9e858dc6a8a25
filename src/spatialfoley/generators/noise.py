"""Random numbers that belong to a clip: they depend on neither its batch nor the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def clip_generators(seed: int, clip_indices: Sequence[int]) -> list[torch.Generator]:
    """One generator on the CPU per clip.

    Args:
        seed: Any non-negative integer.
        clip_indices: One non-negative number per clip of the batch; the same number gives the same generator.

    Raises:
        ValueError: If a number is negative or there is no clip.
    """
    if seed < 0 or not clip_indices or min(clip_indices) < 0:
        raise ValueError(f"seed {seed} and clip_indices {list(clip_indices)} must be at least 0, one or more")
    return [
        torch.Generator().manual_seed(int(np.random.SeedSequence((seed, index)).generate_state(1)[0]))
        for index in clip_indices
    ]
