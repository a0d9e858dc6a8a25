"""Tables of the sensitivity study as Markdown, from the JSON of a run: what docs/metrics.md shows is made here.

A document is what `benchmarks/metric_sensitivity.py` writes. Figures are means over the scenes of a kind; their
intervals are in the document.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spatialfoley.evaluation.report.document import Metric
from spatialfoley.evaluation.study.defects import DefectRow
from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES
from spatialfoley.evaluation.study.sensitivity_responses import METRICS, SET_METRICS

Document = Mapping[str, Any]

ALL_METRICS: dict[str, Metric] = {metric.key: metric for metric in (*METRICS, *SET_METRICS)}

MISTAKES = (
    "cc/all/correct",
    "cc/5fps/correct",
    "auc/all/correct",
    "l1/5fps",
    "peak_deg",
    "psi",
    "ear_level_db",
    "ear_delay_us",
    "level_db",
    "envelope_l1",
    "kl/av-bench",
    "fd/w",
    "fd/channels",
)
PLACE = ("cc/all/correct", "cc/5fps/correct", "auc/all/correct", "auc/5fps/correct", "l1/5fps", "peak_deg")
MOVING = (
    "cc/all/correct",
    "cc/1fps/correct",
    "cc/5fps/correct",
    "auc/all/correct",
    "auc/5fps/correct",
    "l1/all",
    "l1/5fps",
    "peak_deg",
)
LEVELS: tuple[tuple[str, tuple[float, ...], str], ...] = (
    ("gain", (-20.0,), "one"),
    ("offset (DC)", (1.0,), "one"),
    ("time shift", (0.2,), "one"),
    ("one of several moved", (45.0, 90.0, 180.0), "two"),
)
DEFECTS: tuple[tuple[str, str, str], ...] = (
    ("X and Y of the maps √2 too strong", "60° off", "CC, All"),
    ("X and Y of the maps √2 too strong", "30° off, noise at 5 dB", "CC, 5 fps"),
    ("rows thinned unevenly, no solid angle", "60° off", "CC, All"),
    ("true-positive rate lags", "60° off", "AUC, All"),
    ("period 360 for 180 columns", "60° off", "CC, All"),
    ("all of these", "30° off, noise at 5 dB", "CC, 5 fps"),
    ("all of these", "30° off, noise at 5 dB", "AUC, 5 fps"),
    ("windows of a silent estimate left out", "right, then silent", "CC, 5 fps"),
    ("windows of a silent estimate left out", "right, then silent", "AUC, 5 fps"),
    ("Ambi Enc. mirrored", "camera anywhere on the sphere", "CC, All"),
    ("Ambi Enc. mirrored", "camera near the horizon", "CC, All"),
    ("Ambi Enc. mirrored", "camera within 15° of the front", "CC, All"),
    ("Ambi Enc. mirrored", "world clip, source in view", "CC, All"),
    ("Ambi Enc. √2 too strong", "camera near the horizon", "CC, All, as published"),
    ("Ambi Enc. both", "camera near the horizon", "CC, All, as published"),
    ("Ambi Enc. both", "camera near the horizon", "AUC, All, as published"),
    ("Ambi Enc. both", "world clip, source in view", "CC, All, as published"),
    ("stray division in the mono decode", "the truth itself", "FD, decoded"),
    ("stray division in the mono decode", "the truth itself", "KL, decoded"),
    ("(for comparison: W in place of the decode)", "the truth itself", "FD, decoded"),
)
"""Rows of the page; the document has all."""


def page_tables(document: Document) -> dict[str, str]:
    """Every table of the page by its name."""
    states = [one.name for one in STATES if one.kinds != ("moving",) and one.name != "none"]
    moving = [one.name for one in STATES if one.kinds == ("moving",)]
    azimuths, noises = (10.0, 20.0, 45.0, 60.0, 90.0, 180.0), (20.0, 10.0, 0.0, -10.0)
    return {
        "mistakes": state_table(document, "one", states, MISTAKES),
        "moving": state_table(document, "moving", [*moving, "left and right mirrored"], MOVING),
        "azimuth": curve_table(
            document, "azimuth error", "one", (*PLACE, "cc/all/reference", "auc/all/reference"), azimuths
        ),
        "kinds": kind_table(document, "azimuth error", 90.0, (*PLACE, "intensity_deg")),
        "noise": curve_table(document, "diffuse noise", "one", (*PLACE, "psi", "coherence"), noises),
        "levels": level_table(document, (*PLACE, "level_db", "onset_s", "fd/w")),
        "defects": defect_table(document, DEFECTS),
    }


def fill_page(page: str, document: Document) -> str:
    """A page with its tables made anew: each stands between `<!-- table: NAME -->` and `<!-- end of table -->`.

    Raises:
        ValueError: The page names a table that there is not.
    """
    tables = page_tables(document)

    def table(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in tables:
            raise ValueError(f"the page names table {name!r}; there are {', '.join(tables)}")
        return f"<!-- table: {name} -->\n{tables[name]}\n<!-- end of table -->"

    return re.sub(r"<!-- table: (.+?) -->\n.*?<!-- end of table -->", table, page, flags=re.DOTALL)


def cell(document: Document, distortion: str, level: float, kind: str) -> Mapping[str, Any] | None:
    """Figures of one cell by key of the metric; None where the run has no such cell."""
    for one in document["cells"]:
        if (one["distortion"], one["level"], one["kind"]) == (distortion, level, kind):
            return dict(zip(document["metrics"], one["figures"], strict=True))
    return None


def figure(figures: Mapping[str, Any], key: str) -> str:
    """A figure in its form; a dash where it is not defined."""
    value = figures.get(key)
    if value is None:
        return "–"
    text = f"{value[0]:{ALL_METRICS[key].form}}"
    # -0.000 and +0.0 say the same as 0.
    return text.lstrip("+-") if not text.strip("+-0.") else text


def state_table(document: Document, kind: str, states: Sequence[str], keys: Sequence[str]) -> str:
    """Mistakes that are made or not, one row each, on scenes of one kind."""
    rows = []
    for state in states:
        found = cell(document, state, 0.0, kind)
        if found is not None:
            rows.append([state, *(figure(found, key) for key in keys)])
    return _markdown(["", *(_heading(key) for key in keys)], rows)


def curve_table(
    document: Document, distortion: str, kind: str, keys: Sequence[str], levels: Sequence[float]
) -> str:
    """One mistake along some of its levels."""
    chosen = next(one for one in CURVES if one.name == distortion)
    rows = []
    for level in levels:
        found = cell(document, distortion, level, kind)
        if found is not None:
            rows.append([f"{level:g}{chosen.unit}", *(figure(found, key) for key in keys)])
    return _markdown([distortion, *(_heading(key) for key in keys)], rows)


def kind_table(document: Document, distortion: str, level: float, keys: Sequence[str]) -> str:
    """One level of a mistake over the kinds of scene."""
    kinds = list(dict.fromkeys(one["kind"] for one in document["cells"]))
    rows = []
    for kind in kinds:
        found = cell(document, distortion, level, kind)
        if found is not None:
            mark = " (recorded)" if kind in document["recorded kinds"] else ""
            rows.append([kind + mark, *(figure(found, key) for key in keys)])
    return _markdown([f"{distortion} {level:g}°", *(_heading(key) for key in keys)], rows)


def level_table(document: Document, keys: Sequence[str]) -> str:
    """One row for each level of `LEVELS`."""
    rows = []
    for name, levels, kind in LEVELS:
        unit = next(one for one in CURVES if one.name == name).unit
        mark = "" if kind == "one" else f", {kind}"
        for level in levels:
            found = cell(document, name, level, kind)
            if found is not None:
                rows.append([f"{name}{mark}: {level:g}{unit}", *(figure(found, key) for key in keys)])
    return _markdown(["", *(_heading(key) for key in keys)], rows)


def defect_table(document: Document, chosen: Sequence[tuple[str, str, str]]) -> str:
    """Defects of the published scripts: right figure, figure with the defect, shift with its interval."""
    found = {(row["defect"], row["scored"], row["figure"]): row for row in document["defects"]}
    rows = []
    for key in chosen:
        row = found[key]
        form = ".1f" if row["figure"].startswith("FD") else ".3f"
        value, low, high = row["shift"][:3]
        fine = ".4f" if 0 < max(abs(low), abs(high)) < 0.002 else form
        shift = (
            "0 exactly" if value == low == high == 0 else f"{value:+{fine}} [{low:+{fine}}, {high:+{fine}}]"
        )
        rows.append([*key, f"{row['right']:{form}}", f"{row['defective']:{form}}", shift])
    return _markdown(["defect", "what is scored", "figure", "right", "with the defect", "shift"], rows)


def defects_document(rows: Sequence[DefectRow]) -> list[dict[str, Any]]:
    """Rows as plain values for JSON, rounded to six digits."""
    found = []
    for row in rows:
        document = asdict(row)
        document["shift"] = list(asdict(row.shift).values())
        for key in ("right", "defective"):
            document[key] = float(f"{document[key]:.6g}")
        document["shift"] = [float(f"{value:.6g}") for value in document["shift"]]
        found.append(document)
    return found


def _heading(key: str) -> str:
    metric = ALL_METRICS[key]
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
