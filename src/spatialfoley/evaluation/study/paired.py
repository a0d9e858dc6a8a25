"""One row of a table against another on the same clips: changes with 95 % intervals, and what they say of claims.

Clips are harder or easier for all rows alike. Two intervals that overlap say little therefore; the difference,
with clips drawn anew for both rows together and runs of each row on their own, says what can be said.

Few runs:
    Three training runs show little of how runs differ, and drawing three anew shows a third of that variance too
    little. So it is told beside every difference in how many pairs of runs of one seed it has the same sign.

Distances between sets:
    They have no value by clip. Every run brings the distance of all its clips and of sets of clips drawn anew, the
    same sets for all runs (`drawn_distances`). Drawing clips twice moves a distance; both rows move alike, and what
    is left is taken off (`frechet.shifted_interval`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialfoley.evaluation.metrics.frechet import frechet_distance, shifted_interval
from spatialfoley.evaluation.metrics.statistics import Interval

FloatArray = NDArray[np.floating]
Statistic = Callable[..., np.ndarray]
Wanted = Literal["above", "below", "within"]
Verdict = Literal["holds", "does not hold", "cannot be told"]

DISTANCE_DRAWS = 100


@dataclass(frozen=True)
class Change:
    """What a step changed.

    Attributes:
        interval: The later row minus the earlier one, or its multiple of it.
        agreeing: Pairs of runs of one seed in which it has the sign of the whole; 0 where it is 0.
        pairs: Such pairs.
    """

    interval: Interval
    agreeing: int
    pairs: int


def paired_change(
    earlier: ArrayLike,
    later: ArrayLike,
    statistic: Statistic = np.nanmean,
    same_runs: bool = False,
    ratio: bool = False,
    draws: int = 2000,
    seed: int = 0,
) -> Change | None:
    """A statistic of the later row minus that of the earlier one, clips and runs drawn anew.

    Args:
        earlier: One value per run and clip, (runs, clips), runs in order of their seeds; NaN where a score is not
            defined.
        later: The same for the same clips; runs may differ in number.
        statistic: Takes an array and ``axis`` and passes over NaN: `np.nanmean`, `np.nanmedian`.
        same_runs: Whether run i of both rows is one trained model, used in two ways: such runs are drawn together.
        ratio: Divide the later by the earlier figure instead.
        draws: Resamples.
        seed: Seed of the resampling.

    Returns:
        The change, counting clips that both rows have a value of; None without such a clip.

    Raises:
        ValueError: The shapes do not fit.
    """
    first, second = (np.asarray(values, np.float64) for values in (earlier, later))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"earlier has shape {first.shape}, later {second.shape}; both must be (runs, the same clips)"
        )
    _check_runs(len(first), len(second), same_runs)
    known = np.isfinite(first).any(axis=0) & np.isfinite(second).any(axis=0)
    first, second = first[:, known], second[:, known]
    if not known.any():
        return None
    combine: Callable[..., FloatArray] = _ratio if ratio else _difference
    clips = np.random.default_rng((seed, 0)).integers(0, first.shape[1], (draws, 1, first.shape[1]))
    drawn = [
        statistic(values[runs[:, :, None], clips].reshape(draws, -1), axis=1)
        for values, runs in zip(
            (first, second), _run_draws(len(first), len(second), same_runs, draws, seed), strict=True
        )
    ]
    changes = combine(*drawn)
    low, high = np.percentile(changes[np.isfinite(changes)], [2.5, 97.5])
    value = float(combine(statistic(first, axis=None), statistic(second, axis=None)))
    by_run = [float(combine(statistic(a), statistic(b))) for a, b in zip(first, second, strict=False)]
    interval = Interval(value, float(low), float(high), int(known.sum()))
    return Change(interval, *_agreement(value, by_run, 1.0 if ratio else 0.0))


def drawn_distances(
    reference: FloatArray, estimate: FloatArray, draws: int = DISTANCE_DRAWS, seed: int = 0
) -> FloatArray:
    """Fréchet distance of a run from the truth, of all clips and of clips drawn anew.

    Args:
        reference: Embeddings of the truth, (clips, ears, frames, dimensions); the distance is averaged over ears.
        estimate: Of the run, the same shape.
        draws: Sets that are drawn; set d holds the same clips in every run.
        seed: Seed of the drawing.

    Returns:
        The distance of all clips and of every set, (1 + draws,).
    """
    picks = np.random.default_rng(seed).integers(0, len(reference), (draws, len(reference)))
    whole = frechet_distance(reference, estimate)
    return np.array([whole, *(frechet_distance(reference[pick], estimate[pick]) for pick in picks)])


def distance_interval(distances: Sequence[FloatArray], clips: int, seed: int = 0) -> Interval:
    """Mean distance of a row's runs, each of `drawn_distances`, with its interval over runs and clips."""
    values = np.stack([np.asarray(one, np.float64) for one in distances])
    runs, _ = _run_draws(len(values), len(values), True, values.shape[1] - 1, seed)
    return shifted_interval(float(values[:, 0].mean()), _over_runs(values, runs), clips * len(values))


