"""How sure a figure is: 95 % intervals by clip.

References:
    Efron, "Bootstrap Methods", Annals of Statistics 1979 (percentile interval). Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", JASA 1927 (interval of a share).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval and the number of clips behind it."""

    value: float
    low: float
    high: float
    count: int


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = np.median,
    draws: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """Percentile-bootstrap 95 % interval of a statistic over clips.

    Args:
        values: One value per clip, shape (clips,), finite.
        statistic: Takes an array and ``axis``: `np.median`, `np.mean`.
        draws: Resamples.
        seed: Seed of the resampling: the same values give the same interval.

    Returns:
        The interval, or None without values.

    Raises:
        ValueError: A value is not finite: leave undefined clips out and count them.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    if not np.all(np.isfinite(array)):
        raise ValueError("values holds NaN or infinity; leave undefined clips out and count them")
    picks = np.random.default_rng(seed).integers(0, array.size, size=(draws, array.size))
    low, high = np.percentile(statistic(array[picks], axis=1), [2.5, 97.5])
    return Interval(float(statistic(array, axis=0)), float(low), float(high), int(array.size))


def wilson_interval(successes: float, trials: int) -> Interval | None:
    """Wilson 95 % interval of a share; None without trials.

    Raises:
        ValueError: `successes` is not in [0, trials].
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes is {successes}; it must lie in [0, trials = {trials}]")
    if trials == 0:
        return None
    share = successes / trials
    scale = 1 + _Z_95**2 / trials
    middle = (share + _Z_95**2 / (2 * trials)) / scale
    half = _Z_95 * np.sqrt(share * (1 - share) / trials + _Z_95**2 / (4 * trials**2)) / scale
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)), trials)
