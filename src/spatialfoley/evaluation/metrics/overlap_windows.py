"""The windows and variants in which the published tables compare energy maps: All, 1 fps, 5 fps."""

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.energy_overlap import FieldPoints, Variant, field_points

FloatArray = NDArray[np.floating]

SCORE_RATE_HZ = 16000
"""Every sound is brought to this rate before it is scored, as in the published evaluation."""

OVERLAP_WINDOWS: dict[str, float | None] = {"all": None, "1fps": 1.0, "5fps": 5.0}
VARIANTS: tuple[Variant, ...] = ("correct", "reference")


def all_points(samples: FloatArray) -> dict[tuple[str, Variant], FieldPoints]:
    """Energy points of a field (4, N) at the scoring rate for every window length and variant."""
    return {
        (name, variant): field_points(samples, SCORE_RATE_HZ, windows_per_s, variant)
        for name, windows_per_s in OVERLAP_WINDOWS.items()
        for variant in VARIANTS
    }
