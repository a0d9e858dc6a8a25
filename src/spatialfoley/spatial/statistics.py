"""Where a field comes from and how directional it is, without a map: intensity and coherence.

All figures follow from the 4×4 covariance (see `spatialfoley.spatial.energy_map.covariance`). What silence gives is
stated with each; a covariance that is not finite is a ValueError.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.energy_map import checked_covariance

FloatArray = npt.NDArray[np.float64]


def intensity_vectors(cov: npt.ArrayLike) -> FloatArray:
    """Mean active intensity E[W (X, Y, Z)], shape (..., 3) as (x, y, z), towards the source."""
    return checked_covariance(cov)[..., W, [X, Y, Z]]


def intensity_directions(cov: npt.ArrayLike) -> FloatArray:
    """Unit vectors of the mean active intensity, shape (..., 3); NaN where there is none."""
    intensity = intensity_vectors(cov)
    length = np.linalg.norm(intensity, axis=-1, keepdims=True)
    return np.divide(intensity, length, out=np.full_like(intensity, np.nan), where=length > 0)


def directionality(cov: npt.ArrayLike) -> FloatArray:
    """2 |I| / E in [0, 1]: 1 for one plane wave, 0 for a diffuse field or silence; shape (...)."""
    array = checked_covariance(cov)
    energy = np.trace(array, axis1=-2, axis2=-1)
    length = np.linalg.norm(intensity_vectors(array), axis=-1)
    return np.divide(2.0 * length, energy, out=np.zeros_like(energy), where=energy > 0)


def coherence_with_w(cov: npt.ArrayLike) -> FloatArray:
    """Signed correlation of Y, Z and X with W in [-1, 1], shape (..., 3); 0 where a channel is silent."""
    array = checked_covariance(cov)
    directional = [Y, Z, X]
    power = array[..., W, W][..., None] * array[..., directional, directional]
    root = np.sqrt(np.maximum(power, 0.0))
    cross = array[..., W, directional]
    return np.divide(cross, root, out=np.zeros_like(cross), where=root > 0)
