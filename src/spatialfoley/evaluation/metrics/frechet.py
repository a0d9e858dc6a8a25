"""How far a set of sounds is from another one: Fréchet distance of Gaussians fitted to their embeddings.

Conventions:
    Embeddings are (clips, dimensions); (clips, ears, dimensions) for the mean of the distances of several ears;
    with several frames per clip, as VGGish has, (clips, ears, frames, dimensions), or a list with one array (ears,
    frames, dimensions) per clip where clips differ in length. All frames of all clips are one set, as in
    the published packages. Reference before estimate. Covariances divide by rows - 1. The distance is squared,
    as in the literature: 0 is best.

Exactness:
    See `gaussians`: eigenvalues of symmetric matrices only, exact also for fewer clips than dimensions.

Bias:
    The distance of two finite samples of the same sounds is above 0, about in proportion to 1 / clips. Compare
    only distances of equally many clips, or the unbiased estimates. These follow the line through the distance of
    all clips and the mean distance of sets that leave out a twentieth, over 1 / clips, to 0. Chong and Forsyth fit
    that line to random subsets down to a tenth of the clips; near as many clips as dimensions the curve bends, and
    the far points then spoil the line: for isotropic Gaussians (200 clips, 128 dimensions, distance 8.25) finite
    sets give 51.8, subsets down to a quarter 28.8, leaving out a twentieth 8.1 (`benchmarks/frechet_estimate.py`).

Intervals:
    95 % by the jackknife over 20 groups of clips: each group with all its frames, ears, truth and estimate is left
    out once, and the spread of the 20 distances gives the standard error (Student's t, 19 degrees). Not by
    bootstrap: drawing clips twice lowers the rank of the covariances, which moves the distances and in
    many dimensions widens their spread (threefold in the case above). In the simulations of that benchmark the
    jackknife interval held the expected value in 93 to 100 % of samples, and, around the unbiased estimate,
    the true distance in 90 to 100 %; with fewer clips than dimensions in about 80 %. It takes 20 distances instead
    of 100.

References:
    Kilgour et al., "Fréchet Audio Distance", Interspeech 2019. Chong and Forsyth, "Effectively Unbiased FID and
    Inception Score and Where to Find Them", CVPR 2020 (bias in 1 / clips). Kott, "The Delete-a-Group Jackknife",
    Journal of Official Statistics 2001.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.gaussians import (
    Gaussian,
    gaussian_of_rows,
    gaussian_of_sums,
    squared_distance,
    sum_rows,
)
from spatialfoley.evaluation.metrics.statistics import Interval

FloatArray = NDArray[np.floating]
Embeddings = FloatArray | Sequence[FloatArray]

GROUPS = 20
"""Groups of clips of which each is left out once."""

NOTABLE_BIAS = 0.1
"""Warn when few clips make up more than this share of a distance."""

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class FrechetEstimate:
    """A Fréchet distance and what to think of it.

    Attributes:
        value: Distance of these clips, as other packages give it.
        unbiased: Estimate for infinitely many clips; it may fall below 0 where the sets are alike.
        interval: 95 % interval of `value`, not below 0.
        unbiased_interval: 95 % interval of `unbiased`: of the same width, as both move together.
        clips: Pairs of clips.
        dimensions: Of the embeddings.
        warning: A sentence where the number of clips matters much; None where it does not.
    """

    value: float
    unbiased: float
    interval: Interval
    unbiased_interval: Interval
    clips: int
    dimensions: int
    warning: str | None


def frechet_distance(reference: Embeddings, estimate: Embeddings) -> float:
    """Fréchet distance of two sets of embeddings, of equally many clips or not.

    Args:
        reference: Embeddings of true sounds, shapes as in the module's conventions.
        estimate: Embeddings of the sounds to score.

    Raises:
        ValueError: The shapes do not fit, there are fewer than two rows, or a value is not finite.
    """
    pairs = zip(*_checked_sets(reference, estimate), strict=True)
    distances = [
        squared_distance(gaussian_of_rows(true.rows), gaussian_of_rows(found.rows)) for true, found in pairs
    ]
    return float(np.mean(distances))


def frechet_interval(
    reference: Embeddings, estimate: Embeddings, groups: int = GROUPS, seed: int = 0
) -> Interval:
    """Fréchet distance of paired sets with its 95 % interval over clips: see `frechet_estimate`."""
    return frechet_estimate(reference, estimate, groups, seed).interval


def frechet_estimate(
    reference: Embeddings, estimate: Embeddings, groups: int = GROUPS, seed: int = 0
) -> FrechetEstimate:
    """Fréchet distance of paired sets, its 95 % interval and the estimate for infinitely many clips.

    Clip i of both sets is left out together, as both come from the same picture.

    Args:
        reference: Embeddings of true sounds, shapes as in the module's conventions.
        estimate: As many clips, clip by clip the counterpart of `reference`.
        groups: Groups of clips that are left out in turn, 2 or more; fewer clips make fewer groups.
        seed: Of the assignment of clips to groups.

    Raises:
        ValueError: As `frechet_distance`, or the sets are not paired, or `groups` is below 2.
    """
    clips = len(reference)
    if len(estimate) != clips:
        raise ValueError(f"reference has {clips} clips, estimate {len(estimate)}; give pairs of clips")
    if groups < 2:
        raise ValueError(f"groups is {groups}; give 2 or more")
    true, found = _checked_sets(reference, estimate)
    if clips < 2:
        raise ValueError(f"reference has {clips} clip; an interval over clips needs 2 or more")
    parts = np.array_split(np.random.default_rng(seed).permutation(clips), min(groups, clips))
    ears = [_distances(*pair, parts) for pair in zip(true, found, strict=True)]
    value, *left_out = np.mean(ears, axis=0)
    sizes = np.array([clips - len(part) for part in parts])
    unbiased = _at_no_inverse(1 / clips, value, float(np.mean(1 / sizes)), float(np.mean(left_out)))
    half = _t_95(len(parts) - 1) * _jackknife_error(np.array(left_out))
    rows = min(len(one.rows) for one in (*true, *found))
    dimensions = true[0].rows.shape[1]
    return FrechetEstimate(
        value=float(value),
        unbiased=unbiased,
        interval=Interval(float(value), max(0.0, float(value) - half), float(value) + half, clips),
        unbiased_interval=Interval(unbiased, unbiased - half, unbiased + half, clips),
        clips=clips,
        dimensions=dimensions,
        warning=_warning(float(value), unbiased, rows, clips, dimensions),
    )


def mean_distance(reference: FloatArray, estimate: FloatArray) -> float:
    """Mean over ears of their Fréchet distances, embeddings of (clips, ears, dimensions)."""
    return frechet_distance(reference, estimate)


def shifted_interval(value: float, drawn: FloatArray, count: int) -> Interval:
    """The spread of bootstrap draws around a value, without the bias that drawing adds; never below 0.

    For runs drawn together with clips; of clips alone `frechet_interval` knows more.
    """
    low, high = np.percentile(drawn, [2.5, 97.5]) - np.mean(drawn)
    return Interval(value, max(0.0, value + float(low)), value + float(high), count)


def small_sample_note(clips: int, dimensions: int) -> str | None:
    """A sentence for reports where there are fewer clips than needed for a covariance of full rank."""
    if clips > dimensions:
        return None
    return (
        f"Fréchet distances are of {clips} clips in {dimensions} dimensions: exact for these clips, but above what "
        f"more clips would give; compare only figures of {clips} clips."
    )


@dataclass(frozen=True, eq=False)
class _Set:
    """Rows (n, d) of all clips, and the clip (n,) each belongs to."""

    rows: FloatArray
    clip: NDArray[np.intp]

    def of(self, clips: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.isin(self.clip, clips)


def _distances(true: _Set, found: _Set, parts: Sequence[NDArray[np.intp]]) -> list[float]:
    """Distance of all clips, then without each part."""
    return [
        squared_distance(first, second)
        for first, second in zip(_fits(true, parts), _fits(found, parts), strict=True)
    ]


def _fits(one: _Set, parts: Sequence[NDArray[np.intp]]) -> Iterator[Gaussian]:
    """The Gaussian of all clips, then without each part, one at a time: in 2048 dimensions each has 32 MB."""
    rows, dimensions = one.rows, one.rows.shape[1]
    masks = [one.of(part) for part in parts]
    if len(rows) - max(int(mask.sum()) for mask in masks) <= dimensions:
        yield gaussian_of_rows(rows)
        yield from (gaussian_of_rows(rows[~mask]) for mask in masks)
        return
    centre = rows.mean(axis=0, dtype=np.float64)
    everything = sum_rows(rows, centre)
    yield gaussian_of_sums(everything)
    yield from (gaussian_of_sums(everything.minus(sum_rows(rows[mask], centre))) for mask in masks)


def _at_no_inverse(inverse: float, value: float, more: float, value_there: float) -> float:
    """Where the line through two points over 1 / clips meets 1 / clips = 0."""
    return float(value - inverse * (value_there - value) / (more - inverse))


def _jackknife_error(left_out: FloatArray) -> float:
    count = len(left_out)
    return float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2)))


def _t_95(degrees: int) -> float:
    """97.5 % point of Student's t (expansion in 1 / degrees: within 1 % from 3 degrees on)."""
    z = _Z_95
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def _warning(value: float, unbiased: float, rows: int, clips: int, dimensions: int) -> str | None:
    if rows <= dimensions:
        named = f"{clips} clips" if rows == clips else f"{clips} clips ({rows} frames)"
        return (
            f"The Fréchet distance is of {named} in {dimensions} dimensions, too few for a covariance of full "
            f"rank: {value:.3g} is exact for these clips but above what more would give, and so may be the "
            f"unbiased estimate {unbiased:.3g}; compare only figures of {clips} clips."
        )
    if value - unbiased <= NOTABLE_BIAS * value:
        return None
    return (
        f"About {(value - unbiased) / value:.0%} of the Fréchet distance {value:.3g} comes from there being only "
        f"{clips} clips; compare only figures of {clips} clips, or unbiased estimates (here {unbiased:.3g})."
    )


