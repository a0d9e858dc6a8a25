"""A colour scale from quiet to loud whose steps look equally large, also to colour-blind eyes.

Few control points in CIELAB, from dark indigo over magenta and orange to pale yellow: lightness rises all the way,
so the order survives grey printing and every kind of colour blindness, and the way between the points is walked
in steps of equal CIE76 difference.

References:
    CIE 15:2004 (CIELAB, D65 white). IEC 61966-2-1 (sRGB).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVELS = 128
"""Colours of the scale; more cannot be told apart and make larger files."""

_LIGHTNESS_CHROMA_HUE_DEG = np.array(
    [
        (7, 20, 285),
        (24, 58, 300),
        (40, 66, 331),
        (55, 68, 18),
        (69, 70, 58),
        (83, 70, 85),
        (96, 42, 104),
    ],
    dtype=np.float64,
)
_WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_LINEAR_RGB = np.array(
    [
        (3.2404542, -1.5371385, -0.4985314),
        (-0.9692660, 1.8760108, 0.0415560),
        (0.0556434, -0.2040259, 1.0572252),
    ]
)


@lru_cache(maxsize=1)
def scale_lab() -> NDArray[np.float64]:
    """The scale in CIELAB, shape (LEVELS, 3), quiet first."""
    lightness, chroma, hue_deg = _LIGHTNESS_CHROMA_HUE_DEG.T
    at = np.linspace(0, 1, 1000)
    knots = np.linspace(0, 1, len(lightness))
    hue = np.radians(np.interp(at, knots, np.unwrap(hue_deg, period=360)))
    size = np.interp(at, knots, chroma)
    path = np.stack([np.interp(at, knots, lightness), size * np.cos(hue), size * np.sin(hue)], axis=1)
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, walked[-1], LEVELS)
    return np.stack([np.interp(even, walked, path[:, axis]) for axis in range(3)], axis=1)


@lru_cache(maxsize=1)
def scale_rgb() -> NDArray[np.uint8]:
    """The scale in sRGB, shape (LEVELS, 3)."""
    return np.round(255 * np.clip(rgb_of_lab(scale_lab()), 0, 1)).astype(np.uint8)


def rgb_of_lab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (..., 3) to sRGB (..., 3); beyond [0, 1] where a screen cannot show the colour."""
    middle = (lab[..., 0] + 16) / 116
    roots = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], axis=-1)
    xyz = _WHITE_D65 * np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    linear = xyz @ _XYZ_TO_LINEAR_RGB.T
    curved = 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, curved, 12.92 * linear)


def css_gradient(stops: int = 9) -> str:
    """The scale from left to right as a CSS image."""
    colours = scale_rgb()[np.linspace(0, LEVELS - 1, stops).round().astype(int)]
    return f"linear-gradient(to right,{','.join('#' + bytes(colour).hex() for colour in colours)})"
