"""Seeds for training apart from seeds for evaluation, so that no held-out scene is ever trained on."""

from typing import Final

import numpy as np

TRAIN_SEEDS: Final = range(0, 10_000_000)
"""Seeds that training may draw from."""

HELD_OUT_SEEDS: Final = range(1_000_000_000, 2_000_000_000)
"""Seeds that only evaluation may draw from."""


def held_out_seed(index: int, suite_seed: int = 0) -> int:
    """Return the scene seed of one held-out clip.

    Args:
        index: Number of the clip in its suite, from 0 on.
        suite_seed: Seed of the suite, from 0 on; another one gives other clips.

    Returns:
        A seed in ``HELD_OUT_SEEDS``; the same for the same arguments. Two indices of one suite never meet.

    Raises:
        ValueError: If an argument is negative or the index is not below 1,000,000.
    """
    if not 0 <= index < 1_000_000:
        raise ValueError(
            f"index is {index}; it must be from 0 to 999999, use another suite_seed for more clips"
        )
    if suite_seed < 0:
        raise ValueError(f"suite_seed is {suite_seed}; it must be 0 or more")
    block = int(np.random.SeedSequence(suite_seed).generate_state(1)[0]) % 1000
    return HELD_OUT_SEEDS.start + block * 1_000_000 + index
