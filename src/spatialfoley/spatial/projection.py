"""Views of a panorama: equirectangular to perspective, and the direction of every pixel.

A panorama of H × W pixels shows azimuth +180 at its left edge, -180 at its right edge, elevation +90 at its
top edge; a pixel stands for its centre. A view of h × w pixels with a horizontal field of view shows the
camera's forward axis at its centre, between pixels for even sizes.

``variant="reference"`` samples as the published data set was made: no half-pixel centres (forward is pixel
(h/2, w/2)), one panorama pixel too far right and too far down, and no wrap at the seam behind the listener.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import CameraPose, Direction, unit_vectors
from spatialfoley.spatial.trajectory import CameraTrajectory, as_trajectory

ProjectionVariant = Literal["correct", "reference"]
Size = int | tuple[int, int]
Frames = npt.NDArray[np.uint8]

_WEIGHT_BITS = 10


def view_directions(size_px: Size, fov_deg: float, variant: ProjectionVariant = "correct") -> np.ndarray:
    """Unit vectors of the pixels of a perspective view, in the camera's axes (x front, y left, z up).

    Args:
        size_px: Width and height of a square view, or (height, width).
        fov_deg: Horizontal field of view, more than 0 and less than 180 degrees.
        variant: Pixel centres ("correct") or the published offsets ("reference").

    Returns:
        Shape (height, width, 3), float64.
    """
    height, width = _checked_size(size_px)
    half_width = _tangent(fov_deg)
    shift = 0.5 if _checked_variant(variant) == "correct" else 0.0
    right = (2.0 * (np.arange(width) + shift) / width - 1.0) * half_width
    down = (2.0 * (np.arange(height) + shift) - height) / width * half_width
    rays = np.empty((height, width, 3))
    rays[..., 0], rays[..., 1], rays[..., 2] = 1.0, -right[None, :], -down[:, None]
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def panorama_directions(height_px: int, width_px: int | None = None) -> np.ndarray:
    """Unit vectors (world axes) of the pixel centres of a panorama, shape (height, width = 2 height, 3)."""
    height, width = _checked_size((height_px, 2 * height_px if width_px is None else width_px))
    azimuth_deg = 180.0 - 360.0 * (np.arange(width) + 0.5) / width
    elevation_deg = 90.0 - 180.0 * (np.arange(height) + 0.5) / height
    return unit_vectors(azimuth_deg[None, :], elevation_deg[:, None])


def panorama_pixels(
    vectors: npt.ArrayLike, height_px: int, width_px: int, variant: ProjectionVariant = "correct"
) -> tuple[np.ndarray, np.ndarray]:
    """Column and row (fractional, 0 = centre of the first) where a panorama shows unit vectors (..., 3).

    The correct columns run from -0.5 to width - 0.5 and wrap; those of the reference are clamped.
    """
    array = np.asarray(vectors)
    x, y, z = (array[..., axis].copy() for axis in range(3))
    turn = np.arctan2(y, x) / (2.0 * np.pi)
    climb = np.arcsin(np.clip(z, -1.0, 1.0)) / np.pi
    if _checked_variant(variant) == "correct":
        return (0.5 - turn) * width_px - 0.5, (0.5 - climb) * height_px - 0.5
    column = np.clip((0.5 - turn) * width_px + 1.0, 1.0, width_px - 1.0)
    return column, np.clip((0.5 - climb) * height_px + 1.0, 1.0, height_px - 1.0)


def view_pixels(
    vectors: npt.ArrayLike, camera: Direction | CameraPose, size_px: Size, fov_deg: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a view shows world directions.

    Args:
        vectors: Unit vectors in world axes, shape (..., 3).
        camera: Where the camera looks.
        size_px: Width and height of a square view, or (height, width).
        fov_deg: Horizontal field of view in degrees.

    Returns:
        Column and row (fractional, 0 = centre of the first pixel; NaN behind the camera) and whether the
        direction is inside the view, each of shape (...).
    """
    height, width = _checked_size(size_px)
    scale = width / (2.0 * _tangent(fov_deg))
    trajectory = as_trajectory(camera)
    R = trajectory.pose_at(0.0).matrix()
    seen = np.asarray(vectors, dtype=np.float64) @ R  # Rᵀ v for row vectors
    depth = np.where(seen[..., 0] > 1e-9, seen[..., 0], np.nan)
    column = (width - 1) / 2.0 - scale * seen[..., 1] / depth
    row = (height - 1) / 2.0 - scale * seen[..., 2] / depth
    inside = (np.abs(column - (width - 1) / 2.0) <= width / 2.0) & (
        np.abs(row - (height - 1) / 2.0) <= height / 2.0
    )
    return column, row, inside


