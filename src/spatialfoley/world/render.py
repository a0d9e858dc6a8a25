"""Pictures of a scene: what the camera sees, or the whole panorama, through the same shading."""

from collections.abc import Callable

import numpy as np

from spatialfoley.world.activity import activity_at
from spatialfoley.world.background import Bystander, draw_background, shade_background
from spatialfoley.world.looks import LOOKS, REACH, Canvas
from spatialfoley.world.raster import Raster, panorama_raster, view_raster
from spatialfoley.world.scenes import Scene, Source

CHUNK_PIXELS = 1_000_000


def render_view(scene: Scene, times_s: np.ndarray, size_px: int = 64, fov_deg: float = 90.0) -> np.ndarray:
    """Render what the scene's camera sees.

    Args:
        scene: The scene.
        times_s: Moments, shape (T,), seconds from the start of the clip.
        size_px: Width and height, 8 or more.
        fov_deg: Field of view from edge to edge, 10..150.

    Returns:
        uint8 RGB of shape (T, size, size, 3).

    Raises:
        ValueError: If an argument is out of range.
    """
    if size_px < 8:
        raise ValueError(f"size_px is {size_px}; it must be 8 or more")
    if not 10.0 <= fov_deg <= 150.0:
        raise ValueError(f"fov_deg is {fov_deg}; it must be from 10 to 150")
    times_s = _checked_times(times_s)
    raster = view_raster(size_px, float(fov_deg))
    matrices = scene.camera.matrices_at(times_s)
    still = scene.camera_kind == "static"
    return _in_chunks(scene, raster, times_s, matrices, still)


def render_panorama(scene: Scene, times_s: np.ndarray, height_px: int = 128) -> np.ndarray:
    """Render the whole sphere, world-locked: azimuth +180 at the left edge, elevation +90 at the top.

    Args:
        scene: The scene.
        times_s: Moments, shape (T,).
        height_px: Height, 16 or more; the width is twice this.

    Returns:
        uint8 RGB of shape (T, height, 2 height, 3).

    Raises:
        ValueError: If an argument is out of range.
    """
    if height_px < 16:
        raise ValueError(f"height_px is {height_px}; it must be 16 or more")
    times_s = _checked_times(times_s)
    matrices = np.broadcast_to(np.eye(3), (len(times_s), 3, 3))
    return _in_chunks(scene, panorama_raster(height_px), times_s, matrices, still=True)


def _checked_times(times_s: np.ndarray) -> np.ndarray:
    times_s = np.asarray(times_s, dtype=np.float64)
    if times_s.ndim != 1 or not np.isfinite(times_s).all():
        raise ValueError(f"times_s has shape {times_s.shape}; it must be one row of finite seconds")
    return times_s


def _in_chunks(
    scene: Scene, raster: Raster, times_s: np.ndarray, matrices: np.ndarray, still: bool
) -> np.ndarray:
    height, width, _ = raster.rays.shape
    frames = np.empty((len(times_s), height, width, 3), np.uint8)
    step = max(1, CHUNK_PIXELS // (height * width))
    background = draw_background(scene.seed)
    for start in range(0, len(times_s), step):
        part = slice(start, start + step)
        poses = matrices[part][:1] if still else matrices[part]
        picture = shade_background(background, raster.rays, poses)
        for bystander in background.bystanders:
            _draw_bystander(picture, raster, poses, bystander)
        if still:
            picture = np.repeat(picture, len(times_s[part]), axis=0)
        for source in sorted(scene.sources, key=lambda source: -source.distance):
            _draw_source(picture, raster, matrices[part], source, times_s[part])
        np.clip(picture, 0, 1, out=picture)
        frames[part] = picture * np.float32(255) + np.float32(0.5)
    return frames


def _draw_source(
    picture: np.ndarray, raster: Raster, matrices: np.ndarray, source: Source, times_s: np.ndarray
) -> None:
    vectors = source.path.vectors_at(times_s)

    def look(canvas: Canvas, moments: np.ndarray) -> None:
        LOOKS[source.class_name](canvas, source, activity_at(source, times_s[moments]))

    _draw_billboard(picture, raster, matrices, vectors, source.radius_deg, look)


def _draw_bystander(picture: np.ndarray, raster: Raster, matrices: np.ndarray, thing: Bystander) -> None:
    def look(canvas: Canvas, moments: np.ndarray) -> None:
        if thing.shape == "diamond":
            mask = canvas.mask((np.abs(canvas.u) + np.abs(canvas.v) - 1) * 0.7)
        elif thing.shape == "ring":
            mask = canvas.ring(0.75, 0.2)
        else:
            mask = canvas.box(0, 0, 0.3, 1.5)
        canvas.paint(mask, thing.colour)

    vectors = np.broadcast_to(thing.vector, (len(matrices), 3))
    _draw_billboard(picture, raster, matrices, vectors, thing.radius_deg, look)


def _draw_billboard(
    picture: np.ndarray,
    raster: Raster,
    matrices: np.ndarray,
    vectors: np.ndarray,
    radius_deg: float,
    look: Callable[[Canvas, np.ndarray], None],
) -> None:
    """Lay a thing over the picture, in place.

    Args:
        picture: RGB 0..1, shape (T, H, W, 3).
        raster: Where its pixels look.
        matrices: v_world = R v_raster, shape (T, 3, 3).
        vectors: The thing's directions in the world, shape (T, 3).
        radius_deg: Its angular radius.
        look: Paints a canvas at given moments.
    """
    radius = np.tan(np.deg2rad(radius_deg))
    right = np.stack([vectors[:, 1], -vectors[:, 0], np.zeros(len(vectors))], axis=1)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, vectors)
    axes = np.einsum("tji,ktj->kti", matrices, np.stack([vectors, right, up]))
    span = REACH * radius * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    corners = axes[0][:, None] + span[:, :1] * axes[1][:, None] + span[:, 1:] * axes[2][:, None]
    windows = raster.windows(axes[0], corners)
    if not len(windows.moments):
        return
    rows, columns = windows.rows[:, :, None], windows.columns[:, None, :]
    seen = axes[:, windows.moments].astype(np.float32)
    along, sideways, upward = np.einsum("mpqj,kmj->kmpq", raster.rays[rows, columns], seen, optimize=False)
    front = along > 0.2
    scale = np.where(front, 1 / (np.maximum(along, 0.2) * np.float32(radius)), np.float32(1e3))
    canvas = Canvas(sideways * scale, upward * scale, raster.pixel_rad / radius)
    look(canvas, windows.moments)
    moments = windows.moments[:, None, None]
    under = picture[moments, rows, columns]
    picture[moments, rows, columns] = under * (1 - canvas.coverage[..., None]) + canvas.colour
