"""Directions on the sphere and camera poses (axes and signs: see `spatialfoley.conventions`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Direction:
    """A direction seen from the listener: azimuth left positive, elevation up positive, in degrees.

    Azimuth may be given in [-360, 360]; it is kept as given. Elevation must be in [-90, 90].
    """

    azimuth_deg: float
    elevation_deg: float = 0.0

    def __post_init__(self) -> None:
        _check_angle("azimuth_deg", self.azimuth_deg, 360.0)
        _check_angle("elevation_deg", self.elevation_deg, 90.0)

    def vector(self) -> npt.NDArray[np.float64]:
        """Unit vector (x front, y left, z up), shape (3,)."""
        return unit_vectors(self.azimuth_deg, self.elevation_deg)

    @classmethod
    def from_vector(cls, vector: npt.ArrayLike) -> Direction:
        """Direction of a vector of any positive length, shape (3,).

        Raises:
            ValueError: If the vector is not three finite numbers or has no length.
        """
        array = np.asarray(vector, dtype=np.float64)
        if array.shape != (3,) or not np.isfinite(array).all() or not np.any(array):
            raise ValueError(f"vector is {array.tolist()}; it must be three finite numbers, not all zero")
        azimuth_deg, elevation_deg = angles_deg(array)
        return cls(float(azimuth_deg), float(elevation_deg))


@dataclass(frozen=True)
class CameraPose:
    """Orientation of a camera or a head in degrees: yaw left +, pitch up +, roll + (right side down)."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        for name in ("yaw_deg", "pitch_deg", "roll_deg"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}; it must be a finite number of degrees")

    def matrix(self) -> npt.NDArray[np.float64]:
        """Rotation R_cam of shape (3, 3) with v_world = R_cam v_cam."""
        return pose_matrices(self.yaw_deg, self.pitch_deg, self.roll_deg)

    @classmethod
    def facing(cls, direction: Direction) -> CameraPose:
        """The pose without roll whose forward axis points at a direction."""
        return cls(yaw_deg=direction.azimuth_deg, pitch_deg=direction.elevation_deg)


def pose_matrices(
    yaw_deg: npt.ArrayLike,
    pitch_deg: npt.ArrayLike,
    roll_deg: npt.ArrayLike,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[np.float64]:
    """Rotations Rz(yaw) Ry(-pitch) Rx(roll) for arrays of angles of one shape (...), in degrees.

    Returns:
        Rotations of shape (..., 3, 3) with v_world = R v_cam.
    """
    yaw, pitch, roll = np.broadcast_arrays(
        *(
            np.asarray(np.radians(np.remainder(angle, 360.0)), dtype)
            for angle in (yaw_deg, pitch_deg, roll_deg)
        )
    )
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    # Planes first: (3, 3, ...) is contiguous per entry, and per-sample callers use it without a copy.
    planes = np.empty((3, 3, *yaw.shape), dtype)
    planes[0, 0], planes[0, 1], planes[0, 2] = cy * cp, -sy * cr - cy * sp * sr, sy * sr - cy * sp * cr
    planes[1, 0], planes[1, 1], planes[1, 2] = sy * cp, cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr
    planes[2, 0], planes[2, 1], planes[2, 2] = sp, cp * sr, cp * cr
    return np.moveaxis(planes, (0, 1), (-2, -1))


def unit_vectors(azimuth_deg: npt.ArrayLike, elevation_deg: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Unit vectors (x front, y left, z up) of shape (..., 3) for angles of shape (...), in degrees."""
    azimuth, elevation = np.broadcast_arrays(
        np.radians(np.asarray(azimuth_deg, np.float64)), np.radians(np.asarray(elevation_deg, np.float64))
    )
    horizontal = np.cos(elevation)
    return np.stack([np.cos(azimuth) * horizontal, np.sin(azimuth) * horizontal, np.sin(elevation)], axis=-1)


def angles_deg(vectors: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Azimuth in (-180, 180] and elevation in [-90, 90] of vectors of shape (..., 3), each of shape (...).

    A vector without length has azimuth 0 and elevation 0.
    """
    array = np.asarray(vectors, dtype=np.float64)
    if array.shape[-1:] != (3,):
        raise ValueError(f"vectors has shape {array.shape}; the last axis must hold x, y, z")
    x, y, z = array[..., 0], array[..., 1], array[..., 2]
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def angle_between_deg(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Great-circle angle in [0, 180] degrees between vectors of shape (..., 3) of any positive length.

    The arctangent form keeps its precision for nearly equal directions, where the arccosine does not.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


def _check_angle(name: str, value: float, limit: float) -> None:
    if not math.isfinite(value) or abs(value) > limit:
        raise ValueError(
            f"{name} is {value}; it must be a finite angle between -{limit:g} and {limit:g} degrees"
        )
