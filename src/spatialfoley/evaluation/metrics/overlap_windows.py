"""The windows and variants in which the published tables compare energy maps: All, 1 fps, 5 fps."""

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.energy_points import (
    FieldPoints,
    Variant,
    covariance_points,
    covariances_over_time,
)

FloatArray = NDArray[np.floating]

SCORE_RATE_HZ = 16000
"""Every sound is brought to this rate before it is scored, as in the published evaluation."""

OVERLAP_WINDOWS: dict[str, float | None] = {"all": None, "1fps": 1.0, "5fps": 5.0}
VARIANTS: tuple[Variant, ...] = ("correct", "reference")

_SHORT_PER_LONG = 5
"""Windows at 5 fps in one at 1 fps."""


def all_points(samples: FloatArray) -> dict[tuple[str, Variant], FieldPoints]:
    """Energy points of a field (4, N) at the scoring rate for every window length and variant.

    Raises:
        ValueError: No FOA, not finite, or shorter than a second.
    """
    covariances = all_covariances(samples)
    return {
        (name, variant): covariance_points(covariances[name], variant)
        for name in OVERLAP_WINDOWS
        for variant in VARIANTS
    }


def all_covariances(samples: FloatArray) -> dict[str, FloatArray]:
    """Covariances (M, 4, 4) of a field (4, N) at the scoring rate for every window length.

    The sound is gone through once: longer windows are sums of the shortest ones.
    """
    if samples.shape[-1] < SCORE_RATE_HZ:
        # Says what is wrong, and with which length.
        covariances_over_time(samples, SCORE_RATE_HZ, OVERLAP_WINDOWS["1fps"])
    short = covariances_over_time(samples, SCORE_RATE_HZ, OVERLAP_WINDOWS["5fps"])
    seconds = samples.shape[1] // SCORE_RATE_HZ
    long = short[: seconds * _SHORT_PER_LONG].reshape(seconds, _SHORT_PER_LONG, 4, 4).mean(axis=1)
    length = SCORE_RATE_HZ // _SHORT_PER_LONG
    rest = samples[:, len(short) * length :].astype(np.float64)
    whole = (short.sum(axis=0) * length + rest @ rest.T) / samples.shape[1]
    return {"all": whole[None], "1fps": long, "5fps": short}
