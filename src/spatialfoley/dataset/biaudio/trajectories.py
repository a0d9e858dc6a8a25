"""Cameras that turn around the loudest direction (ViSAudio eq. 21-30).

All three angles run linearly. Of the three drifts each is zero with probability 1/3. The first yaw lies beside the
source, on the side that the camera comes from, so that the source stays in view for a while.

The paper's yaw is added to an AmbiX azimuth (eq. 24), so it is left positive, as ours; its matrices (eq. 31-34) fit
that only if yaw were right positive. The two cannot both hold. Here every angle has the sense of
`spatialfoley.conventions`, in which a camera that faces a source hears it in front; there is no second one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.trajectory import CameraTrajectory

FASTEST_YAW_DEG_PER_S = 10.0
FASTEST_PITCH_DEG_PER_S = 2.0
FASTEST_ROLL_DEG_PER_S = 1.0
STILL_SHARE = 1.0 / 3.0
"""Of each drift, probability of being zero."""
LARGE_TURN_DEG = 30.0
"""A yaw that turns further than this over the clip begins on the far side of the source."""
FARTHEST_AHEAD_DEG, FARTHEST_BESIDE_DEG = 45.0, 30.0
"""First yaw from the source: when it turns far, and otherwise."""
STEEPEST_START_DEG = 30.0

_DIGITS = 6


def draw_trajectory(loudest: Direction, duration_s: float, seed: int) -> CameraTrajectory:
    """Draw how a camera turns during a clip.

    Args:
        loudest: Direction of the largest energy.
        duration_s: Length of the clip in seconds.
        seed: The same seed gives the same trajectory.

    Returns:
        Two key poses, at 0 and at the end of the clip.

    Raises:
        ValueError: The duration is not above 0.
    """
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise ValueError(f"duration_s is {duration_s}; give seconds above 0")
    rng = np.random.default_rng(seed)
    yaw_rate, pitch_rate, roll_rate = (
        _drift(rng, fastest)
        for fastest in (FASTEST_YAW_DEG_PER_S, FASTEST_PITCH_DEG_PER_S, FASTEST_ROLL_DEG_PER_S)
    )
    yaw_deg = loudest.azimuth_deg + rng.uniform(*_first_yaw_range(yaw_rate * duration_s))
    towards_deg = float(rng.uniform(min(0.0, loudest.elevation_deg), max(0.0, loudest.elevation_deg)))
    pitch_deg = min(max(towards_deg, -STEEPEST_START_DEG), STEEPEST_START_DEG)
    times_s = np.array([0.0, duration_s])
    return CameraTrajectory(
        times_s, yaw_deg + yaw_rate * times_s, pitch_deg + pitch_rate * times_s, roll_rate * times_s
    )


def camera_facts(trajectory: CameraTrajectory) -> dict[str, Any]:
    """Key poses as plain lists for a record; between them the angles run linearly."""
    angles = ("yaw_deg", "pitch_deg", "roll_deg")
    rows = {"time_s": trajectory.times_s, **{name: getattr(trajectory, name) for name in angles}}
    return {name: [round(float(value), _DIGITS) for value in row] for name, row in rows.items()}


def camera_of(facts: dict[str, Any]) -> CameraTrajectory:
    """The trajectory of `camera_facts`."""
    return CameraTrajectory(facts["time_s"], facts["yaw_deg"], facts["pitch_deg"], facts["roll_deg"])


def _drift(rng: np.random.Generator, fastest: float) -> float:
    """Degrees per second of one angle (eq. 28-30); two draws, whatever comes of them."""
    rate, moves = float(rng.uniform(-fastest, fastest)), float(rng.random()) > STILL_SHARE
    return rate if moves else 0.0


def _first_yaw_range(turn_deg: float) -> tuple[float, float]:
    """Degrees from the source between which the first yaw is drawn (eq. 25)."""
    if turn_deg > LARGE_TURN_DEG:
        return -FARTHEST_AHEAD_DEG, 0.0
    if turn_deg < -LARGE_TURN_DEG:
        return 0.0, FARTHEST_AHEAD_DEG
    return -FARTHEST_BESIDE_DEG, FARTHEST_BESIDE_DEG
