"""The sound field painted over the picture: where the sound comes from, seen.

The field is heard from the camera, so a pixel's direction does not change with time. For each painted moment
the 4 × 4 covariance of a short stretch of sound gives the RMS of a beam towards every pixel. Between two
moments the covariance runs linearly, which keeps the paint from flickering.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video
from spatialfoley.spatial.energy_map import beam_rms, energy_map
from spatialfoley.spatial.projection import panorama_directions, view_directions
from spatialfoley.spatial.signal import Sound, require_layout

FloatArray = NDArray[np.float32]

# Anchors of a dark-to-bright map whose lightness rises evenly: black, violet, red, orange, pale yellow.
_COLOUR_ANCHORS = np.array(
    [(0, 0, 4), (62, 10, 105), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], np.float32
)
_LONGEST_SIDE_PX = 640
_HIGHEST_RATE_HZ = 30.0
_PAINT_CELL_PX = 8


@dataclass(frozen=True)
class PaintSettings:
    """How the paint looks.

    Attributes:
        maps_per_s: moments per second at which the field is measured.
        sharpness: power on the beam's RMS; a beam is wide, and 12 makes a plane wave a spot of about 65°.
        floor_db: level below the loudest moment at which the paint has faded out.
        opacity: paint at the loudest direction of the loudest moment, 0 to 1.
    """

    maps_per_s: float = 15.0
    sharpness: float = 12.0
    floor_db: float = 30.0
    opacity: float = 0.6


def write_energy_video(
    path: str | Path,
    video: Video,
    heard: Sound,
    ears: Sound,
    panorama: bool = False,
    fov_deg: float = 90.0,
    settings: PaintSettings | None = None,
) -> None:
    """Write the video with the sound field painted over it and binaural sound.

    Args:
        path: file to write.
        video: the picture.
        heard: layout "foa", as long as the video, relative to the camera (``foa.listen_from``).
        ears: sound of the file, normally binaural.
        panorama: True for an equirectangular picture, False for a flat one.
        fov_deg: what the middle square of a flat picture covers, in degrees, in (0, 180).
        settings: look of the paint.
    """
    settings = settings or PaintSettings()
    height, width = _picture_size(video)
    rate_hz = min(video.average_rate_hz, _HIGHEST_RATE_HZ)
    count = max(1, math.ceil(video.duration_s * rate_hz - 1e-6))
    directions = pixel_directions(_paint_size(height, width), panorama, fov_deg)
    paint = _Painter(directions, moving_covariance(heard, settings.maps_per_s), settings, (height, width))

    def painted() -> Iterator[NDArray[np.uint8]]:
        for index, picture in _at_constant_rate(video, (height, width), rate_hz, count):
            yield paint.over(picture, min((index + 0.5) / rate_hz, video.duration_s))

    write_frames(path, painted(), rate_hz, ears, duration_s=video.duration_s)


def pixel_directions(
    size: tuple[int, int], panorama: bool = False, fov_deg: float = 90.0
) -> NDArray[np.float64]:
    """Directions of the pixel centres of a picture, relative to the camera.

    Args:
        size: (H, W) in pixels.
        panorama: True for an equirectangular picture whose middle is straight ahead.
        fov_deg: what the middle square of a flat picture covers, in degrees, in (0, 180).

    Returns:
        unit vectors (H, W, 3), x front, y left, z up.
    """
    height, width = size
    if panorama:
        return panorama_directions(height, width)
    if not 0 < fov_deg < 180:
        raise ValueError(f"fov_deg is {fov_deg}; a flat picture covers more than 0 and less than 180 degrees")
    half_width = math.tan(math.radians(fov_deg) / 2) * width / min(height, width)
    return view_directions(size, math.degrees(2 * math.atan(half_width)))


def moving_covariance(heard: Sound, maps_per_s: float) -> FloatArray:
    """Covariance of overlapping stretches of a field, one for each painted moment.

    Each stretch is twice as long as the step between moments and fades in and out.

    Returns:
        array (M, 4, 4), moment i at second i / maps_per_s.
    """
    require_layout(heard, "foa", "heard")
    step = heard.rate_hz / maps_per_s
    half = max(1, round(step))
    moments = int(heard.frames / step) + 2
    weight = np.sqrt(np.hanning(2 * half + 2)[1:-1]).astype(np.float32)
    covariances = np.empty((moments, 4, 4), np.float32)
    blocks = chain([np.zeros((4, half), np.float32)], heard.blocks())
    held, first = next(blocks), 0
    for index in range(moments):
        start = round(index * step)
        while first + held.shape[1] < start + 2 * half:
            block = next(blocks, None)
            if block is None:  # silence behind the end
                block = np.zeros((4, 2 * half), np.float32)
            held, first = np.concatenate([held[:, start - first :], block], axis=1), start
        stretch = held[:, start - first : start - first + 2 * half] * weight
        covariances[index] = stretch @ stretch.T / half
    return covariances


class _Painter:
    def __init__(
        self,
        directions: NDArray[np.float64],
        covariances: FloatArray,
        settings: PaintSettings,
        size: tuple[int, int],
    ) -> None:
        self.directions, self.covariances, self.settings, self.size = directions, covariances, settings, size
        # Moment by moment: the maps of an hour would not fit into memory.
        self.peaks = np.array([max(float(energy_map(one).max()), 1e-10) for one in covariances])
        self.loudest = float(self.peaks.max())

    def over(self, picture: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """The picture (H, W, 3) with the paint of one moment."""
        position = min(time_s * self.settings.maps_per_s, len(self.peaks) - 1.001)
        index, part = int(position), position - int(position)
        covariance = (1 - part) * self.covariances[index] + part * self.covariances[index + 1]
        # Powers add where amplitudes do not: the peak must not fall below the map that it scales.
        peak = math.sqrt((1 - part) * self.peaks[index] ** 2 + part * self.peaks[index + 1] ** 2)
        rms = beam_rms(covariance, self.directions)
        level_db = 20 * np.log10(max(peak / self.loudest, 1e-6))
        loudness = max(0.0, 1 + level_db / self.settings.floor_db)
        strength = loudness * np.minimum(rms / peak, 1.0) ** self.settings.sharpness
        return _blend(picture, _enlarge(strength.astype(np.float32), self.size), self.settings.opacity)


def _blend(picture: NDArray[np.uint8], strength: FloatArray, opacity: float) -> NDArray[np.uint8]:
    position = np.clip(strength, 0, 1) * (len(_COLOUR_ANCHORS) - 1)
    anchor = np.arange(len(_COLOUR_ANCHORS))
    colour = np.stack([np.interp(position, anchor, _COLOUR_ANCHORS[:, c]) for c in range(3)], axis=-1)
    # Quiet directions darken a little: the spot stands out on bright pictures too.
    alpha = (opacity * np.sqrt(np.clip(strength, 0, 1)))[..., None]
    return np.clip(picture * (0.8 * (1 - alpha)) + colour * alpha, 0, 255).astype(np.uint8)


def _enlarge(small: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Bilinear enlargement of (h, w) to (H, W), pixel centres kept."""
    for axis, length in enumerate(size):
        at = np.clip((np.arange(length) + 0.5) * small.shape[axis] / length - 0.5, 0, small.shape[axis] - 1)
        below = np.minimum(at.astype(int), max(small.shape[axis] - 2, 0))
        part = (at - below).astype(np.float32)[:, None] if axis == 0 else (at - below).astype(np.float32)
        above = np.minimum(below + 1, small.shape[axis] - 1)
        small = small.take(below, axis) * (1 - part) + small.take(above, axis) * part
    return small


def _picture_size(video: Video) -> tuple[int, int]:
    """Height and width of the painted picture: even, as the common codecs want, and not large."""
    scale = min(1.0, _LONGEST_SIDE_PX / max(video.width, video.height))
    return max(2, round(video.height * scale / 2) * 2), max(2, round(video.width * scale / 2) * 2)


def _paint_size(height: int, width: int) -> tuple[int, int]:
    return max(4, height // _PAINT_CELL_PX), max(4, width // _PAINT_CELL_PX)


def _at_constant_rate(
    video: Video, size: tuple[int, int], rate_hz: float, count: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (index, frame on screen at the middle of the index-th output frame), one at a time."""
    index = 0
    held: NDArray[np.uint8] | None = None
    for time_s, frame in video.iterate_frames(size):
        while held is not None and index < count and (index + 0.5) / rate_hz < time_s:
            yield index, held
            index += 1
        held = frame
    while held is not None and index < count:
        yield index, held
        index += 1
