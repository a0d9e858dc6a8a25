"""Views of panoramas at the speed of a film: `spatial.projection.perspective` in C, where a compiler is at hand.

`panorama_view.c` is compiled on first use and tried against `perspective`; without a compiler `perspective` itself
does the work, an order of magnitude slower and with the same result.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spatialfoley.kernels.native_code import load_compiled
from spatialfoley.spatial.direction import CameraPose
from spatialfoley.spatial.projection import Frames, ProjectionVariant, Size, perspective, view_directions

_SOURCE = Path(__file__).with_suffix(".c")
_OPTIONS = ("-O3", "-march=native", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
_TOLERANCE = 2
"""Levels of 255: the two round differently."""
_PLACES = 6
_MOST_PIXELS = (2**31 - 1) // 3


class _Job(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("panorama", "view", "rotation", "places")),
        *((name, ctypes.c_int64) for name in ("height", "width", "view_height", "view_width")),
        ("tangent", ctypes.c_float),
        ("published", ctypes.c_int64),
    ]


class PanoramaView:
    """A camera that takes perspective pictures of panoramas, one at a time."""

    def __init__(
        self,
        size_px: Size,
        fov_deg: float = 90.0,
        variant: ProjectionVariant = "correct",
        native: bool = True,
    ) -> None:
        """Choose the camera.

        Args:
            size_px: Width and height of a square view, or (height, width).
            fov_deg: Horizontal field of view in degrees.
            variant: Pixel centres ("correct"), or the published offsets ("reference").
            native: Use the C code where it can be used.

        Raises:
            ValueError: A size, field of view or variant that a view cannot have.
        """
        # Looks at all arguments, and costs no more than one frame.
        self.shape = view_directions(size_px, fov_deg, variant).shape
        self.fov_deg, self.variant = fov_deg, variant
        self.native = native and unavailable_reason() is None
        self._places = np.empty(_PLACES * self.shape[1], np.float32)

    def of(self, panorama: Frames, pose: CameraPose) -> Frames:
        """What the camera sees of a panorama.

        Args:
            panorama: Equirectangular uint8 RGB, shape (H, W, 3).
            pose: Where it looks.

        Returns:
            uint8 RGB, shape (h, w, 3).

        Raises:
            ValueError: The panorama has another shape or type.
        """
        frame = np.asarray(panorama)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3 or 0 in frame.shape:
            raise ValueError(
                f"panorama has shape {frame.shape} and type {frame.dtype}; it must be uint8 of shape (H, W, 3)"
            )
        if self.native and 2 <= frame.shape[0] * frame.shape[1] <= _MOST_PIXELS:
            return _shown(
                np.ascontiguousarray(frame), pose, self.shape, self.fov_deg, self.variant, self._places
            )
        return perspective(frame, pose, self.fov_deg, self.shape[:2], self.variant)


@cache
def unavailable_reason() -> str | None:
    """Why the C code cannot be used on this machine, or None if it can; compiled and tried once."""
    try:
        _library()
    except RuntimeError as problem:
        return str(problem)
    error = _probe()
    return None if error <= _TOLERANCE else f"its views are off by {error} levels"


def _probe() -> int:
    """Largest difference to `perspective` over poses that meet poles and seam."""
    rows, columns = np.mgrid[0:36, 0:72].astype(np.float64)
    waves = np.stack(
        [np.cos(rows / 6), np.cos(columns / 72 * 4 * np.pi), np.sin(columns / 72 * 2 * np.pi)], -1
    )
    panorama = np.rint(127 + 120 * waves).astype(np.uint8)
    places = np.empty(_PLACES * 23, np.float32)
    worst = 0
    for pose in (
        CameraPose(),
        CameraPose(178.0, 20.0, 30.0),
        CameraPose(-60.0, 85.0),
        CameraPose(100.0, -88.0, 170.0),
    ):
        for variant in ("correct", "reference"):
            expected = perspective(panorama, pose, 90.0, (17, 23), variant).astype(int)
            found = _shown(panorama, pose, (17, 23, 3), 90.0, variant, places)
            worst = max(worst, int(np.abs(expected - found).max()))
    return worst


def _shown(
    panorama: Frames,
    pose: CameraPose,
    shape: tuple[int, ...],
    fov_deg: float,
    variant: ProjectionVariant,
    places: npt.NDArray[np.float32],
) -> Frames:
    view = np.empty(shape, np.uint8)
    rotation = np.ascontiguousarray(pose.matrix(), np.float32)
    job = _Job(
        *(array.ctypes.data for array in (panorama, view, rotation, places)),
        *panorama.shape[:2],
        *shape[:2],
        float(np.tan(np.radians(fov_deg) / 2.0)),
        variant == "reference",
    )
    _library().show(ctypes.byref(job))
    return view


@cache
def _library() -> ctypes.CDLL:
    library = load_compiled(_SOURCE, _OPTIONS)
    library.show.argtypes, library.show.restype = [ctypes.c_void_p], None
    return library
