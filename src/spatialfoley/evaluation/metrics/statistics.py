"""How sure a figure is: 95 % intervals by clip.

References:
    Efron, "Bootstrap Methods", Annals of Statistics 1979 (percentile interval). Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", JASA 1927 (interval of a share). Bland and
    Altman, "Calculating Correlation Coefficients with Repeated Observations", BMJ 1995 (within clips). Owen, "The
    Pigeonhole Bootstrap", Annals of Applied Statistics 2007 (runs and clips drawn independently).
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


def correlation_interval(
    moments: ArrayLike, within: bool = False, draws: int = 2000, seed: int = 0
) -> Interval | None:
    """Correlation of pairs that come in clips, with its bootstrap 95 % interval over clips.

    Args:
        moments: Sums over the pairs of each clip: count, x, y, x², y², xy; shape (clips, 6).
        within: Take each clip's own means off both sides first: only what changes within clips counts, not
            what differs between them.
        draws: Resamples.
        seed: Seed of the resampling.

    Returns:
        The interval, counting clips with pairs; None where there is nothing to correlate.
    """
    sums = _clip_moments(moments, within)
    value = float(_correlation(sums.sum(axis=0)))
    if not np.isfinite(value):
        return None
    picks = np.random.default_rng(seed).integers(0, len(sums), size=(draws, len(sums)))
    drawn = _correlation(sums[picks].sum(axis=1))
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    return Interval(value, float(low), float(high), len(sums))


def crossed_interval(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = np.nanmedian,
    draws: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """Bootstrap 95 % interval of a statistic over several runs on the same clips: runs and clips are drawn anew.

    Args:
        values: One value per run and clip, (runs, clips); NaN where a score is not defined.
        statistic: Takes an array and ``axis`` and passes over NaN: `np.nanmedian`, `np.nanmean`.
        draws: Resamples.
        seed: Seed of the resampling.

    Returns:
        The interval, counting defined values; None without any.

    Raises:
        ValueError: `values` has another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"values has shape {array.shape}; it must be (runs, clips)")
    # A clip that no run has a value for says nothing; drawn alone it would leave a resample empty.
    array = array[:, np.isfinite(array).any(axis=0)] if array.size else array
    if array.size == 0:
        return None
    drawn = _crossed_draws(array, draws, seed).reshape(draws, -1)
    drawn = drawn[np.isfinite(drawn).any(axis=1)]
    low, high = np.percentile(statistic(drawn, axis=1), [2.5, 97.5])
    count = int(np.isfinite(array).sum())
    return Interval(float(statistic(array, axis=None)), float(low), float(high), count)


def crossed_correlation_interval(
    moments: ArrayLike, within: bool = False, draws: int = 2000, seed: int = 0
) -> Interval | None:
    """As `correlation_interval` over several runs on the same clips: runs and clips are drawn anew.

    Args:
        moments: As there, of every run and clip: (runs, clips, 6).
        within: As there.
        draws: Resamples.
        seed: Seed of the resampling.

    Returns:
        The interval, counting runs and clips with pairs; None where there is nothing to correlate.
    """
    array = np.asarray(moments, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != 6:
        raise ValueError(f"moments has shape {array.shape}; it must be (runs, clips, 6)")
    if within:
        array = _about_means(array)
    value = float(_correlation(array.sum(axis=(0, 1))))
    if not np.isfinite(value):
        return None
    drawn = _correlation(_crossed_draws(array, draws, seed).sum(axis=(1, 2)))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high), int(np.sum(array[..., 0] > 0)))


def _crossed_draws(array: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Resamples (draws, runs, clips, ...) of (runs, clips, ...), runs and clips drawn independently."""
    rng = np.random.default_rng(seed)
    runs, clips = (rng.integers(0, size, (draws, size)) for size in array.shape[:2])
    return array[runs[:, :, None], clips[:, None, :]]


def _clip_moments(moments: ArrayLike, within: bool) -> np.ndarray:
    """Moments (clips, 6) of clips that have pairs, about their own means if asked."""
    sums = np.asarray(moments, dtype=np.float64)
    if sums.size == 0:
        return np.zeros((0, 6))
    if sums.ndim != 2 or sums.shape[1] != 6:
        raise ValueError(f"moments has shape {sums.shape}; it must be (clips, 6)")
    sums = sums[sums[:, 0] > 0]
    return _about_means(sums) if within else sums


def _about_means(sums: np.ndarray) -> np.ndarray:
    """Moments (..., 6) of the same pairs without their own means."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    some, nothing = np.maximum(count, 1), np.zeros_like(count)
    spreads = _spread(xx, x, some), _spread(yy, y, some)
    return np.stack([count, nothing, nothing, *spreads, xy - x * y / some], axis=-1)


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation of moments (..., 6); NaN where one side does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    count = np.maximum(count, 1)
    spread = np.sqrt(_spread(xx, x, count) * _spread(yy, y, count))
    return np.divide(xy - x * y / count, spread, out=np.full_like(spread, np.nan), where=spread > 0)


def _spread(squares: np.ndarray, total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Sum of squares about the mean; what rounding alone leaves is 0."""
    spread = squares - total * total / count
    return np.where(spread > 1e-12 * squares, spread, 0.0)
