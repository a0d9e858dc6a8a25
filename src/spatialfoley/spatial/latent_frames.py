"""Between two clocks: short-time frames of 20 ms, and the latents of an autoencoder at a rate of their own.

Short-time frame t is centred on sample t hop (`short_time.analyse`); a latent stands for the middle of the stretch
that it covers. Values are interpolated linearly between the centres, and held before the first and behind the last.
This is the one place where parameters of `spatial.parametric` change their rate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.short_time import hop_samples

FloatArray = npt.NDArray[np.floating]


def latents_of_frames(
    values: FloatArray, rate_hz: int, latent_samples: int, latents: int
) -> npt.NDArray[np.float32]:
    """Values of short-time frames as those of latents, for training.

    Args:
        values: Of each frame (..., T).
        rate_hz: Of the sound.
        latent_samples: Samples that one latent covers.
        latents: How many there are.

    Returns:
        (..., latents).
    """
    return _interpolated(values, _frame_centres(values.shape[-1], rate_hz), _centres(latents, latent_samples))


def frames_of_latents(
    values: FloatArray, rate_hz: int, latent_samples: int, samples: int
) -> npt.NDArray[np.float32]:
    """Values of latents as those of the short-time frames of a sound, for synthesis.

    Args:
        values: Of each latent (..., L).
        rate_hz: Of the sound.
        latent_samples: Samples that one latent covers.
        samples: Length of the sound.

    Returns:
        (..., T), as many as `short_time.analyse` makes of the sound.
    """
    frames = -(-samples // hop_samples(rate_hz)) + 1
    return _interpolated(values, _centres(values.shape[-1], latent_samples), _frame_centres(frames, rate_hz))


def _centres(latents: int, latent_samples: int) -> FloatArray:
    """Middle of each latent in samples."""
    return (np.arange(latents) + 0.5) * latent_samples


def _frame_centres(frames: int, rate_hz: int) -> FloatArray:
    return np.arange(frames) * float(hop_samples(rate_hz))


def _interpolated(values: FloatArray, known: FloatArray, wanted: FloatArray) -> npt.NDArray[np.float32]:
    """Values (..., K) at rising positions (K,) as those at others (M,)."""
    position = np.interp(wanted, known, np.arange(known.size))
    before = np.floor(position).astype(int)
    after = np.minimum(before + 1, known.size - 1)
    share = position - before
    return (values[..., before] * (1 - share) + values[..., after] * share).astype(np.float32)
