"""Energy maps of a first-order field over the sphere, from its 4×4 covariance.

A map cell is the RMS of a beam, ``sqrt(mᵀ C m)`` with the gains m of the cell and C = E[x xᵀ], so that no
beam signal is ever formed. The grid is that of the ViSAGe metrics: 90 × 180 cells of 2°, row r at elevation
88 - 2r, column c at azimuth 178 - 2c. It reads like a panorama: left is left, up is up, front is (44, 89).

Two variants of the gains (W, Y, Z, X) exist:

* ``"sn3d"``: 1, v_y, v_z, v_x, a cardioid of gain 2 towards v.
* ``"reference"``: Y and X times √2, Z not. The published evaluation has this misplaced bracket, and the
  published CC and AUC depend on it. It pulls elevations towards the horizon (45° reads 36°).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from spatialfoley import timeline
from spatialfoley.conventions import X, Y, Z
from spatialfoley.spatial.direction import Direction, unit_vectors

GRID_ROWS, GRID_COLUMNS, GRID_STEP_DEG = 90, 180, 2.0
REFERENCE_RATE_HZ, REFERENCE_DURATION_S = 16000, 5.0
"""The rate and length to which the published evaluation brings every clip before it makes maps."""

MapVariant = Literal["sn3d", "reference"]
FloatArray = npt.NDArray[np.float64]

_UPPER = np.triu_indices(4)


def covariance(samples: npt.ArrayLike) -> FloatArray:
    """Mean of x xᵀ over time: shape (..., 4, 4) for fields of shape (..., 4, N); zero for no samples."""
    field = np.asarray(samples, dtype=np.float64)
    if field.ndim < 2 or field.shape[-2] != 4:
        raise ValueError(f"samples has shape {field.shape}; first-order fields have shape (..., 4, samples)")
    return field @ np.swapaxes(field, -1, -2) / max(field.shape[-1], 1)


def grid_angles_deg() -> tuple[FloatArray, FloatArray]:
    """Azimuth of each column, shape (180,), and elevation of each row, shape (90,), in degrees."""
    azimuth_deg: FloatArray = 178.0 - GRID_STEP_DEG * np.arange(GRID_COLUMNS, dtype=np.float64)
    elevation_deg: FloatArray = 88.0 - GRID_STEP_DEG * np.arange(GRID_ROWS, dtype=np.float64)
    return azimuth_deg, elevation_deg


def grid_directions() -> FloatArray:
    """Unit vectors (x front, y left, z up) of all cells, shape (90, 180, 3)."""
    azimuth_deg, elevation_deg = grid_angles_deg()
    return unit_vectors(azimuth_deg[None, :], elevation_deg[:, None])


def beam_gains(directions: npt.ArrayLike, variant: MapVariant = "sn3d") -> FloatArray:
    """Gains (W, Y, Z, X) of a map cell at unit vectors of shape (..., 3): shape (..., 4)."""
    if variant not in get_args(MapVariant):
        raise ValueError(f"variant is {variant!r}; it must be one of {', '.join(get_args(MapVariant))}")
    vectors = np.asarray(directions, dtype=np.float64)
    horizontal = np.sqrt(2.0) if variant == "reference" else 1.0
    gains = np.ones((*vectors.shape[:-1], 4))
    gains[..., X] = horizontal * vectors[..., 0]
    gains[..., Y] = horizontal * vectors[..., 1]
    gains[..., Z] = vectors[..., 2]
    return gains


def beam_rms(cov: npt.ArrayLike, directions: npt.ArrayLike, variant: MapVariant = "sn3d") -> FloatArray:
    """RMS of the beams at any directions, for example those of the pixels of a view.

    Args:
        cov: Covariances, shape (..., 4, 4).
        directions: Unit vectors, shape (P..., 3).
        variant: Which gains.

    Returns:
        RMS amplitudes, shape (..., P...).
    """
    vectors = np.asarray(directions, dtype=np.float64)
    products = _gain_products(beam_gains(vectors.reshape(-1, 3), variant))
    flat = _rms_from_products(checked_covariance(cov), products)
    return flat.reshape((*flat.shape[:-1], *vectors.shape[:-1]))


def energy_map(cov: npt.ArrayLike, variant: MapVariant = "sn3d", cell_step: int = 1) -> FloatArray:
    """RMS map over the 90 × 180 grid, for covariances of shape (..., 4, 4).

    Args:
        cov: Covariances.
        variant: Which gains.
        cell_step: 2 takes every second row and column, from the first on.

    Returns:
        RMS amplitudes, shape (..., 90, 180) or that divided by the step, rounded up.

    Raises:
        ValueError: `cov` has another shape or is not finite, or a setting is unknown.
    """
    if cell_step < 1:
        raise ValueError(f"cell_step is {cell_step}; give 1 or more")
    rows, columns = -(-GRID_ROWS // cell_step), -(-GRID_COLUMNS // cell_step)
    flat = _rms_from_products(checked_covariance(cov), _grid_products(variant, cell_step))
    return flat.reshape(*flat.shape[:-1], rows, columns)


def fit_length(samples: npt.ArrayLike, count: int) -> npt.NDArray[np.floating]:
    """Cut at the end, or pad with zeros at the end, to a number of samples (last axis)."""
    array = np.asarray(samples)
    if array.shape[-1] >= count:
        return array[..., :count]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, count - array.shape[-1])])


def window_covariances(samples: npt.ArrayLike, window_samples: int) -> FloatArray:
    """Covariances of consecutive full windows without overlap, shape (windows, 4, 4), for (4, N)."""
    field = np.asarray(samples, dtype=np.float64)
    count = len(timeline.window_bounds(field.shape[-1], window_samples))
    windows = field[:, : count * window_samples].reshape(field.shape[0], count, window_samples)
    return covariance(windows.swapaxes(0, 1))


def energy_maps_over_time(
    samples: npt.ArrayLike,
    rate_hz: int = REFERENCE_RATE_HZ,
    maps_per_s: float | None = None,
    duration_s: float | None = REFERENCE_DURATION_S,
    variant: MapVariant = "sn3d",
) -> FloatArray:
    """Maps of consecutive windows, framed as in the published evaluation.

    Args:
        samples: The field, shape (4, N).
        rate_hz: Samples per second; the published evaluation works at 16 kHz.
        maps_per_s: 1 and 5 for the published "1 fps" and "5 fps"; None for one map of everything ("All").
        duration_s: The field is first cut or zero-padded to this length; None keeps its own.
        variant: Which gains.

    Returns:
        RMS maps, shape (windows, 90, 180).
    """
    field = np.asarray(samples)
    if duration_s is not None:
        field = fit_length(field, timeline.sample_count(duration_s, rate_hz))
    if maps_per_s is None:
        return energy_map(covariance(field)[None], variant)
    return energy_map(window_covariances(field, timeline.sample_count(1.0 / maps_per_s, rate_hz)), variant)


def peak_cells(maps: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Row and column of the largest cell of each map: shape (..., 2) for maps (..., 90, 180)."""
    array = np.asarray(maps)
    flat = array.reshape(*array.shape[:-2], -1).argmax(axis=-1)
    return np.stack(np.unravel_index(flat, array.shape[-2:]), axis=-1)


