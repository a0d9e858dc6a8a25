"""Levels over time as lines: how loud each sound is, and how much louder left is than right."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.report.markup import Markup, element
from spatialfoley.evaluation.report.sound_figures import with_axes
from spatialfoley.spatial.signal import SpatialAudio

LEVEL_RANGE_DB = 50.0
_LEVEL_POINTS = 120
_EAR_RANGE_DB = 15.0
_AUDIBLE = 1e-5
"""Windows weaker than this share of the loudest one have no side worth drawing."""

Samples = NDArray[np.float32]
FloatArray = NDArray[np.float64]


def level_curves(sounds: Mapping[str, SpatialAudio], duration_s: float) -> Markup:
    """Level of each sound over time, on a common scale."""
    lines = [_line(heights, f"level {role}") for role, heights in _heights(sounds, duration_s).items()]
    return element("svg", *lines, viewBox="0 0 1 1", preserveAspectRatio="none", aria_hidden="true")


def loudest_time_s(sounds: Mapping[str, SpatialAudio], duration_s: float) -> float:
    """When the truth (without one, the estimate) is loudest."""
    heights = _heights(sounds, duration_s)
    chosen = heights.get("truth", next(iter(heights.values())))
    return float((np.argmax(chosen) + 0.5) / _LEVEL_POINTS * duration_s)


def ear_levels(
    ears: Mapping[str, Samples], sounds: Mapping[str, SpatialAudio], duration_s: float, windows: int
) -> Markup | None:
    """How much louder left is than right, over time: what is drawn where there is no field and so no map.

    Args:
        ears: Two ears (2, N) of each sound; what has one channel is left out.
        sounds: The sounds, for their rates.
        duration_s: Of the longest sound.
        windows: How many to draw.

    Returns:
        None without two ears.
    """
    lines = []
    for role, samples in ears.items():
        if len(samples) != 2:
            continue
        left, right = _window_energies(samples, sounds[role].rate_hz, duration_s, windows)
        heard = left + right > _AUDIBLE * float(np.max(left + right))
        level_db = 10 * np.log10((left + 1e-20) / (right + 1e-20))
        heights = np.where(heard, 0.5 + 0.5 * np.clip(level_db / _EAR_RANGE_DB, -1, 1), np.nan)
        lines.append(_line(heights, f"level {role}"))
    if not lines:
        return None
    plot = element(
        "svg",
        element("path", d="M0 .5H1", class_="grid"),
        *lines,
        viewBox="0 0 1 1",
        preserveAspectRatio="none",
        role="img",
        aria_label="Level difference of left and right over time",
    )
    box = element("div", plot, element("span", class_="playhead"), class_="levels tall")
    marks = [(0.0, f"+{_EAR_RANGE_DB:g}"), (0.5, "0"), (1.0, f"−{_EAR_RANGE_DB:g}")]
    caption = element("p", "How much louder left is than right, dB", class_="muted small")
    return element("div", caption, with_axes(box, [], marks), class_="ears")


def _heights(sounds: Mapping[str, SpatialAudio], duration_s: float) -> dict[str, FloatArray]:
    """Level of each sound in short windows, as heights in [0, 1] over a common range of decibels."""
    energies = {
        role: _window_energies(
            sound.samples[:1] if sound.layout == "foa" else sound.samples,
            sound.rate_hz,
            duration_s,
            _LEVEL_POINTS,
        ).mean(axis=0)
        for role, sound in sounds.items()
    }
    loudest = max(float(energy.max()) for energy in energies.values()) or 1.0
    floor = 10 ** (-LEVEL_RANGE_DB / 10)
    return {
        role: 1 + 10 * np.log10(np.maximum(energy / loudest, floor)) / LEVEL_RANGE_DB
        for role, energy in energies.items()
    }


def _line(heights: FloatArray, class_: str) -> Markup:
    """A line through heights in [0, 1], each in the middle of its window, in a box of 1 by 1; NaN is a gap."""
    parts, pen_down = [], False
    for index, height in enumerate(heights):
        known = bool(np.isfinite(height))
        if known:
            x = (index + 0.5) / len(heights)
            parts.append(f"{'L' if pen_down else 'M'}{x:.4f} {1 - height:.3f}")
        pen_down = known
    return element("path", d="".join(parts), class_=class_)


def _window_energies(samples: Samples, rate_hz: int, duration_s: float, windows: int) -> FloatArray:
    """Mean square of each channel in windows of equal length, (C, windows); silence behind the end."""
    bounds = np.round(np.linspace(0, duration_s * rate_hz, windows + 1)).astype(int)
    squares = np.cumsum(samples.astype(np.float64) ** 2, axis=1)
    squares = np.concatenate([np.zeros((len(samples), 1)), squares], axis=1)
    energies = np.diff(squares[:, np.minimum(bounds, samples.shape[1])], axis=1)
    # What rounding leaves of a sum's difference can be below zero.
    return np.maximum(energies, 0.0) / (duration_s * rate_hz / windows)
