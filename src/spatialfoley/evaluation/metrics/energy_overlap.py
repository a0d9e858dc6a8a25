"""How well two sound fields agree in where their energy is: CC and AUC-Judd of energy maps.

Conventions:
    A field is FOA of shape (4, N), AmbiX. Its energy maps have shape (..., 90, 180): rows from up to down,
    columns from left (azimuth 178°) to right, values are RMS amplitudes. The reference comes before the
    estimate.

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
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatialfoley.spatial.energy_map import covariance, energy_map, window_covariances

Variant = Literal["correct", "reference"]
FloatArray = NDArray[np.floating]

SILENCE_DB = -60.0
"""A window this far below its clip's mean energy counts as silent."""

FLAT_CONTRAST = 1e-6
"""A map whose standard deviation is below this share of its mean is the same everywhere."""

_CHANCE_AUC = 0.5

_CELLS = (45, 90)
"""Every second row and column of the maps: the centres of cells of 4° that cover the sphere exactly once."""


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


@dataclass(frozen=True)
class FieldPoints:
    """Energy of a field at the points where fields are compared, computed once and used for many comparisons.

    Attributes:
        points: RMS amplitude of every window at P points of the sphere, shape (M, P).
        energy: Energy of every window (trace of its covariance), shape (M,).
        variant: Which maps and which points.
    """

    points: FloatArray
    energy: FloatArray
    variant: Variant


def covariances_over_time(samples: FloatArray, rate_hz: int, windows_per_s: float | None) -> FloatArray:
    """Covariances of consecutive windows without overlap.

    Args:
        samples: FOA of shape (4, N).
        rate_hz: Sampling rate in Hz.
        windows_per_s: Windows per second; None: one window over all. A rest shorter than a window is left
            out.

    Returns:
        Covariances of shape (M, 4, 4).

    Raises:
        ValueError: The shape is wrong, or the clip is shorter than one window.
    """
    if samples.ndim != 2 or samples.shape[0] != 4:
        raise ValueError(f"samples has shape {samples.shape}; energy maps need FOA of shape (4, N)")
    if windows_per_s is None:
        return covariance(samples)[None]
    if windows_per_s <= 0:
        raise ValueError(
            f"windows_per_s is {windows_per_s}; give a positive number, or None for the whole clip"
        )
    length = round(rate_hz / windows_per_s)
    if samples.shape[1] < length:
        raise ValueError(
            f"samples has {samples.shape[1]} samples, less than one window of {length}; lower windows_per_s"
        )
    return window_covariances(samples, length)


def field_points(
    samples: FloatArray, rate_hz: int, windows_per_s: float | None, variant: Variant
) -> FieldPoints:
    """Energy of a field over time at the points where the variant compares fields.

    Args:
        samples: FOA of shape (4, N).
        rate_hz: Sampling rate in Hz.
        windows_per_s: Windows per second; None: the whole clip is one window ("All").
        variant: ``"correct"`` or ``"reference"``.
    """
    covariances = covariances_over_time(samples, rate_hz, windows_per_s)
    points: FloatArray
    if variant == "correct":
        maps = energy_map(covariances, variant="sn3d")
        points = maps[:, ::2, ::2].reshape(len(maps), -1)
    elif variant == "reference":
        points = sphere_samples(energy_map(covariances, variant="reference"))
    else:
        raise ValueError(f'variant is {variant!r}; it must be "correct" or "reference"')
    return FieldPoints(points, np.trace(covariances, axis1=1, axis2=2), variant)


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
        ValueError: Shapes differ or are no FOA, or the clip is shorter than one window.
    """
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
    if reference.variant != estimate.variant or reference.points.shape != estimate.points.shape:
        raise ValueError(
            f"estimate has {estimate.points.shape} points of variant {estimate.variant!r}, reference "
            f"{reference.points.shape} of {reference.variant!r}; make both with the same windows and variant"
        )
    reference_flat = _is_flat(reference.points)
    estimate_flat = _is_flat(estimate.points)
    if as_published:
        silent, usable = reference_flat, ~reference_flat & ~estimate_flat
    else:
        clip_energy = float(np.mean(reference.energy))
        silent = reference_flat | (reference.energy <= clip_energy * 10 ** (SILENCE_DB / 10))
        usable = ~silent
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
    weights = _weights(variant, reference.shape[1])
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
    weights = _weights(variant, reference.shape[1])
    if variant == "reference":
        spread = np.std(reference, axis=1, keepdims=True)
    else:
        spread = np.sqrt((_centred(reference, weights) ** 2) @ weights)[:, None]
    fixated = reference > np.max(reference, axis=1, keepdims=True) - spread
    score = _lagging_auc if variant == "reference" else _weighted_auc
    return np.array([score(values, mask, weights) for values, mask in zip(estimate, fixated, strict=True)])


def _lagging_auc(values: FloatArray, fixated: NDArray[np.bool_], weights: FloatArray) -> float:
    """Area under the published script's curve: its point i has the true-positive rate i/N, not (i+1)/N."""
    thresholds = np.sort(values[fixated])[::-1]
    hits = len(thresholds)
    above = len(values) - np.searchsorted(np.sort(values), thresholds, side="left")
    rank = np.arange(hits)
    true_rate = np.concatenate([[0.0], rank / hits, [1.0]])
    false_rate = np.concatenate([[0.0], (above - rank) / (len(values) - hits), [1.0]])
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


def sphere_samples(maps: FloatArray) -> FloatArray:
    """The published script's thinning of map rows towards the poles, quirks included.

    Row r of H is read at round(W·sin(colatitude)) columns, with the colatitude of the row's centre taken as
    (r + 0.5)·180/H (the maps are half a cell off), spaced (W - 0.5·W/S)/S apart and starting at column 0,
    so that the sparse rows do not go all the way round.

    Args:
        maps: Maps of shape (..., H, W).

    Returns:
        Points of shape (..., P), row after row, float64; 10312 points for 90 × 180.
    """
    rows, left, share = _sphere_taps(*maps.shape[-2:])
    lower = maps[..., rows, left].astype(np.float64)
    return lower + (maps[..., rows, left + 1] - lower) * share


@cache
def _sphere_taps(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    colatitude = (np.arange(height) + 0.5) * np.pi / height
    counts = np.round(width * np.sin(colatitude)).astype(int)
    columns = np.concatenate([np.arange(n) * ((width - 0.5 * width / n) / n) for n in counts])
    left = np.floor(columns).astype(np.intp)
    return np.repeat(np.arange(height), counts), left, columns - left


@cache
def _weights(variant: Variant, points: int) -> FloatArray:
    """Share of each point in a mean over the sphere, shape (P,), sum 1."""
    if variant == "reference":
        return np.full(points, 1.0 / points)
    if points != _CELLS[0] * _CELLS[1]:
        raise ValueError(f"maps have {points} points; the correct variant needs {_CELLS[0] * _CELLS[1]}")
    edges = np.linspace(np.pi / 2, -np.pi / 2, _CELLS[0] + 1)
    bands = np.sin(edges[:-1]) - np.sin(edges[1:])
    return np.repeat(bands / (2 * _CELLS[1]), _CELLS[1])


def _centred(maps: FloatArray, weights: FloatArray) -> FloatArray:
    wide = maps.astype(np.float64, copy=False)
    return wide - (wide @ weights)[:, None]


def _is_flat(points: FloatArray) -> NDArray[np.bool_]:
    return np.std(points, axis=1) <= FLAT_CONTRAST * np.abs(np.mean(points, axis=1))