def peak_vectors(maps: npt.ArrayLike, sub_cell: bool = True) -> FloatArray:
    """Direction of the peak of each map as unit vectors, shape (..., 3); NaN where a map has no peak.

    A map has no peak when it is flat: silence, or sound in W only. With `sub_cell` a parabola through the
    neighbours of the largest cell refines the angles; the refinement stays within the cell.
    """
    array = np.asarray(maps, dtype=np.float64)
    if array.shape[-2:] != (GRID_ROWS, GRID_COLUMNS):
        raise ValueError(f"maps has shape {array.shape}; the last axes must be ({GRID_ROWS}, {GRID_COLUMNS})")
    stack = array.reshape(-1, GRID_ROWS, GRID_COLUMNS)
    cells = peak_cells(stack)
    rows, columns = cells[:, 0].astype(float), cells[:, 1].astype(float)
    if sub_cell:
        each = np.arange(len(stack))
        row, column = cells[:, 0], cells[:, 1]
        around = [stack[each, row, (column + step) % GRID_COLUMNS] for step in (-1, 0, 1)]
        # Near the poles a column is narrow and the parabola in azimuth is flat: it is then simply small.
        columns += _parabola_offset(*around)
        inside = np.clip(row, 1, GRID_ROWS - 2)
        above = [stack[each, inside + step, column] for step in (-1, 0, 1)]
        rows += np.where(row == inside, _parabola_offset(*above), 0.0)
    elevation_deg = np.clip(88.0 - GRID_STEP_DEG * rows, -90.0, 90.0)
    vectors = unit_vectors(178.0 - GRID_STEP_DEG * columns, elevation_deg)
    largest = stack.max(axis=(1, 2))
    vectors[np.ptp(stack, axis=(1, 2)) <= 1e-6 * largest] = np.nan
    return vectors.reshape(*array.shape[:-2], 3)


def peak_direction(energy: npt.ArrayLike, sub_cell: bool = True) -> Direction:
    """Direction of the peak of one map of shape (90, 180).

    Raises:
        ValueError: If the map is flat (silence, or sound in W only) and so has no peak.
    """
    vector = peak_vectors(energy, sub_cell)
    if vector.shape != (3,):
        raise ValueError(f"energy has shape {np.shape(energy)}; it must be ({GRID_ROWS}, {GRID_COLUMNS})")
    if np.isnan(vector).any():
        raise ValueError("energy is the same in every direction, so it has no peak: is the sound silent?")
    return Direction.from_vector(vector)


def _parabola_offset(before: FloatArray, at: FloatArray, after: FloatArray) -> FloatArray:
    curvature = before - 2.0 * at + after
    safe = np.where(curvature < 0, curvature, -1.0)
    return np.where(curvature < 0, np.clip(0.5 * (before - after) / safe, -0.5, 0.5), 0.0)


def checked_covariance(cov: npt.ArrayLike, name: str = "cov") -> FloatArray:
    """Covariances (..., 4, 4) as float64; ValueError when they have another shape or are not finite."""
    array = np.asarray(cov, dtype=np.float64)
    if array.shape[-2:] != (4, 4):
        raise ValueError(f"{name} has shape {array.shape}; the last axes must be (4, 4)")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds NaN or infinity; give covariances of finite samples")
    return array


def _gain_products(gains: FloatArray) -> FloatArray:
    """The ten products m_i m_j (twice off the diagonal) of gains (P, 4): shape (10, P)."""
    row, column = _UPPER
    return (gains[:, row] * gains[:, column] * np.where(row == column, 1.0, 2.0)).T.copy()


@lru_cache(maxsize=4)
def _grid_products(variant: MapVariant, cell_step: int) -> FloatArray:
    cells = grid_directions()[::cell_step, ::cell_step]
    return _gain_products(beam_gains(cells.reshape(-1, 3), variant))


def _rms_from_products(cov: FloatArray, products: FloatArray) -> FloatArray:
    power = cov[..., _UPPER[0], _UPPER[1]] @ products
    # The null of a plane wave comes out slightly negative, and one NaN breaks peaks and correlations.
    return np.sqrt(np.maximum(power, 0.0, out=power), out=power)