def perspective(
    panorama: Frames,
    camera: Direction | CameraPose | CameraTrajectory,
    fov_deg: float = 90.0,
    size_px: Size = 224,
    variant: ProjectionVariant = "correct",
    times_s: npt.ArrayLike | None = None,
) -> Frames:
    """Perspective view of a panorama, or of panorama frames seen by a moving camera.

    Args:
        panorama: Equirectangular uint8 RGB, shape (H, W, 3) or (T, H, W, 3).
        camera: Where the camera looks, fixed or moving.
        fov_deg: Horizontal field of view in degrees.
        size_px: Width and height of a square view, or (height, width).
        variant: "correct" or the published "reference" offsets.
        times_s: Time of each frame, shape (T,); needed for a moving camera only.

    Returns:
        Views of shape (h, w, 3) or (T, h, w, 3), uint8, bilinear.

    Raises:
        ValueError: If a shape, type or size does not fit, or a moving camera comes without times.
    """
    frames = np.asarray(panorama)
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-1] != 3:
        raise ValueError(
            f"panorama has shape {frames.shape} and type {frames.dtype}; "
            "it must be uint8 of shape (H, W, 3) or (T, H, W, 3)"
        )
    if frames.ndim == 3:
        return perspective(frames[None], camera, fov_deg, size_px, variant, times_s)[0]
    trajectory = as_trajectory(camera)
    rays = _rays(_checked_size(size_px), float(fov_deg), variant)
    times = _frame_times(trajectory, len(frames), times_s)
    rotations = trajectory.matrices_at(times, np.float32)
    views = np.empty((len(frames), *rays.shape), np.uint8)
    taps: _Taps | None = None
    for k, frame in enumerate(frames):
        if taps is None or not trajectory.is_static:
            height, width = frame.shape[:2]
            column, row = panorama_pixels(rays @ rotations[k].T, height, width, variant)
            taps = _Taps(column, row, height, width, wraps=variant == "correct")
        views[k] = taps.sample(frame)
    return views


@lru_cache(maxsize=4)
def _rays(size_px: tuple[int, int], fov_deg: float, variant: ProjectionVariant) -> npt.NDArray[np.float32]:
    rays = view_directions(size_px, fov_deg, variant).astype(np.float32)
    rays.setflags(write=False)
    return rays


class _Taps:
    """The four source pixels and fixed-point weights of every target pixel, reused while the camera rests."""

    def __init__(self, column: np.ndarray, row: np.ndarray, height: int, width: int, wraps: bool) -> None:
        self.shape = column.shape
        left, top = np.floor(column).astype(np.int32), np.floor(row).astype(np.int32)
        one = 1 << _WEIGHT_BITS
        fx = np.rint((column - left) * one).astype(np.int32)
        fy = np.rint((row - top) * one).astype(np.int32)
        columns = [np.mod(c, width) if wraps else np.clip(c, 0, width - 1) for c in (left, left + 1)]
        rows = [np.clip(r, 0, height - 1) * width for r in (top, top + 1)]
        # Channel by channel over contiguous rows: numpy walks (pixels, 3) in steps of three, twice as slowly.
        self.offsets = [((r + c) * 3).ravel() for r in rows for c in columns]
        self.weights = [(wy * wx).ravel() for wy in (one - fy, fy) for wx in (one - fx, fx)]

    def sample(self, frame: Frames) -> Frames:
        """Bilinear values of a frame (H, W, 3): shape (h, w, 3)."""
        values = frame.reshape(-1)
        view = np.empty((self.offsets[0].size, 3), np.uint8)
        for channel in range(3):
            total = np.full(len(view), 1 << (2 * _WEIGHT_BITS - 1), np.int32)
            for offset, weight in zip(self.offsets, self.weights, strict=True):
                # All offsets are inside; "clip" leaves out the check that would find none.
                total += values[channel:].take(offset, mode="clip") * weight
            view[:, channel] = total >> (2 * _WEIGHT_BITS)
        return view.reshape(*self.shape, 3)


def _frame_times(trajectory: CameraTrajectory, count: int, times_s: npt.ArrayLike | None) -> np.ndarray:
    if times_s is None:
        if not trajectory.is_static:
            raise ValueError("times_s is missing; a moving camera needs the time of each frame in seconds")
        return np.zeros(count)
    times = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    if times.shape != (count,):
        raise ValueError(f"times_s has shape {times.shape}; it must hold one time for each of {count} frames")
    return times


def _tangent(fov_deg: float) -> float:
    if not math.isfinite(fov_deg) or not 0.0 < fov_deg < 180.0:
        raise ValueError(
            f"fov_deg is {fov_deg}; a perspective view needs more than 0 and less than 180 degrees"
        )
    return math.tan(math.radians(fov_deg) / 2.0)


def _checked_size(size_px: Size) -> tuple[int, int]:
    height, width = (size_px, size_px) if isinstance(size_px, int | np.integer) else size_px
    if height < 1 or width < 1:
        raise ValueError(f"size_px is {size_px}; height and width must be at least 1 pixel")
    return int(height), int(width)


def _checked_variant(variant: ProjectionVariant) -> ProjectionVariant:
    if variant not in get_args(ProjectionVariant):
        raise ValueError(
            f"variant is {variant!r}; it must be one of {', '.join(get_args(ProjectionVariant))}"
        )
    return variant
