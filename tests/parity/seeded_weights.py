"""Random weights and sounds that are the same everywhere, so that no large file has to be stored.

Every tensor is drawn from a generator seeded with the checksum of its name. `RandomState` is used because its
streams are frozen. Nothing is imported from the package: the script that makes the cases runs where it is not.
"""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_DRAWN_AT_MOST = 1_048_573
"""A prime, so that no two rows of a large matrix begin alike: drawing all of its numbers takes seconds."""


def seeded_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray]:
    """Weights by name and shape, of sizes that keep a deep network alive."""
    return {key: seeded_tensor(key, shape) for key, shape in shapes.items()}


def seeded_tensor(key: str, shape: tuple[int, ...]) -> NDArray:
    """One tensor: what it is follows from the end of its name and its number of axes."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    size = int(np.prod(shape))
    drawn = np.random.RandomState(zlib.crc32(key.encode())).random_sample(min(size, _DRAWN_AT_MOST))
    spread = np.resize((drawn * 2 - 1).astype(np.float32), shape)  # in [-1, 1), repeated to fill the shape
    if key.endswith("running_var"):
        values = 1.0 + 0.5 * spread
    elif key.endswith(("running_mean", "bias")):
        values = 0.1 * spread
    elif key.endswith("weight") and len(shape) == 1:
        values = 1.0 + 0.2 * spread
    elif key.endswith("weight"):
        values = spread * np.float32(np.sqrt(6.0 / np.prod(shape[1:])))
    else:
        values = 0.5 * spread
    return np.asarray(values, dtype=np.float32)


def seeded_sounds(seed: int, count: int, samples: int, rate_hz: int) -> NDArray[np.float32]:
    """Sounds (count, samples): a chirp that comes and goes over noise, each at its own level."""
    random = np.random.RandomState(seed)
    time_s = np.arange(samples) / rate_hz
    sounds = []
    for index in range(count):
        turns = (200.0 + 150.0 * index) * time_s + 0.5 * (900.0 + 300.0 * index) * time_s**2
        chirp = np.sin(2 * np.pi * turns) * (0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * time_s + index))
        noise = random.random_sample(samples) * 2 - 1
        sounds.append((0.4 * chirp + 0.05 * noise) * 0.5**index)
    return np.stack(sounds).astype(np.float32)
