"""From a decoded frame to the upright, cropped, resized RGB array that the rest of the project sees."""

from typing import Any, Literal, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

Crop = Literal["center-square"]
FrameSize = int | tuple[int, int]
Orientation = tuple[bool, bool, bool]
"""Transpose, then flip rows, then flip columns."""


class PictureScaler:
    """Turns decoded frames into RGB arrays with one scaler (a new one per frame is 4 to 7 times slower)."""

    def __init__(self, pixel_aspect: float, size_px: FrameSize | None, crop: Crop | None) -> None:
        """Fix the output size.

        Args:
            pixel_aspect: width of a stored pixel over its height.
            size_px: (height, width), a side length, or None for the displayed size.
            crop: "center-square" keeps the middle square; None keeps (and at need squeezes) everything.
        """
        self._pixel_aspect = pixel_aspect
        self._size = (size_px, size_px) if isinstance(size_px, int) else size_px
        self._crop = crop
        self._reformatter = VideoReformatter()
        self._turned: Orientation | None = None
        self._after_key_frame = False

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """Return uint8 RGB of shape (height, width, 3), turned upright by the frame's display matrix."""
        transposed, flip_y, flip_x = self._orientation_of(frame)
        width, height = _upright_size(frame, self._pixel_aspect, transposed)
        out_height, out_width = self._scaled_size(height, width)
        stored = (out_height, out_width) if transposed else (out_width, out_height)
        shrinks = stored[0] <= frame.width and stored[1] <= frame.height
        picture = self._reformatter.reformat(
            frame,
            width=stored[0],
            height=stored[1],
            format="rgb24",
            interpolation=Interpolation.AREA if shrinks else Interpolation.BICUBIC,
            threads=1,
        ).to_ndarray()
        upright = picture.swapaxes(0, 1) if transposed else picture
        upright = upright[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
        return np.ascontiguousarray(self._cropped(upright))

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        """The orientation, asked of the first frame and of key frames between others: it changes nowhere else.

        A frame whose side data was looked at waits for the garbage collector, with megabytes of picture.
        """
        if self._turned is None or (frame.key_frame and not self._after_key_frame):
            self._turned = _orientation(frame)
        self._after_key_frame = bool(frame.key_frame)
        return self._turned

    def _scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size before the crop: the crop is cut from a picture that was scaled as a whole."""
        if self._size is None:
            return height, width
        if self._crop is None:
            return self._size
        scale = self._size[0] / min(height, width)
        return max(self._size[0], round(height * scale)), max(self._size[0], round(width * scale))

    def _cropped(self, picture: np.ndarray) -> np.ndarray:
        if self._crop is None:
            return picture
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return picture[top : top + side, left : left + side]


def displayed_size(frame: VideoFrame, pixel_aspect: float) -> tuple[int, int]:
    """Return (width, height) of the picture as shown: square pixels, upright."""
    return _upright_size(frame, pixel_aspect, _orientation(frame)[0])


def _upright_size(frame: VideoFrame, pixel_aspect: float, transposed: bool) -> tuple[int, int]:
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    return (height, width) if transposed else (width, height)


def _orientation(frame: VideoFrame) -> Orientation:
    """Which of the eight ways the display matrix asks for: (transpose, then flip rows, then flip columns).

    The matrix (a b u; c d v; x y w) sends the stored point (p, q) to (a p + c q + x, b p + d q + y). Slanted
    angles, which no camera writes, go to the nearest quarter turn.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(cast(Any, data)), dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0
