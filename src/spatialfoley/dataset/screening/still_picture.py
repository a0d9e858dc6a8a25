"""Whether a picture stands still: Sphere360's rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.dataset.factory.stage import Rejected

SAMPLE_RATE_HZ = 2.0


@dataclass(frozen=True)
class StillLimits:
    """Limits of the screen.

    Attributes:
        still_mse: Two pictures half a second apart are the same when the mean square of their gray difference, of
            256 steps, is below; Sphere360's tools.
        most_still: Rejected when a larger share of the pairs is the same; Sphere360's tools.
    """

    still_mse: float = 5.0
    most_still: float = 0.85

    def __post_init__(self) -> None:
        if self.still_mse < 0:
            raise ValueError(f"still_mse is {self.still_mse}; it must be at least 0")
        if not 0 <= self.most_still <= 1:
            raise ValueError(f"most_still is {self.most_still}; it is a share from 0 to 1")


def gray(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma of RGB frames (T, H, W, 3) in 256 steps, (T, H, W), by the weights of BT.601."""
    return np.asarray(frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def change_mse(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean square of the gray difference of each frame (T, H, W, 3) to the one before, (T - 1,)."""
    return np.square(np.diff(gray(frames), axis=0), dtype=np.float64).mean(axis=(1, 2))


def why_still(changes: NDArray[np.floating], limits: StillLimits | None = None) -> Rejected | None:
    """The reason to leave a picture out; None for one that moves.

    Args:
        changes: Mean square differences of pairs of pictures half a second apart, (N,).
        limits: Where the limits lie.
    """
    limits = limits or StillLimits()
    numbers = still_numbers(changes, limits)
    if numbers["pairs"] == 0 or numbers["still_share"] <= limits.most_still:
        return None
    return Rejected(
        "static_video",
        f"in {100 * numbers['still_share']:.0f} % of its half seconds the picture changes by less than "
        f"{limits.still_mse:g}",
        numbers,
    )


def still_numbers(changes: NDArray[np.floating], limits: StillLimits | None = None) -> dict[str, float]:
    """Share of still pairs, median change and number of pairs."""
    limits = limits or StillLimits()
    if len(changes) == 0:
        return {"still_share": 0.0, "median_mse": 0.0, "pairs": 0}
    return {
        "still_share": round(float(np.mean(changes < limits.still_mse)), 4),
        "median_mse": round(float(np.median(changes)), 3),
        "pairs": len(changes),
    }
