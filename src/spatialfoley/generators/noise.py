"""Random numbers that belong to a clip: they depend on neither its batch nor the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def clip_generators(seed: int, clip_indices: Sequence[int], candidates: int = 1) -> list[torch.Generator]:
    """One generator on the CPU per clip and candidate.

    Args:
        seed: Any non-negative integer.
        clip_indices: One non-negative number per clip of the batch; the same number gives the same generator.
        candidates: Tries at each clip. The first has the generator that the clip has alone.

    Returns:
        Those of the first clip's candidates, of the second's, and so on.

    Raises:
        ValueError: If a number is negative, or there is no clip or candidate.
    """
    if candidates < 1:
        raise ValueError(f"candidates is {candidates}, but must be at least 1")
    if seed < 0 or not clip_indices or min(clip_indices) < 0:
        raise ValueError(f"seed {seed} and clip_indices {list(clip_indices)} must be at least 0, one or more")
    return [_generator(seed, index, candidate) for index in clip_indices for candidate in range(candidates)]


def _generator(seed: int, index: int, candidate: int) -> torch.Generator:
    entropy = (seed, index) if candidate == 0 else (seed, index, candidate)
    return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
