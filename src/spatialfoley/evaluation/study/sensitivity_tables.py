"""Tables of the sensitivity study as Markdown, from the JSON of a run: what docs/metrics.md shows is made here.

A document is what `benchmarks/metric_sensitivity.py` writes. Figures are means over the scenes of a kind; their
intervals are in the document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spatialfoley.evaluation.report.document import Metric
from spatialfoley.evaluation.study.defects import DefectRow
from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES
from spatialfoley.evaluation.study.sensitivity_responses import METRICS, SET_METRICS

Document = Mapping[str, Any]

ALL_METRICS: dict[str, Metric] = {metric.key: metric for metric in (*METRICS, *SET_METRICS)}

PLACE = ("cc/all/correct", "cc/5fps/correct", "auc/all/correct", "l1/5fps", "peak_deg", "psi", "coherence")
EARS = ("louder_ear", "ear_level_db", "ear_delay_us", "ear_coherence", "distance")
SOUND = ("level_db", "envelope_l1", "onset_s", "kl/av-bench", "fd/w", "fd/channels")
OVERLAPS = tuple(
    f"{key}/{window}/{variant}"
    for key in ("cc", "auc")
    for window in ("all", "1fps", "5fps")
    for variant in ("correct", "reference")
)


def page_tables(document: Document) -> dict[str, str]:
    """Every table of the page by its name."""
    states = [distortion.name for distortion in STATES]
    still = [name for name in states if name not in ("path backwards", "stands still instead of moving")]
    moving = ["none", "path backwards", "stands still instead of moving", "left and right mirrored"]
    return {
        "mistakes: place": state_table(document, "one", still, PLACE),
        "mistakes: ears and sound": state_table(document, "one", still, (*EARS, *SOUND)),
        "moving": state_table(document, "moving", moving, (*OVERLAPS[0::2], "l1/all", "l1/5fps", "peak_deg")),
        "azimuth": curve_table(
            document, "azimuth error", "one", (*PLACE[:5], "cc/all/reference", "auc/all/reference")
        ),
        "azimuth by kind": kind_table(document, "azimuth error", 90.0, PLACE[:5]),
        "noise": curve_table(document, "diffuse noise", "one", PLACE),
        "others": level_tables(document),
        "defects": defect_table(document),
    }


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


def curve_table(document: Document, distortion: str, kind: str, keys: Sequence[str]) -> str:
    """One mistake along its levels."""
    chosen = next(one for one in CURVES if one.name == distortion)
    rows = []
    for level in chosen.levels:
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


def level_tables(document: Document) -> str:
    """One row for each level of the remaining mistakes that says something."""
    chosen = (
        ("gain", (-20.0, 20.0), "one"),
        ("offset (DC)", (0.1, 1.0), "one"),
        ("time shift", (0.02, 0.2, 1.0), "one"),
        ("one of several moved", (45.0, 90.0, 180.0), "two"),
        ("one of several moved", (45.0, 90.0, 180.0), "three"),
        ("elevation error", (20.0, 45.0, 90.0), "one"),
    )
    keys = (
        "cc/all/correct",
        "cc/5fps/correct",
        "auc/all/correct",
        "l1/5fps",
        "peak_deg",
        "level_db",
        "onset_s",
        "fd/w",
    )
    rows = []
    for name, levels, kind in chosen:
        unit = next(one for one in CURVES if one.name == name).unit
        for level in levels:
            found = cell(document, name, level, kind)
            if found is not None:
                rows.append([f"{name}, {kind}: {level:g}{unit}", *(figure(found, key) for key in keys)])
    return _markdown(["", *(_heading(key) for key in keys)], rows)


def defect_table(document: Document) -> str:
    """Defects of the published scripts: right figure, figure with the defect, shift with its interval."""
    rows = []
    for row in document["defects"]:
        form = ".1f" if row["figure"].startswith("FD") else ".3f"
        value, low, high = row["shift"][:3]
        shift = f"{value:+{form}} [{low:+{form}}, {high:+{form}}]" if value or low or high else "0 exactly"
        rows.append(
            [
                row["defect"],
                row["scored"],
                row["figure"],
                f"{row['right']:{form}}",
                f"{row['defective']:{form}}",
                shift,
            ]
        )
    return _markdown(["defect", "scored", "figure", "right", "with the defect", "shift"], rows)


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
