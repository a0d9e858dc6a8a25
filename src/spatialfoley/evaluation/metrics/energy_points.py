"""Energy of a field at the points of the sphere where two fields are compared, and which windows can be compared.

Conventions:
    A field is FOA of shape (4, N), AmbiX. Its energy maps have shape (..., 90, 180): rows from up to down,
    columns from left (azimuth 178°) to right, values are RMS amplitudes. The reference comes before the
    estimate.

Variants:
    ``"correct"``: SN3D maps on cells of 4°, each weighing as much as its solid angle.
    ``"reference"``: what the published ViSAGe scores are made of: maps with X and Y weighted √2, and a fixed
    thinning of the rows towards the poles.

Silence:
    A window in which the reference is silent (60 dB below its own clip) or the same everywhere has no place to
    compare with. An estimate is flat where it has no contrast: silent, or equal from all sides.
"""

from dataclasses import dataclass
from functools import cache, cached_property
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

_CELL_STEP = 2
_CELLS = (45, 90)
"""Every second row and column of the maps: the centres of cells of 4° that cover the sphere exactly once."""


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def flat(self) -> NDArray[np.bool_]:
        """Which windows are the same everywhere, shape (M,); silence is."""
        return np.std(self.points, axis=1) <= FLAT_CONTRAST * np.abs(np.mean(self.points, axis=1))


@dataclass(frozen=True, eq=False)
class Comparable:
    """Which windows of two fields can be compared, each of shape (M,).

    Attributes:
        silent: The reference is silent or flat: there is no place to compare with.
        estimate_flat: The estimate has no contrast.
    """

    silent: NDArray[np.bool_]
    estimate_flat: NDArray[np.bool_]


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
        ValueError: The shape is wrong, a sample is not finite, or the clip is shorter than one window.
    """
    check_field("samples", samples)
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
    return covariance_points(covariances_over_time(samples, rate_hz, windows_per_s), variant)


def covariance_points(covariances: FloatArray, variant: Variant) -> FieldPoints:
    """The same for windows whose covariances (M, 4, 4) are known already."""
    points: FloatArray
    if variant == "correct":
        points = energy_map(covariances, "sn3d", _CELL_STEP).reshape(len(covariances), -1)
    elif variant == "reference":
        points = sphere_samples(energy_map(covariances, "reference"))
    else:
        raise ValueError(f'variant is {variant!r}; it must be "correct" or "reference"')
    return FieldPoints(points, np.trace(covariances, axis1=1, axis2=2), variant)


def comparable_windows(reference: FieldPoints, estimate: FieldPoints) -> Comparable:
    """Which windows of two fields can be compared.

    Raises:
        ValueError: The two have other windows or another variant.
    """
    if reference.variant != estimate.variant or reference.points.shape != estimate.points.shape:
        raise ValueError(
            f"estimate has {estimate.points.shape} points of variant {estimate.variant!r}, reference "
            f"{reference.points.shape} of {reference.variant!r}; make both with the same windows and variant"
        )
    quiet = reference.energy <= np.mean(reference.energy) * 10 ** (SILENCE_DB / 10)
    return Comparable(quiet | reference.flat, estimate.flat)


def check_field(name: str, samples: FloatArray) -> None:
    """Raise ValueError when the argument `name` is no FOA of shape (4, N) or not finite."""
    if samples.ndim != 2 or samples.shape[0] != 4:
        raise ValueError(f"{name} has shape {samples.shape}; energy maps need FOA of shape (4, N)")
    if not np.all(np.isfinite(samples)):
        raise ValueError(
            f"{name} holds NaN or infinite samples; repair the file or leave it out and count it"
        )


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
    left, share = _sphere_taps(*maps.shape[-2:])
    flat = maps.reshape(*maps.shape[:-2], -1)
    lower = np.take(flat, left, axis=-1).astype(np.float64, copy=False)
    return lower + (np.take(flat, left + 1, axis=-1) - lower) * share


@cache
def point_weights(variant: Variant, points: int) -> FloatArray:
    """Share of each point in a mean over the sphere, shape (P,), sum 1."""
    if variant == "reference":
        return np.full(points, 1.0 / points)
    if points != _CELLS[0] * _CELLS[1]:
        raise ValueError(f"maps have {points} points; the correct variant needs {_CELLS[0] * _CELLS[1]}")
    edges = np.linspace(np.pi / 2, -np.pi / 2, _CELLS[0] + 1)
    bands = np.sin(edges[:-1]) - np.sin(edges[1:])
    return np.repeat(bands / (2 * _CELLS[1]), _CELLS[1])


@cache
def _sphere_taps(height: int, width: int) -> tuple[NDArray[np.intp], FloatArray]:
    """Cell (in the flattened map) to the left of each point, and how far from it to the next, 0 to 1."""
    colatitude = (np.arange(height) + 0.5) * np.pi / height
    counts = np.round(width * np.sin(colatitude)).astype(int)
    columns = np.concatenate([np.arange(n) * ((width - 0.5 * width / n) / n) for n in counts])
    left = np.floor(columns).astype(np.intp)
    return np.repeat(np.arange(height) * width, counts) + left, columns - left
