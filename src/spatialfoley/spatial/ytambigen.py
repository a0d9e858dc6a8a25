"""The direction index of the YT-Ambigen data set and the direction vector that ViSAGe's network reads.

An index counts 2° steps: elevation 0 (up) to 89 (down), azimuth 0 (back) to 179. Both may be fractional, the
front at the horizon is (44.5, 89.5).

The azimuth index runs CLOCKWISE seen from above: back, left, front, right. That is what the views, the metric
grid and the rotation augmentation of the published code do (``sense="clockwise"``, ours). Its README says
anti-clockwise, and two of its scripts follow that (``sense="readme"``): left and right are then swapped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import check_field

AZIMUTH_STEPS, ELEVATION_STEPS = 180, 90
QUARTER_TURN_STEPS = 45

IndexSense = Literal["clockwise", "readme"]


@dataclass(frozen=True)
class AmbigenIndex:
    """A camera direction in 2° steps: elevation in [-0.5, 89.5] from up, azimuth in [-0.5, 180) from back."""

    elevation: float
    azimuth: float

    def __post_init__(self) -> None:
        _check_index("elevation", self.elevation, ELEVATION_STEPS - 0.5)
        _check_index("azimuth", self.azimuth, float(AZIMUTH_STEPS))


def index_to_direction(index: AmbigenIndex, sense: IndexSense = "clockwise") -> Direction:
    """Direction of an index, azimuth in (-180, 180]."""
    azimuth_deg = _signed(179.0 - 2.0 * index.azimuth, sense)
    return Direction(_wrapped_deg(azimuth_deg), 89.0 - 2.0 * index.elevation)


def direction_to_index(direction: Direction, sense: IndexSense = "clockwise") -> AmbigenIndex:
    """Fractional index of a direction; use `nearest_index` for whole steps."""
    azimuth = (179.0 - _signed(direction.azimuth_deg, sense)) / 2.0
    azimuth = (azimuth + 0.5) % AZIMUTH_STEPS - 0.5
    return AmbigenIndex((89.0 - direction.elevation_deg) / 2.0, azimuth)


def nearest_index(direction: Direction, sense: IndexSense = "clockwise") -> AmbigenIndex:
    """The nearest index of whole steps."""
    exact = direction_to_index(direction, sense)
    elevation = min(max(math.floor(exact.elevation + 0.5), 0), ELEVATION_STEPS - 1)
    return AmbigenIndex(elevation, math.floor(exact.azimuth + 0.5) % AZIMUTH_STEPS)


def network_vector(direction: Direction) -> npt.NDArray[np.float32]:
    """What the network reads for a camera direction: the unit vector (right, down, forward), shape (3,)."""
    x, y, z = direction.vector()
    return np.array([-y, -z, x], dtype=np.float32)


def network_vector_to_direction(vector: npt.ArrayLike) -> Direction:
    """Direction of a (right, down, forward) vector of any positive length, shape (3,)."""
    right, down, forward = np.asarray(vector, dtype=np.float64)
    return Direction.from_vector([forward, -right, -down])


def quarter_turn_right(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Rotation augmentation of a field (4, N): Y' = -X, X' = Y, every source 90° to the right."""
    field = check_field(samples)
    turned = np.empty_like(field)
    turned[W], turned[Z] = field[W], field[Z]
    turned[Y], turned[X] = -field[X], field[Y]
    return turned


def quarter_turn_right_index(index: AmbigenIndex) -> AmbigenIndex:
    """The camera index that belongs to a field after `quarter_turn_right`: azimuth + 45 modulo 180."""
    return AmbigenIndex(index.elevation, (index.azimuth + QUARTER_TURN_STEPS) % AZIMUTH_STEPS)


def turned_index(index: AmbigenIndex, yaw_deg: float) -> AmbigenIndex:
    """The camera index that belongs to a field after `foa.rotate(field, yaw_deg)`: the scene turned to the left.

    Any angle; -90 is `quarter_turn_right_index`. The rotation augmentation turns the field before it is encoded,
    and with it the camera index or direction, so that the picture still fits the sound.
    """
    azimuth = (index.azimuth - yaw_deg / 2.0 + 0.5) % AZIMUTH_STEPS - 0.5
    return AmbigenIndex(index.elevation, azimuth)


def _signed(azimuth_deg: float, sense: IndexSense) -> float:
    if sense not in get_args(IndexSense):
        raise ValueError(f"sense is {sense!r}; it must be one of {', '.join(get_args(IndexSense))}")
    return azimuth_deg if sense == "clockwise" else -azimuth_deg


def _wrapped_deg(azimuth_deg: float) -> float:
    return 180.0 - (180.0 - azimuth_deg) % 360.0


def _check_index(name: str, value: float, limit: float) -> None:
    if not math.isfinite(value) or not -0.5 <= value <= limit:
        raise ValueError(f"{name} is {value}; an index in 2° steps must be between -0.5 and {limit:g}")