def distance_change(
    earlier: Sequence[FloatArray],
    later: Sequence[FloatArray],
    clips: int,
    same_runs: bool = False,
    seed: int = 0,
) -> Change:
    """Mean distance of the later row's runs minus that of the earlier one's, with its interval over runs and clips.

    Args:
        earlier: Of every run, from `drawn_distances`.
        later: The same, of the same clips and sets.
        clips: How many clips there are.
        same_runs: As of `paired_change`.
        seed: Seed of drawing runs.
    """
    first, second = (np.stack([np.asarray(one, np.float64) for one in row]) for row in (earlier, later))
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"earlier has {first.shape[1]} distances of a run, later {second.shape[1]}; draw the same sets"
        )
    _check_runs(len(first), len(second), same_runs)
    picks = _run_draws(len(first), len(second), same_runs, first.shape[1] - 1, seed)
    drawn = _over_runs(second, picks[1]) - _over_runs(first, picks[0])
    value = float(second[:, 0].mean() - first[:, 0].mean())
    low, high = value + np.percentile(drawn, [2.5, 97.5]) - drawn.mean()
    by_run = [float(b[0] - a[0]) for a, b in zip(first, second, strict=False)]
    return Change(Interval(value, float(low), float(high), clips), *_agreement(value, by_run, 0.0))


def verdict(change: Interval | None, wanted: Wanted, limit: float = 0.0) -> Verdict:
    """What an interval says of a claim about the figure that it is of.

    Args:
        change: The interval; None where there is none.
        wanted: "above" the limit, "below" it, or "within" ±limit.
        limit: In the figure's unit; not negative for "within".

    Returns:
        "holds" where the whole interval agrees with the claim, "does not hold" where none of it does.

    Raises:
        ValueError: `wanted` is unknown, or the limit of "within" is negative.
    """
    if wanted not in get_args(Wanted):
        raise ValueError(f"wanted is {wanted!r}; it must be one of {', '.join(get_args(Wanted))}")
    if wanted == "within" and limit < 0:
        raise ValueError(f"limit is {limit}; a change lies within ±limit, so that it must be 0 or more")
    if change is None:
        return "cannot be told"
    least, most = {"above": (limit, np.inf), "below": (-np.inf, limit), "within": (-limit, limit)}[wanted]
    # An end on the limit itself is no change: a row against itself neither rises nor falls.
    inside = least <= change.low and change.high <= most
    strictly = wanted == "within" or (change.low > least and change.high < most)
    if inside and strictly:
        return "holds"
    return "does not hold" if change.high < least or change.low > most else "cannot be told"


def _run_draws(
    earlier: int, later: int, same_runs: bool, draws: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Runs of both rows in every resample, (draws, runs) each."""
    rng = np.random.default_rng((seed, 1))
    first = rng.integers(0, earlier, (draws, earlier))
    return first, first if same_runs else rng.integers(0, later, (draws, later))


def _over_runs(values: FloatArray, runs: NDArray[np.intp]) -> FloatArray:
    """Mean over drawn runs (draws, R) of values (runs, 1 + draws) of the same draw."""
    sets = np.arange(1, values.shape[1])[:, None]
    return values[runs, sets].mean(axis=1)


def _agreement(value: float, by_run: Sequence[float], nothing: float) -> tuple[int, int]:
    sign = np.sign(value - nothing)
    return int(sum(sign != 0 and np.sign(one - nothing) == sign for one in by_run)), len(by_run)


def _difference(earlier: FloatArray, later: FloatArray) -> FloatArray:
    return later - earlier


def _ratio(earlier: FloatArray, later: FloatArray) -> FloatArray:
    return later / earlier


def _check_runs(earlier: int, later: int, same_runs: bool) -> None:
    if not earlier or not later or (same_runs and earlier != later):
        raise ValueError(
            f"there are {earlier} earlier and {later} later runs; give one or more, and as many if they are the "
            "same"
        )
