"""The frames that MMAudio's encoders look at: chosen and resized as the published code does, window by window."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spatialfoley.features.frame_choice import published_frame_indices
from spatialfoley.media.video import Video
from spatialfoley.media.view import is_panorama, network_frames

Resize = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB (T, H, W, 3) to the size of one encoder."""

PANORAMA_VIEW_PX = 448
"""Side of the view ahead that is cut out of a panorama: the largest that an encoder wants."""

_BYTES_AT_ONCE = 192_000_000


def chosen_times_s(
    frame_times_s: NDArray[np.float64], start_s: float, duration_s: float, rate_hz: float
) -> NDArray[np.float64]:
    """Times of the frames that a window is seen by, as the published code takes them from a file of its length.

    The frame on screen at the start of the window counts as its first. Where the picture ends before the window,
    its last frame stays, so that there are always int(rate_hz * duration_s).

    Args:
        frame_times_s: appearance of every frame of the clip (N,), ascending, the first at most 0.
        start_s: start of the window in the clip.
        duration_s: its length.
        rate_hz: frames per second that the encoder wants.
    """
    first = max(0, int(np.searchsorted(frame_times_s, start_s + 1e-6, side="right")) - 1)
    shown = np.maximum(frame_times_s[first:] - start_s, 0.0)
    indices = published_frame_indices(shown, rate_hz, duration_s)
    missing = int(rate_hz * duration_s) - len(indices)
    last = int(np.searchsorted(shown, duration_s, side="right")) - 1
    indices = np.pad(indices, (0, max(missing, 0)), constant_values=last)
    return np.maximum(frame_times_s[first + indices], 0.0)


def resized_frames(
    video: Video, times_s: NDArray[np.float64], resizes: Sequence[Resize], panorama: bool | None = None
) -> list[np.ndarray]:
    """Frames of a video at several sizes; of whole frames only a few are held at a time.

    Args:
        video: the picture.
        times_s: of the frames, in seconds after the start of the clip (T,).
        resizes: what each encoder wants.
        panorama: True for an equirectangular picture, of which the view ahead is seen; None asks its shape.

    Returns:
        for each of `resizes` uint8 RGB (T, h, w, 3).
    """
    flat = not (is_panorama(video) if panorama is None else panorama)
    side_bytes = video.width * video.height if flat else PANORAMA_VIEW_PX**2
    count = max(1, _BYTES_AT_ONCE // (3 * side_bytes))
    parts: list[list[np.ndarray]] = [[] for _ in resizes]
    for first in range(0, len(times_s), count):
        times = times_s[first : first + count]
        frames = (
            video.frames_at(times, crop=None)
            if flat
            else network_frames(video, times, PANORAMA_VIEW_PX, panorama=True)
        )
        for part, resize in zip(parts, resizes, strict=True):
            part.append(resize(frames))
    return [np.concatenate(part) for part in parts]