def _checked_sets(reference: Embeddings, estimate: Embeddings) -> tuple[list[_Set], list[_Set]]:
    """The sets of each ear."""
    true, found = _sets("reference", reference), _sets("estimate", estimate)
    if len(true) != len(found):
        raise ValueError(f"reference has {len(true)} ears, estimate {len(found)}; give the same")
    sizes = [one[0].rows.shape[1] for one in (true, found)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"reference has {sizes[0]} dimensions, estimate {sizes[1]}; use one network for both"
        )
    return true, found


def _sets(name: str, embeddings: Embeddings) -> list[_Set]:
    if not isinstance(embeddings, np.ndarray):
        return _ragged_sets(name, embeddings)
    if embeddings.ndim not in (2, 3, 4) or 0 in embeddings.shape[1:]:
        raise ValueError(
            f"{name} has shape {embeddings.shape}; it must be (clips, dimensions), (clips, ears, dimensions) or "
            "(clips, ears, frames, dimensions)"
        )
    clips, size = len(embeddings), embeddings.shape[-1]
    ears = embeddings[:, None] if embeddings.ndim == 2 else embeddings
    frames = ears.shape[2] if ears.ndim == 4 else 1
    clip = np.repeat(np.arange(clips), frames)
    sets = [_Set(ears[:, ear].reshape(-1, size), clip) for ear in range(ears.shape[1])]
    _check_rows(name, sets[0].rows, embeddings.shape, embeddings)
    return sets


def _ragged_sets(name: str, embeddings: Sequence[FloatArray]) -> list[_Set]:
    shapes = {(one.shape[0], one.shape[2]) if one.ndim == 3 else None for one in embeddings}
    if len(shapes) != 1 or None in shapes:
        raise ValueError(
            f"{name} has clips of shapes {sorted({one.shape for one in embeddings})}; all must be (ears, frames, "
            "dimensions) with the same ears and dimensions"
        )
    rows = np.concatenate(list(embeddings), axis=1)
    clip = np.repeat(np.arange(len(embeddings)), [one.shape[1] for one in embeddings])
    _check_rows(name, rows[0], rows.shape, rows)
    return [_Set(ear, clip) for ear in rows]


def _check_rows(name: str, rows: FloatArray, shape: tuple[int, ...], values: FloatArray) -> None:
    if len(rows) < 2:
        raise ValueError(f"{name} has shape {shape}; it must be (clips, dimensions), 2 clips or more")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} holds NaN or infinity; leave such clips out and count them")
