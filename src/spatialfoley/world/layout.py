"""Where things are: paths of sources and cameras, and what each kind of scene promises about the view."""

from dataclasses import dataclass

import numpy as np

from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.trajectory import CameraTrajectory

KNOT_RATE_HZ = 20
VIEW_FOV_DEG = 90.0
INSIDE_MARGIN_DEG = 6.5
OUTSIDE_MARGIN_DEG = 8.0
CENTRE_LIMIT_DEG = 4.0
ELEVATION_LIMITS_DEG = (-50.0, 60.0)
ATTEMPTS = 60


@dataclass(frozen=True, eq=False)
class SourcePath:
    """Direction of a source over time, in the world.

    Attributes:
        times_s: Knots, increasing, shape (K,).
        vectors: Unit vectors at the knots (x front, y left, z up), shape (K, 3).
    """

    times_s: np.ndarray
    vectors: np.ndarray

    def vectors_at(self, times_s: np.ndarray) -> np.ndarray:
        """Return unit vectors of shape (T, 3) at the given times, held beyond the ends."""
        found = np.stack(
            [np.interp(times_s, self.times_s, self.vectors[:, axis]) for axis in range(3)], axis=1
        )
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def knot_times_s(duration_s: float) -> np.ndarray:
    """Return the knots of all paths of a clip, from 0 to at least its end, shape (K,)."""
    return np.arange(int(np.ceil(duration_s * KNOT_RATE_HZ)) + 1) / KNOT_RATE_HZ


