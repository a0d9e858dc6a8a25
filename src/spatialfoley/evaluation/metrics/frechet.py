"""How far a set of sounds is from another one: Fréchet distance of Gaussians fitted to their embeddings.

Conventions:
    Embeddings are (clips, dimensions), reference before estimate. Covariances divide by clips - 1. The distance is
    squared, as in the literature: 0 is best.

    FD = |μ1 - μ2|² + Tr Σ1 + Tr Σ2 - 2 Tr (Σ1 Σ2)^½

Exactness:
    With centred embeddings X and Y (scaled so that Σ1 = XᵀX and Σ2 = YᵀY), the eigenvalues of Σ1 Σ2 are the squared
    singular values of X Yᵀ. So the last trace is the nuclear norm of a small matrix: no root of a matrix that is
    not symmetric, exact also for fewer clips than dimensions, where Σ1 and Σ2 are singular.

Bias:
    The distance of two finite samples of the same sounds is above 0, about in proportion to 1 / clips. Compare
    only distances of equally many clips; `small_sample_note` says when that matters most.

References:
    Dowson and Landau, J. Multivariate Analysis 1982 (distance of Gaussians). Kilgour et al., "Fréchet Audio
    Distance", Interspeech 2019. Chong and Forsyth, "Effectively Unbiased FID", CVPR 2020 (bias in 1 / clips).
"""

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.statistics import Interval

FloatArray = NDArray[np.floating]

_DRAWS = 100


def frechet_distance(reference: FloatArray, estimate: FloatArray) -> float:
    """Fréchet distance of two sets of embeddings.

    Args:
        reference: Embeddings of true sounds, (n, d), n at least 2.
        estimate: Embeddings of the sounds to score, (m, d), m at least 2.

    Raises:
        ValueError: The shapes do not fit, there are fewer than two clips, or a value is not finite.
    """
    _check(reference, estimate)
    return _distance(reference.astype(np.float64), estimate.astype(np.float64))


def frechet_interval(
    reference: FloatArray, estimate: FloatArray, draws: int = _DRAWS, seed: int = 0
) -> Interval:
    """Fréchet distance of paired sets with a 95 % bootstrap interval over clips.

    Clip i of both sets is drawn together, as both come from the same picture. Drawing clips twice makes samples
    poorer and distances larger; so the interval is moved by the mean of what drawing adds, and its width is
    that of the bootstrap.

    Args:
        reference: (clips, d), or (clips, ears, d) for the mean of the distances of several ears.
        estimate: The same shape, clip by clip the counterpart of `reference`.
        draws: Resamples.
        seed: Of the resampling.

    Raises:
        ValueError: As `frechet_distance`, or the sets are not paired.
    """
    if len(reference) != len(estimate):
        raise ValueError(
            f"reference has {len(reference)} clips, estimate {len(estimate)}; give pairs of clips"
        )
    x, y = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if x.ndim == 2:
        x, y = x[:, None], y[:, None]
    for ear in range(x.shape[1]):
        _check(x[:, ear], y[:, ear])
    rng = np.random.default_rng(seed)
    drawn = [mean_distance(x[pick], y[pick]) for pick in rng.integers(0, len(x), size=(draws, len(x)))]
    return shifted_interval(mean_distance(x, y), np.array(drawn), len(x))


def mean_distance(reference: FloatArray, estimate: FloatArray) -> float:
    """Mean over ears of their Fréchet distances, embeddings of (clips, ears, dimensions)."""
    ears = range(reference.shape[1])
    return float(np.mean([_distance(reference[:, ear], estimate[:, ear]) for ear in ears]))


def shifted_interval(value: float, drawn: FloatArray, count: int) -> Interval:
    """The spread of bootstrap draws around a value, without the bias that drawing adds; never below 0."""
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


def _distance(x: FloatArray, y: FloatArray) -> float:
    mean_gap = x.mean(axis=0) - y.mean(axis=0)
    x = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    y = (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
    traces = np.sum(x * x) + np.sum(y * y)
    return max(0.0, float(mean_gap @ mean_gap + traces - 2 * _root_trace(x, y)))


def _root_trace(x: FloatArray, y: FloatArray) -> float:
    """Tr (XᵀX YᵀY)^½, the nuclear norm of X Yᵀ, by the smallest symmetric matrix that has it."""
    dimensions = x.shape[1]
    if min(len(x), len(y)) <= dimensions:
        return float(np.sum(np.linalg.svd(x @ y.T, compute_uv=False)))
    values, vectors = np.linalg.eigh(x.T @ x)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    between = root @ (y.T @ y) @ root
    return float(np.sum(np.sqrt(np.clip(np.linalg.eigvalsh((between + between.T) / 2), 0, None))))


def _check(reference: FloatArray, estimate: FloatArray) -> None:
    for name, values in (("reference", reference), ("estimate", estimate)):
        if values.ndim != 2 or len(values) < 2:
            raise ValueError(
                f"{name} has shape {values.shape}; it must be (clips, dimensions), 2 clips or more"
            )
        if not np.all(np.isfinite(values)):
            raise ValueError(f"{name} holds NaN or infinity; leave such clips out and count them")
    if reference.shape[1] != estimate.shape[1]:
        raise ValueError(
            f"reference has {reference.shape[1]} dimensions, estimate {estimate.shape[1]}; use one network for both"
        )
