"""Small pictures as SVG: bars, maps of the sphere, paths on it. No library draws them, so that any machine can."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_INK, _FAINT, _GRID, _BAR = "#1c1e21", "#5c6370", "#d9dde3", "#2f6fae"
_RAMP = np.array([(247, 250, 253), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107)], float)
"""From nothing to much; lightness falls all the way, so that order survives grey printing."""
_FONT = "font-family='system-ui, sans-serif'"
_WIDTH = 640


def bars(
    title: str, edges: Sequence[float], counts: Sequence[int] | FloatArray, unit: str, height: int = 240
) -> str:
    """A histogram: `edges` are one more than `counts`."""
    left, top, bottom = 56, 40, 44
    wide, high = _WIDTH - left - 16, height - top - bottom
    most = max(1.0, float(np.max(counts, initial=0)))
    step = wide / len(counts)
    parts = _levels(most, left, top, wide, high)
    for number, count in enumerate(counts):
        tall = high * float(count) / most
        x, y, across = left + number * step + 0.5, top + high - tall, max(step - 1, 0.5)
        told = f"{edges[number]:g} to {edges[number + 1]:g} {escape(unit)}: {int(count)}"
        box = f"x='{x:.1f}' y='{y:.1f}' width='{across:.1f}' height='{tall:.1f}'"
        parts.append(f"<rect {box} fill='{_BAR}'><title>{told}</title></rect>")
    for number in range(0, len(counts) + 1, 6 if len(counts) % 6 == 0 and len(counts) > 30 else 5):
        parts.append(_text(left + number * step, height - 24, f"{edges[number]:g}", "middle"))
    parts.append(_text(left + wide / 2, height - 6, unit, "middle"))
    return _picture(title, height, parts)


def named_bars(title: str, names: Sequence[str], shares: Sequence[float], unit: str) -> str:
    """One bar for every name, from above."""
    row, left, top = 20, 190, 40
    height = top + row * len(names) + 28
    most = max([*shares, 1e-9])
    wide = _WIDTH - left - 70
    parts = []
    for number, (name, share) in enumerate(zip(names, shares, strict=True)):
        y = top + number * row
        parts.append(_text(left - 8, y + 14, name if len(name) <= 28 else name[:27] + "…", "end"))
        parts.append(
            f"<rect x='{left}' y='{y + 3}' width='{wide * share / most:.1f}' height='14' fill='{_BAR}'/>"
        )
        parts.append(_text(left + wide * share / most + 6, y + 14, f"{share:g}"))
    parts.append(_text(left, height - 8, unit))
    return _picture(title, height, parts)


def sphere_map(title: str, counts: FloatArray) -> str:
    """Shares of directions as a panorama: left of the middle is left, shape (rows from above, columns)."""
    left, top, wide, high = 56, 40, 540, 270
    rows, columns = counts.shape
    share = counts / max(float(counts.sum()), 1e-9)
    most = max(float(share.max(initial=0.0)), 1e-9)
    cell_w, cell_h = wide / columns, high / rows
    parts = [f"<rect x='{left}' y='{top}' width='{wide}' height='{high}' fill='{_colour(0.0)}'/>"]
    for row, column in np.argwhere(share > 0):
        parts.append(
            f"<rect x='{left + column * cell_w:.2f}' y='{top + row * cell_h:.2f}' width='{cell_w + 0.3:.2f}' "
            f"height='{cell_h + 0.3:.2f}' fill='{_colour(float(share[row, column]) / most)}'/>"
        )
    for azimuth_deg in (180, 90, 0, -90, -180):
        x = left + wide * (180 - azimuth_deg) / 360
        parts.append(f"<line x1='{x}' y1='{top}' x2='{x}' y2='{top + high}' stroke='{_GRID}'/>")
        parts.append(_text(x, top + high + 16, f"{azimuth_deg}°", "middle"))
    for elevation_deg in (90, 45, 0, -45, -90):
        y = top + high * (90 - elevation_deg) / 180
        parts.append(f"<line x1='{left}' y1='{y}' x2='{left + wide}' y2='{y}' stroke='{_GRID}'/>")
        parts.append(_text(left - 6, y + 4, f"{elevation_deg}°", "end"))
    parts += _scale(left, top + high + 34, most)
    return _picture(title, top + high + 64, parts)


def sphere_paths(title: str, paths: Sequence[FloatArray]) -> str:
    """Paths of unit vectors, each of shape (P, 3), as seen from the middle: looking ahead, and looking back."""
    radius, top = 140, 56
    parts = []
    for side, (name, centre) in enumerate((("ahead: left is left", 160.0), ("back: left is right", 480.0))):
        middle = top + radius
        parts.append(
            f"<circle cx='{centre}' cy='{middle}' r='{radius}' fill='#f7fafd' stroke='{_FAINT}'/>"
            f"<line x1='{centre - radius}' y1='{middle}' x2='{centre + radius}' y2='{middle}' stroke='{_GRID}'/>"
            f"<line x1='{centre}' y1='{top}' x2='{centre}' y2='{top + 2 * radius}' stroke='{_GRID}'/>"
        )
        parts.append(_text(centre, top + 2 * radius + 18, name, "middle"))
        for path in paths:
            parts += _half_of(path, side, centre, middle, radius)
    return _picture(title, top + 2 * radius + 32, parts)


def _half_of(path: FloatArray, side: int, centre: float, middle: float, radius: float) -> list[str]:
    """The parts of a path on the front (0) or back (1) half of the sphere; a dot where it begins."""
    front = path[:, 0] >= 0
    inside = front if side == 0 else ~front
    # Who looks back has the left side on the right.
    x = centre + radius * path[:, 1] * (-1 if side == 0 else 1)
    y = middle - radius * path[:, 2]
    parts = []
    starts = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)) == 1)
    for start in starts:
        stop = start + int(np.argmin(np.append(inside[start:], False)))
        points = " ".join(f"{x[k]:.1f},{y[k]:.1f}" for k in range(start, stop))
        parts.append(f"<polyline points='{points}' fill='none' stroke='{_BAR}' stroke-opacity='0.45'/>")
    if len(path) and inside[0]:
        parts.append(f"<circle cx='{x[0]:.1f}' cy='{y[0]:.1f}' r='2' fill='#b3402a'/>")
    return parts


def _levels(most: float, left: float, top: float, wide: float, high: float) -> list[str]:
    parts = []
    for share in (0.0, 0.5, 1.0) if most % 2 == 0 else (0.0, 1.0):
        y = top + high * (1 - share)
        parts.append(f"<line x1='{left}' y1='{y:.1f}' x2='{left + wide}' y2='{y:.1f}' stroke='{_GRID}'/>")
        parts.append(_text(left - 6, y + 4, f"{most * share:g}", "end"))
    return parts


def _scale(left: float, y: float, most: float) -> list[str]:
    parts = [
        f"<rect x='{left + 4 * step}' y='{y}' width='4.3' height='10' fill='{_colour(step / 49)}'/>"
        for step in range(50)
    ]
    parts.append(_text(left + 208, y + 10, f"0 to {100 * most:.2g} % of all clips in a cell"))
    return parts


def _colour(share: float) -> str:
    at = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    low = min(int(at), len(_RAMP) - 2)
    red, green, blue = (_RAMP[low] + (at - low) * (_RAMP[low + 1] - _RAMP[low])).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, ink: str = _FAINT) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{ink}' {_FONT}>"
        f"{escape(words)}</text>"
    )


def _picture(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height:g}' width='{_WIDTH}' role='img' "
        f"aria-label='{escape(title, quote=True)}'><rect width='100%' height='100%' fill='#ffffff'/>"
        f"{_text(16, 24, title, size=15, ink=_INK)}{''.join(parts)}</svg>\n"
    )