def turn_about(axis: np.ndarray, angles_rad: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Turn a unit vector about an axis by each angle (Rodrigues' formula); shape (K, 3)."""
    cosine, sine = np.cos(angles_rad)[:, None], np.sin(angles_rad)[:, None]
    return vector * cosine + np.cross(axis, vector) * sine + axis * (axis @ vector) * (1 - cosine)


def draw_camera(
    rng: np.random.Generator, times_s: np.ndarray, turning: bool, sway_limit_deg: float = 90.0
) -> CameraTrajectory:
    """Draw a camera: any yaw, pitch within ±30°, mostly no roll; when turning, up to about 60°/s.

    Args:
        rng: Generator of this camera.
        times_s: Knots, shape (K,).
        turning: Whether the camera moves.
        sway_limit_deg: Largest amplitude of a swaying yaw; below 90 no full sweeps are drawn.
    """
    yaw0_deg, pitch0_deg = rng.uniform(-180, 180), rng.uniform(-30, 30)
    roll_deg = rng.uniform(-10, 10) if rng.random() < 0.2 else 0.0
    yaw_deg, pitch_deg = np.full_like(times_s, yaw0_deg), np.full_like(times_s, pitch0_deg)
    if turning:
        speed_deg_s = rng.uniform(10, 55)
        if sway_limit_deg >= 90.0 and rng.random() < 0.5:
            yaw_deg = yaw_deg + rng.choice((-1, 1)) * speed_deg_s * times_s
        else:
            rate_hz, phase = rng.uniform(0.08, 0.3), rng.uniform(0, 2 * np.pi)
            swing_deg = min(speed_deg_s / (2 * np.pi * rate_hz), sway_limit_deg)
            yaw_deg = yaw_deg + swing_deg * np.sin(2 * np.pi * rate_hz * times_s + phase)
        nod_hz, nod_phase = rng.uniform(0.05, 0.25), rng.uniform(0, 2 * np.pi)
        nod = rng.uniform(0, 6) * np.sin(2 * np.pi * nod_hz * times_s + nod_phase)
        pitch_deg = np.clip(pitch_deg + nod, -30, 30)
    return CameraTrajectory(times_s, yaw_deg, pitch_deg, np.full_like(times_s, roll_deg))


def following_camera(rng: np.random.Generator, path: SourcePath, turning: bool) -> CameraTrajectory:
    """Draw a camera that keeps a source within ``CENTRE_LIMIT_DEG`` of its centre.

    A static camera looks at the middle of the path; a turning one follows it a little off centre.
    """
    vectors = path.vectors if turning else np.broadcast_to(path.vectors.mean(axis=0), path.vectors.shape)
    azimuth_deg = np.rad2deg(np.unwrap(np.arctan2(vectors[:, 1], vectors[:, 0])))
    elevation_deg = np.rad2deg(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
    off_deg, angle = rng.uniform(0, 2.5), rng.uniform(0, 2 * np.pi)
    off_yaw_deg = off_deg * np.cos(angle) / np.cos(np.deg2rad(elevation_deg))
    roll_deg = rng.uniform(-10, 10) if rng.random() < 0.2 else 0.0
    return CameraTrajectory(
        path.times_s,
        azimuth_deg + off_yaw_deg,
        elevation_deg + off_deg * np.sin(angle),
        np.full_like(azimuth_deg, roll_deg),
    )


def draw_path(
    rng: np.random.Generator,
    times_s: np.ndarray,
    start: np.ndarray,
    still: bool,
    speed_limit_deg_s: float = 40.0,
) -> SourcePath:
    """Draw a path through a direction: it stands still, or moves on an arc that may swing back.

    Args:
        rng: Generator of this path.
        times_s: Knots, shape (K,).
        start: Unit vector at the middle of the clip, shape (3,).
        still: Whether the source stays where it is.
        speed_limit_deg_s: Largest speed.
    """
    if still:
        return SourcePath(times_s, np.broadcast_to(start, (len(times_s), 3)))
    tilt_deg = rng.normal(0, 20)
    level = np.cross(start, (0.0, 0.0, 1.0))
    level /= np.linalg.norm(level)
    rise = np.cross(level, start)
    # The axis is at a right angle to the start, mostly upright: things move sideways more than up and down.
    axis = np.cos(np.deg2rad(tilt_deg)) * rise + np.sin(np.deg2rad(tilt_deg)) * level
    speed_rad_s = np.deg2rad(rng.uniform(4, speed_limit_deg_s)) * rng.choice((-1, 1))
    since_s = times_s - 0.5 * times_s[-1]
    if rng.random() < 0.5:
        angles = speed_rad_s * since_s
    else:
        rate = 2 * np.pi * rng.uniform(0.1, 0.35)
        phase = rng.uniform(0, 2 * np.pi)
        angles = speed_rad_s / rate * (np.sin(rate * since_s + phase) - np.sin(phase))
    return SourcePath(times_s, turn_about(axis, angles, start))


def off_axis_deg(vectors_cam: np.ndarray) -> np.ndarray:
    """Return how far vectors lie outside a square 90° view: the larger of the two plane angles, minus 45°.

    Args:
        vectors_cam: Camera-frame vectors, shape (..., 3).

    Returns:
        Degrees, shape (...): negative inside the view, positive outside, capped at 135 behind the camera.
    """
    x, y, z = vectors_cam[..., 0], vectors_cam[..., 1], vectors_cam[..., 2]
    sideways = np.maximum(np.arctan2(np.abs(y), x), np.arctan2(np.abs(z), x))
    return np.rad2deg(sideways) - VIEW_FOV_DEG / 2


def elevations_allowed(vectors: np.ndarray) -> bool:
    """Return whether unit vectors of shape (K, 3) stay within ``ELEVATION_LIMITS_DEG``."""
    low, high = np.sin(np.deg2rad(ELEVATION_LIMITS_DEG))
    return bool(vectors[:, 2].min() >= low and vectors[:, 2].max() <= high)


def draw_direction(rng: np.random.Generator) -> np.ndarray:
    """Draw a unit vector: any azimuth, elevation within -50..60° and mostly near the horizon, shape (3,)."""
    elevation_deg = float(np.clip(rng.normal(5, 25), *ELEVATION_LIMITS_DEG))
    return unit_vectors(rng.uniform(-180, 180), elevation_deg)


def draw_visible_path(
    rng: np.random.Generator, times_s: np.ndarray, matrices: np.ndarray, still: bool
) -> SourcePath | None:
    """Draw a path that stays inside the view with a margin, or None if this draw does not.

    Args:
        rng: Generator of this path.
        times_s: Knots, shape (K,).
        matrices: Camera matrices at the knots, v_world = R v_cam, shape (K, 3, 3).
        still: Whether the source stays where it is.
    """
    side, height = np.tan(np.deg2rad(rng.uniform(-38, 38, size=2)))
    start_cam = np.array([1.0, side, height]) / np.sqrt(1 + side**2 + height**2)
    path = draw_path(rng, times_s, matrices[len(matrices) // 2] @ start_cam, still)
    vectors_cam = np.einsum("kji,kj->ki", matrices, path.vectors)
    inside = off_axis_deg(vectors_cam).max() <= -INSIDE_MARGIN_DEG
    return path if inside and elevations_allowed(path.vectors) else None


def draw_hidden_path(
    rng: np.random.Generator, times_s: np.ndarray, matrices: np.ndarray, still: bool
) -> SourcePath | None:
    """Draw a path that stays outside the view with a margin, or None if this draw does not."""
    path = draw_path(rng, times_s, draw_direction(rng), still)
    vectors_cam = np.einsum("kji,kj->ki", matrices, path.vectors)
    outside = off_axis_deg(vectors_cam).min() >= OUTSIDE_MARGIN_DEG
    return path if outside and elevations_allowed(path.vectors) else None


def carried_path(
    times_s: np.ndarray, matrices: np.ndarray, vector_cam: tuple[float, float, float]
) -> SourcePath:
    """Return a path that keeps its place in the camera's frame: the last resort where no draw fits."""
    vector = np.asarray(vector_cam) / np.linalg.norm(vector_cam)
    return SourcePath(times_s, matrices @ vector)
