"""Where pixels look: the rays of a square view and of a panorama, and the pixels that a thing can touch."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Pixel windows of equal size, one for each moment at which a thing can be seen.

    Attributes:
        moments: Indices of these moments, shape (M,).
        rows: Row numbers, shape (M, P).
        columns: Column numbers, shape (M, Q).
    """

    moments: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


class Raster(Protocol):
    """A picture's pixels as directions in the raster's own frame."""

    @property
    def rays(self) -> np.ndarray:
        """Unit vectors of the pixel centres, float32, shape (H, W, 3)."""
        ...

    def windows(self, centres: np.ndarray, corners: np.ndarray) -> Windows:
        """Return windows that hold all pixels inside the corners.

        Args:
            centres: Directions of a thing, shape (T, 3).
            corners: Points around it, not normalised, shape (T, 4, 3).
        """
        ...

    @property
    def pixel_rad(self) -> float:
        """Angle that one pixel spans at the centre."""
        ...


@dataclass(frozen=True, eq=False)
class ViewRaster:
    """A square perspective view along +x.

    Attributes:
        size_px: Width and height.
        fov_deg: Field of view from edge to edge.
        rays: Unit vectors of the pixel centres, float32, shape (size, size, 3).
    """

    size_px: int
    fov_deg: float
    rays: np.ndarray

    @property
    def pixel_rad(self) -> float:
        """Angle that one pixel spans at the centre."""
        return 2 * float(np.tan(np.deg2rad(self.fov_deg) / 2)) / self.size_px

    def windows(self, centres: np.ndarray, corners: np.ndarray) -> Windows:
        """Return windows inside the picture; moments at which nothing can be seen are left out."""
        size, reach = self.size_px, np.tan(np.deg2rad(self.fov_deg) / 2)
        depth = np.maximum(corners[..., :1], 0.08)
        columns_rows = size / 2 * (1 - corners[..., 1:] / depth / reach) - 0.5
        low = np.clip(np.floor(columns_rows.min(axis=1)), 0, size).astype(int)
        high = np.clip(np.ceil(columns_rows.max(axis=1)) + 1, 0, size).astype(int)
        seen = ((high - low) > 0).all(axis=1) & (corners[..., 0].max(axis=1) > 0.08)
        moments = np.flatnonzero(seen)
        if not len(moments):
            return Windows(moments, np.zeros((0, 0), int), np.zeros((0, 0), int))
        width, height = (high - low)[seen].max(axis=0)
        columns = np.minimum(low[seen, 0], size - width)[:, None] + np.arange(width)
        rows = np.minimum(low[seen, 1], size - height)[:, None] + np.arange(height)
        return Windows(moments, rows, columns)


@dataclass(frozen=True, eq=False)
class PanoramaRaster:
    """An equirectangular panorama: azimuth +180 at the left edge, elevation +90 at the top.

    Attributes:
        height_px: Height; the width is twice this.
        rays: Unit vectors of the pixel centres, float32, shape (height, 2 height, 3).
    """

    height_px: int
    rays: np.ndarray

    @property
    def pixel_rad(self) -> float:
        """Angle that one pixel spans at the horizon."""
        return float(np.pi) / self.height_px

    def windows(self, centres: np.ndarray, corners: np.ndarray) -> Windows:
        """Return windows for every moment; columns run over the seam."""
        unit = corners / np.linalg.norm(corners, axis=2, keepdims=True)
        away = np.arccos(np.clip(np.einsum("tkj,tj->tk", unit, centres), -1, 1)).max(axis=1)
        elevation = np.arcsin(np.clip(centres[:, 2], -1, 1))
        azimuth = np.arctan2(centres[:, 1], centres[:, 0])
        # Meridians draw together towards the poles: the window widens until it is the whole circle.
        nearest_pole = np.minimum(np.abs(elevation) + away, np.pi / 2 - 1e-3)
        across = np.minimum(np.arcsin(np.clip(np.sin(away) / np.cos(nearest_pole), 0, 1)) * 1.3, np.pi)
        top = np.clip(
            np.floor((np.pi / 2 - elevation - away) / self.pixel_rad), 0, self.height_px - 1
        ).astype(int)
        height = min(self.height_px, int(np.ceil(2 * away.max() / self.pixel_rad)) + 2)
        width = min(2 * self.height_px, int(np.ceil(2 * across.max() / self.pixel_rad)) + 2)
        left = np.floor((np.pi - azimuth - across.max()) / self.pixel_rad).astype(int)
        rows = np.minimum(top, self.height_px - height)[:, None] + np.arange(height)
        columns = (left[:, None] + np.arange(width)) % (2 * self.height_px)
        return Windows(np.arange(len(centres)), rows, columns)


@lru_cache(maxsize=4)
def view_raster(size_px: int, fov_deg: float) -> ViewRaster:
    """Return the raster of a square view."""
    reach = np.tan(np.deg2rad(fov_deg) / 2)
    steps = (1 - 2 * (np.arange(size_px) + 0.5) / size_px) * reach
    rays = np.ones((size_px, size_px, 3))
    rays[..., 1], rays[..., 2] = steps[None, :], steps[:, None]
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    return ViewRaster(size_px, fov_deg, rays.astype(np.float32))


@lru_cache(maxsize=2)
def panorama_raster(height_px: int) -> PanoramaRaster:
    """Return the raster of a panorama."""
    elevation = np.pi / 2 - (np.arange(height_px) + 0.5) * np.pi / height_px
    azimuth = np.pi - (np.arange(2 * height_px) + 0.5) * np.pi / height_px
    flat = np.cos(elevation)[:, None]
    rays = np.stack(
        [
            flat * np.cos(azimuth),
            flat * np.sin(azimuth),
            np.repeat(np.sin(elevation)[:, None], 2 * height_px, 1),
        ],
        axis=2,
    )
    return PanoramaRaster(height_px, rays.astype(np.float32))
