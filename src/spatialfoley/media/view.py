"""What the network sees of a picture: the middle square of a flat one, the view ahead of a panorama."""

import numpy as np

from spatialfoley.media.video import Video
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.projection import perspective

VIEW_FOV_DEG = 90.0
"""Field of view that the published model and the tiny one were trained with."""

FRONT = CameraPose()

_PANORAMA_PX_PER_VIEW_PX = 2
_FRAMES_AT_ONCE = 16


def is_panorama(video: Video) -> bool:
    """Tell by its shape whether a picture is equirectangular: twice as wide as high."""
    return video.width == 2 * video.height


def network_frames(
    video: Video,
    times_s: np.ndarray,
    size_px: int,
    panorama: bool | None = None,
    camera: Direction | CameraPose = FRONT,
) -> np.ndarray:
    """Square frames of a video as the visual encoder wants them.

    Args:
        video: the picture.
        times_s: seconds after the start of the clip, (T,).
        size_px: side of the result.
        panorama: whether the picture is equirectangular; None asks its shape.
        camera: where to look in a panorama, relative to its middle.

    Returns:
        uint8 RGB (T, size_px, size_px, 3).
    """
    if not (is_panorama(video) if panorama is None else panorama):
        return video.frames_at(times_s, size_px=size_px)
    height = min(video.height, size_px * _PANORAMA_PX_PER_VIEW_PX)
    views = []
    # A few at a time: whole panoramas are large.
    for first in range(0, len(times_s), _FRAMES_AT_ONCE):
        sphere = video.frames_at(times_s[first : first + _FRAMES_AT_ONCE], (height, 2 * height), crop=None)
        views.append(perspective(sphere, camera, fov_deg=VIEW_FOV_DEG, size_px=size_px))
    return np.concatenate(views)
