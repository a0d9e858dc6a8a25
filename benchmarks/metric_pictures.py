"""Pictures of the sensitivity study, from the JSON of a run: docs/images/metrics_*.png."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES
from spatialfoley.evaluation.study.sensitivity_tables import ALL_METRICS, cell, figure

# Okabe and Ito's colours, told apart by people of any colour vision; markers differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
KIND_TITLES = {
    "one": "one source",
    "two": "two sources",
    "three": "three sources",
    "moving": "moving source",
    "bed": "in a diffuse bed",
    "room": "in a room",
    "measured room": "in a measured room",
    "recording": "recorded fields",
}
MATRIX_METRICS = (
    ("cc/all/correct", 1.0, 0.0),
    ("cc/5fps/correct", 1.0, 0.0),
    ("auc/all/correct", 1.0, 0.5),
    ("l1/5fps", 0.0, 0.25),
    ("peak_deg", 0.0, 90.0),
    ("psi", 1.0, 0.0),
    ("coherence", 1.0, 0.0),
    ("louder_ear", 1.0, 0.5),
    ("ear_level_db", 0.0, 6.0),
    ("ear_delay_us", 0.0, 500.0),
    ("level_db", 0.0, 10.0),
    ("envelope_l1", 0.0, 0.1),
    ("onset_s", 0.0, 0.25),
    ("kl/av-bench", 0.0, 2.0),
    ("fd/w", 0.0, 500.0),
    ("fd/channels", 0.0, 500.0),
)
"""Metric, its value for the truth, and the value at which a mistake counts as fully seen."""

Document = Mapping[str, Any]


def draw_all(document: Document, folder: Path) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110}
    )
    for name, draw in (("direction", direction), ("noise", noise), ("matrix", matrix), ("defects", defects)):
        picture = draw(document)
        picture.savefig(folder / f"metrics_{name}.png", facecolor="white", bbox_inches="tight")
        plt.close(picture)


def direction(document: Document) -> plt.Figure:
    """Azimuth error: metrics for one source, and CC over the kinds of scene."""
    picture, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    keys = ("cc/all/correct", "cc/all/reference", "auc/all/correct", "auc/all/reference", "l1/all")
    for number, key in enumerate(keys):
        curve(axes[0], document, "azimuth error", "one", key, number, ALL_METRICS[key].title)
    axes[0].set_title("one source: scores of maps")
    for number, (key, title) in enumerate((("peak_deg", "map's peak"), ("intensity_deg", "intensity"))):
        curve(axes[1], document, "azimuth error", "one", key, number, title)
    curve(axes[1], document, "azimuth error", "bed", "peak_deg", 2, "map's peak, diffuse bed")
    curve(axes[1], document, "azimuth error", "three", "peak_deg", 3, "map's peak, three sources")
    axes[1].set_title("angle to the true direction, °")
    for number, kind in enumerate(("one", "two", "three", "moving", "bed", "room")):
        curve(axes[2], document, "azimuth error", kind, "cc/5fps/correct", number, KIND_TITLES[kind])
    axes[2].set_title("CC at 5 fps")
    for axis in axes:
        axis.set_xlabel("field turned about the up axis, °")
        axis.set_xticks(range(0, 181, 45))
    return _finished(picture, axes)


def noise(document: Document) -> plt.Figure:
    """Diffuse noise: what notices it and what does not."""
    picture, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    for number, key in enumerate(
        ("cc/all/correct", "cc/5fps/correct", "auc/all/correct", "auc/5fps/correct")
    ):
        curve(axes[0], document, "diffuse noise", "one", key, number, ALL_METRICS[key].title)
    axes[0].set_title("one source: CC and AUC")
    for number, key in enumerate(("psi", "coherence", "l1/all", "l1/5fps", "ear_coherence")):
        curve(axes[1], document, "diffuse noise", "one", key, number, ALL_METRICS[key].title)
    axes[1].set_title("one source: what says diffuse")
    for number, kind in enumerate(("one", "two", "room", "measured room", "recording")):
        curve(axes[2], document, "diffuse noise", kind, "peak_deg", number, KIND_TITLES[kind])
    axes[2].set_title("angle of the map's peak, °")
    for axis in axes:
        axis.set_xlabel("level of the field over the noise, dB")
        axis.invert_xaxis()
    return _finished(picture, axes)


def curve(
    axis: Axes, document: Document, distortion: str, kind: str, key: str, number: int, title: str
) -> None:
    """One metric along the levels of a mistake with its band; nothing where the run has none."""
    points = []
    for level in next(one for one in CURVES if one.name == distortion).levels:
        found = cell(document, distortion, level, kind)
        if found is not None and found[key] is not None:
            points.append((level, *found[key][:3]))
    if not points:
        return
    level, value, low, high = np.array(points).T
    colour = COLOURS[number % len(COLOURS)]
    axis.plot(level, value, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4, label=title)
    axis.fill_between(level, low, high, color=colour, alpha=0.15, linewidth=0)


def matrix(document: Document) -> plt.Figure:
    """Every mistake against every metric: the darker, the more it is seen."""
    names = [one.name for one in STATES if one.kinds != ("moving",)]
    extra = [
        ("gain", -20.0, "gain -20 dB"),
        ("time shift", 0.2, "0.2 s late"),
        ("diffuse noise", 0.0, "noise at 0 dB"),
    ]
    rows = [(name, 0.0, name) for name in names if name != "none"] + extra
    seen, text = np.full((len(rows), len(MATRIX_METRICS)), np.nan), []
    for row, (name, level, _) in enumerate(rows):
        found = cell(document, name, level, "one") or {}
        text.append([figure(found, key) for key, _, _ in MATRIX_METRICS])
        for column, (key, best, worst) in enumerate(MATRIX_METRICS):
            value = found.get(key)
            if value is not None:
                gap = abs(value[0] - best) if key == "level_db" else (value[0] - best) / (worst - best)
                seen[row, column] = np.clip(gap / (10.0 if key == "level_db" else 1.0), 0, 1)
    picture, axis = plt.subplots(figsize=(11, 0.3 * len(rows) + 1.6))
    axis.imshow(np.nan_to_num(seen), cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    for row, column in np.ndindex(*seen.shape):
        colour = "white" if np.nan_to_num(seen[row, column]) > 0.8 else "black"
        axis.text(column, row, text[row][column], ha="center", va="center", fontsize=7, color=colour)
    titles = [
        f"{ALL_METRICS[key].title}{', ' + ALL_METRICS[key].unit if ALL_METRICS[key].unit else ''}"
        for key, _, _ in MATRIX_METRICS
    ]
    axis.set_xticks(range(len(titles)), titles, rotation=38, ha="left")
    axis.set_yticks(range(len(rows)), [title for _, _, title in rows])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("one source; the darker, the more a metric notices; – not defined")
    return picture


def defects(document: Document) -> plt.Figure:
    """Shifts of CC and AUC by defect, with intervals."""
    chosen = (
        ("all of these", "30° off, noise at 5 dB", "CC, 5 fps", "maps and points, 30° off with noise"),
        ("all of these", "60° off", "CC, 5 fps", "maps and points, 60° off"),
        ("true-positive rate lags", "60° off", "AUC, All", "lagging AUC"),
        (
            "windows of a silent estimate left out",
            "right, then silent",
            "CC, 5 fps",
            "silent windows left out",
        ),
        ("Ambi Enc. √2 too strong", "camera near the horizon", "CC, All, as published", "Ambi Enc. √2"),
        (
            "Ambi Enc. mirrored",
            "camera anywhere on the sphere",
            "CC, All, as published",
            "Ambi Enc. mirrored, any camera",
        ),
        (
            "Ambi Enc. both",
            "camera near the horizon",
            "CC, All, as published",
            "Ambi Enc. both, near the horizon",
        ),
        (
            "Ambi Enc. both",
            "world clip, source in view",
            "CC, All, as published",
            "Ambi Enc. both, source in view",
        ),
    )
    picture, axis = plt.subplots(figsize=(8, 3.4))
    for place, (defect, scored, name, _) in enumerate(chosen):
        row = next(
            one
            for one in document["defects"]
            if (one["defect"], one["scored"], one["figure"]) == (defect, scored, name)
        )
        value, low, high = row["shift"][:3]
        colour = COLOURS[0] if name.startswith("CC") else COLOURS[1]
        axis.plot([low, high], [place, place], color=colour, linewidth=2.5, solid_capstyle="round")
        axis.plot(value, place, "o", color=colour)
        axis.annotate(
            f"{value:+.4f}" if abs(value) < 0.001 else f"{value:+.3f}",
            (value, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axis.axvline(0, color="0.6", linewidth=1)
    axis.set_yticks(range(len(chosen)), [f"{title} ({name.split(',')[0]})" for _, _, name, title in chosen])
    axis.invert_yaxis()
    axis.set_ylim(len(chosen) - 0.5, -0.8)
    axis.set_xlabel("shift of the figure")
    return picture


def _finished(picture: plt.Figure, axes: Sequence[Axes]) -> plt.Figure:
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.legend(fontsize=7, frameon=False)
    picture.tight_layout()
    return picture
