"""Figures of one sound in HTML: its energy map with a grid and marks, its spectrograms, both with labelled axes."""

import base64
from collections.abc import Sequence

from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.evaluation.report.colours import css_gradient
from spatialfoley.evaluation.report.figure_text import number_text
from spatialfoley.evaluation.report.markup import Markup, element, join
from spatialfoley.evaluation.report.pictures import (
    MapSheet,
    frequency_height,
    level_png,
    spectrogram_levels,
)
from spatialfoley.evaluation.report.plots import nice_ticks
from spatialfoley.spatial.signal import SpatialAudio

CHANNEL_NAMES: dict[str, tuple[str, ...]] = {
    "foa": FOA_CHANNELS,
    "binaural": ("left", "right"),
    "stereo": ("left", "right"),
    "mono": ("mono",),
}
_KHZ_TICKS = (0.5, 1, 2, 4, 8, 16)
_LEAST_TICK_DISTANCE = 0.17
"""Of the labels beside a spectrogram, as a share of its height."""
_AZIMUTH_LABELS = ((180, ""), (90, "left"), (0, "front"), (-90, "right"), (-180, ""))
_ELEVATION_LABELS = (90, 45, 0, -45, -90)

Labels = Sequence[tuple[float, str]]


def energy_map_figure(role: str, sheet: MapSheet) -> Markup:
    """The map of one moment; the page's script moves the sheet and the marks.

    Args:
        role: "truth" or "estimate"; the estimate's map shows the truth's peak too.
        sheet: Maps of all moments.
    """
    width, height = (f"{100 * size:.4f}%" for size in sheet.scale)
    left, top = (f"{-100 * at:.4f}%" for at in sheet.offset(0))
    picture = element(
        "img",
        src=png_url(sheet.png),
        alt=f"Energy map of the {role}: azimuth 180° at the left edge to −180° at the right edge, elevation 90° "
        "at the top to −90° at the bottom",
        class_="sheet",
        style=f"width:{width};height:{height};left:{left};top:{top}",
    )
    lines = [
        element("line", x1=x, x2=x, y1=0, y2=180, class_="grid main" if x == 180 else "grid")
        for x in range(45, 360, 45)
    ]
    lines += [
        element("line", x1=0, x2=360, y1=y, y2=y, class_="grid main" if y == 90 else "grid")
        for y in (45, 90, 135)
    ]
    marks = [element("path", class_="view-edge"), element("path", class_="view")]
    marks.append(element("circle", r=7, class_="peak truth", visibility="hidden"))
    if role == "estimate":
        marks.append(element("path", d="M-6-6 6 6M-6 6 6-6", class_="peak estimate", visibility="hidden"))
    overlay = element("svg", *lines, *marks, viewBox="0 0 360 180", aria_hidden="true")
    azimuths = [
        ((180 - degrees) / 360, join([_degrees(degrees), element("i", f" {side}") if side else None]))
        for degrees, side in _AZIMUTH_LABELS
    ]
    elevations = [((90 - degrees) / 180, _degrees(degrees)) for degrees in _ELEVATION_LABELS]
    return with_axes(element("div", picture, overlay, class_="map"), azimuths, elevations)


def spectrogram_figures(role: str, sound: SpatialAudio, duration_s: float, top_hz: float) -> list[Markup]:
    """A spectrogram for every channel, one below the other, with kHz beside and seconds below."""
    names = CHANNEL_NAMES[sound.layout]
    heights = ((khz, frequency_height(1000 * khz, top_hz)) for khz in _KHZ_TICKS)
    beside: list[tuple[float, str]] = []
    for khz, height in reversed(list(heights)):
        if height < (0.95 if not beside else 1 - beside[-1][0] - _LEAST_TICK_DISTANCE):
            beside.append((1 - height, f"{khz:g}"))
    seconds = [tick for tick in nice_ticks(0.0, duration_s) if tick <= duration_s * 1.001]
    below = [(tick / duration_s, f"{tick:g} s" if tick == seconds[-1] else f"{tick:g}") for tick in seconds]
    figures = []
    for name, levels in zip(names, spectrogram_levels(sound, duration_s, top_hz), strict=True):
        alternative = (
            f"Spectrogram of the {role}, channel {name}: 0 to {duration_s:g} s, up to {top_hz / 1000:g} kHz"
        )
        box = element(
            "div",
            element("img", src=png_url(level_png(levels)), alt=alternative),
            element("span", name, class_="channel"),
            element("span", class_="playhead"),
            class_="spectrum",
        )
        figures.append(with_axes(box, below if name == names[-1] else [], beside))
    return figures


def colour_legend(text: str, range_db: float) -> Markup:
    """The colour scale with its ends and what it says."""
    return element(
        "p",
        element("span", number_text(-range_db, "g")),
        element("span", class_="bar", style=f"background:{css_gradient()}"),
        element("span", "0"),
        element("span", text),
        class_="legend muted small",
    )


def with_axes(box: Markup, below: Labels, beside: Labels) -> Markup:
    """A picture with labels below and to the left; positions are shares, from the left and from the top."""
    left = [element("span", text, style=f"top:{100 * at:.2f}%") for at, text in beside]
    under = [element("span", text, style=_below(at)) for at, text in below]
    ruler = element("div", *under, class_="x-axis") if under else None
    return element("div", element("div", *left, class_="y-axis"), box, ruler, class_="axes")


def _below(at: float) -> str:
    """Centred below its point, but within the picture at the right edge."""
    return f"left:{100 * at:.2f}%" if at < 0.99 else "right:0;transform:none"


def png_url(png: bytes) -> str:
    """A picture as an address within the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _degrees(degrees: int) -> str:
    return f"{number_text(degrees, 'd')}°"
