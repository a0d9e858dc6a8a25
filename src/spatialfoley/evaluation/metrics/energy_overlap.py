"""How well two sound fields agree in where their energy is: CC and AUC-Judd of energy maps.

Conventions:
    Fields, maps and points as in `energy_points`; the reference comes before the estimate.

Variants:
    ``"correct"``: SN3D maps on cells of 4°, each weighing as much as its solid angle; the AUC is the area
    under the ROC curve, ties counting half, so that a field scored against itself gets 1.
    ``"reference"``: what the published ViSAGe scores are made of, quirks included: maps with X and Y
    weighted √2, a fixed thinning of the rows towards the poles, and true-positive rates that lag one
    fixation behind (a field against itself gets 0.9996). The random jitter of that script is left out: it
    moves an AUC by 2e-7.

Silence:
    A window in which the reference is silent (60 dB below its own clip) or the same everywhere has no place
    to compare with: it is not scored but counted. An estimate without contrast (silent, or equal from all
    sides) in a window where the reference sounds gets CC 0 and AUC 0.5, and is counted too.
    ``as_published=True`` follows the published script instead: windows with an undefined CC are left out of
    both means.

References:
    Kim, Yun and Kim, "ViSAGe: Video-to-Spatial Audio Generation", ICLR 2025 (CC and AUC, All, 1 fps, 5 fps).
    Judd, Durand and Torralba, "A Benchmark of Computational Models of Saliency to Predict Human Fixations",
    2012.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.energy_points import FieldPoints as FieldPoints
from spatialfoley.evaluation.metrics.energy_points import (
    FloatArray,
    check_field,
    comparable_windows,
    point_weights,
)
from spatialfoley.evaluation.metrics.energy_points import Variant as Variant
from spatialfoley.evaluation.metrics.energy_points import covariances_over_time as covariances_over_time
from spatialfoley.evaluation.metrics.energy_points import field_points as field_points

_CHANCE_AUC = 0.5


@dataclass(frozen=True)
class EnergyOverlap:
    """Agreement of two fields over the windows of a clip.

    Attributes:
        cc: Mean Pearson correlation of the scored windows in [-1, 1]; None when no window could be scored.
        auc: Mean AUC-Judd of the scored windows in [0, 1]; None when no window could be scored.
        windows: Windows in the clip.
        scored: Windows that entered the means.
        reference_silent: Windows left out because the reference is silent or flat there.
        estimate_flat: Windows in which the reference sounds and the estimate has no contrast.
    """

    cc: float | None
    auc: float | None
    windows: int
    scored: int
    reference_silent: int
    estimate_flat: int


def energy_overlap(
    reference: FloatArray,
    estimate: FloatArray,
    rate_hz: int,
    windows_per_s: float | None = None,
    variant: Variant = "correct",
    as_published: bool = False,
) -> EnergyOverlap:
    """CC and AUC-Judd of two fields, averaged over windows.

    Args:
        reference: True field, FOA of shape (4, N).
        estimate: Field to score, same shape.
        rate_hz: Sampling rate in Hz.
        windows_per_s: None ("All"), 1 or 5 in the paper.
        variant: ``"correct"`` or ``"reference"``.
        as_published: Leave out undefined windows as the published script does; only for comparing with it.

    Raises:
        ValueError: Shapes differ or are no FOA, a sample is not finite, or the clip is shorter than one window.
    """
    check_field("reference", reference)
    check_field("estimate", estimate)
    if reference.shape != estimate.shape:
        raise ValueError(
            f"estimate has shape {estimate.shape}, reference {reference.shape}; cut them to one length"
        )
    return points_overlap(
        field_points(reference, rate_hz, windows_per_s, variant),
        field_points(estimate, rate_hz, windows_per_s, variant),
        as_published,
    )


def points_overlap(
    reference: FieldPoints, estimate: FieldPoints, as_published: bool = False
) -> EnergyOverlap:
    """CC and AUC-Judd of two fields whose points are known already: see `energy_overlap`."""
    comparable = comparable_windows(reference, estimate)
    silent, estimate_flat = comparable.silent, comparable.estimate_flat
    if as_published:
        silent = reference.flat
    usable = ~silent & ~estimate_flat if as_published else ~silent
    compared = usable & ~estimate_flat
    chance = int(np.sum(usable & estimate_flat))
    cc = correlation(reference.points[compared], estimate.points[compared], reference.variant)
    auc = auc_judd(reference.points[compared], estimate.points[compared], reference.variant)
    scored = int(np.sum(usable))
    return EnergyOverlap(
        cc=float(np.sum(cc) / scored) if scored else None,
        auc=float((np.sum(auc) + _CHANCE_AUC * chance) / scored) if scored else None,
        windows=len(reference.points),
        scored=scored,
        reference_silent=int(np.sum(silent)),
        estimate_flat=int(np.sum(~silent & estimate_flat)),
    )


def correlation(reference: FloatArray, estimate: FloatArray, variant: Variant = "correct") -> FloatArray:
    """Pearson correlation of maps, one value per window.

    Args:
        reference: Points of shape (M, P), from `field_points` or `sphere_samples`.
        estimate: Same shape.
        variant: ``"correct"`` weighs points by solid angle (P must be its 45 × 90 cells),
            ``"reference"`` weighs all points the same.

    Returns:
        Correlations of shape (M,); NaN where a map has no contrast.
    """
    weights = point_weights(variant, reference.shape[1])
    first = _centred(reference, weights)
    second = _centred(estimate, weights)
    norm = np.sqrt(((first**2) @ weights) * ((second**2) @ weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, ((first * second) @ weights) / norm, np.nan)


def auc_judd(reference: FloatArray, estimate: FloatArray, variant: Variant = "correct") -> FloatArray:
    """AUC-Judd of maps, one value per window: is the estimate louder where the reference is loudest?

    The points where the reference exceeds its maximum minus one standard deviation are the "fixations".

    Args:
        reference: Points of shape (M, P), from `field_points` or `sphere_samples`.
        estimate: Same shape.
        variant: ``"correct"`` or ``"reference"``.

    Returns:
        Areas of shape (M,), 0.5 is chance.
    """
    weights = point_weights(variant, reference.shape[1])
    if variant == "reference":
        spread = np.std(reference, axis=1, keepdims=True)
    else:
        spread = np.sqrt((_centred(reference, weights) ** 2) @ weights)[:, None]
    fixated = reference > np.max(reference, axis=1, keepdims=True) - spread
    score = _lagging_auc if variant == "reference" else _weighted_auc
    return np.array([score(values, mask, weights) for values, mask in zip(estimate, fixated, strict=True)])


def _lagging_auc(values: FloatArray, fixated: NDArray[np.bool_], weights: FloatArray) -> float:
    """Area under the published script's curve: its point i has the true-positive rate i/N, not (i+1)/N."""
    hits, others = np.sort(values[fixated]), np.sort(values[~fixated])
    # From the loudest fixation down: how many points, fixated or not, are at least as loud?
    above_hits = len(hits) - np.searchsorted(hits, hits, side="left")[::-1]
    above_others = len(others) - np.searchsorted(others, hits, side="left")[::-1]
    rank = np.arange(len(hits))
    true_rate = np.concatenate([[0.0], rank / len(hits), [1.0]])
    false_rate = np.concatenate([[0.0], (above_hits + above_others - rank) / len(others), [1.0]])
    return float(np.trapezoid(true_rate, false_rate))


def _weighted_auc(values: FloatArray, fixated: NDArray[np.bool_], weights: FloatArray) -> float:
    """Chance that a fixated point is louder than another one, drawn by solid angle, ties counting half."""
    order = np.argsort(values[~fixated])
    others = values[~fixated][order]
    mass = np.concatenate([[0.0], np.cumsum(weights[~fixated][order])])
    hits = values[fixated]
    below = mass[np.searchsorted(others, hits, side="left")]
    not_above = mass[np.searchsorted(others, hits, side="right")]
    return float((0.5 * (below + not_above)) @ weights[fixated] / (mass[-1] * np.sum(weights[fixated])))


def _centred(maps: FloatArray, weights: FloatArray) -> FloatArray:
    wide = maps.astype(np.float64, copy=False)
    return wide - (wide @ weights)[:, None]
