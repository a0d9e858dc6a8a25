"""The ViSAGe-SC ablation as Markdown and as a picture; `visage_sc_ablation.py` makes the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS
from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.study.claims import Judgement, Step
from spatialfoley.evaluation.study.paired import Change

Row = Mapping[str, Interval | None]
Column = tuple[str, str, str]
"""Heading, figure and format."""

TITLES = {
    "rvq": "RVQ",
    "single": "single codebook",
    "tuned": "+ better codec",
    "tuned+post": "+ post-processing",
    "rotated+post": "+ rotation augmentation",
    "signed+post": "+ sign-and-gain tokens",
    "rotated": "+ rotation augmentation",
    "signed": "+ sign-and-gain tokens",
    "signed-rvq": "sign-and-gain tokens, RVQ",
    "signed-single": "sign-and-gain tokens, single codebook",
    "paired": "+ two codec frames a row",
}
"""How rows are called, by label, with "+post" where they are post-processed."""

WITH_POST = ("rvq", "single", "tuned", "tuned+post", "rotated+post", "signed+post")
WITHOUT_POST = ("rvq", "single", "tuned", "rotated", "signed")
SIGNED = ("signed-rvq", "signed-single", "signed", "paired")
"""The slides' questions once more, of our tokens: one codebook, rotation augmentation; and fewer rows."""
SIGNED_TITLES = {
    "signed-rvq": "RVQ",
    "signed-single": "single codebook",
    "signed": "+ rotation augmentation",
    "paired": "+ two codec frames a row",
}

PARTS = {"": "", "+candidates": ", candidates alone", "+chain": ", chain alone", "+post": ", both"}
STEPS: tuple[Step, ...] = (
    ("rvq", "single"),
    ("single", "tuned"),
    ("tuned", "tuned+post"),
    ("tuned+post", "rotated+post"),
    ("rotated+post", "signed+post"),
    ("tuned", "rotated"),
    ("rotated", "signed"),
    ("signed-rvq", "signed-single"),
    ("signed-single", "signed"),
    ("signed", "paired"),
    ("signed-rvq", "paired"),
    ("tuned", "tuned+candidates"),
    ("tuned", "tuned+chain"),
    ("rotated", "rotated+post"),
    ("signed", "signed+post"),
    ("rvq", "signed+post"),
)
"""Each row against the one before, in both tables; post-processing and its parts; the last against the first."""

COSTS: tuple[Column, ...] = (
    ("sampling s", "sampling_s", ".2f"),
    ("decoding s", "decoding_s", ".3f"),
    ("both s", "generating_s", ".2f"),
    ("chain s", "chain_s", ".2f"),
    ("picture s", "picture_s", ".3f"),
    ("training, s a step", "training_step_s", ".2f"),
    ("training s", "training_s", ".0f"),
)

SPEEDS: tuple[Column, ...] = (
    ("times faster", "times_faster", ".2f"),
    ("with the chain", "times_faster_whole", ".2f"),
    ("times faster a training step", "times_faster_training", ".2f"),
)
"""Of steps; 1 is as fast."""


def sound_columns(listeners: Sequence[str]) -> list[Column]:
    """What it sounds like."""
    found: list[Column] = []
    for listener in listeners:
        found.append((f"Fréchet dec, {listener}", f"fd/{listener}/dec", ".2f"))
        found.append((f"Fréchet avg, {listener}", f"fd/{listener}/channels", ".2f"))
        found.append((f"KL dec, {listener}", f"kl/{listener}/dec", ".2f"))
    return [*found, ("E-L1", "envelope_l1", ".3f")]


def place_columns(variant: str) -> list[Column]:
    """Where it is."""
    found = [
        (
            f"{score.upper()} {window.replace('fps', ' fps').replace('all', 'All')}",
            f"{score}/{window}/{variant}",
            ".3f",
        )
        for score in ("cc", "auc")
        for window in OVERLAP_WINDOWS
    ]
    return [
        *found,
        ("mean of the six", f"spatial/{variant}", ".3f"),
        ("direction error °", "angle_deg", ".1f"),
        ("coherence", "field_coherence", ".2f"),
    ]


def title_of(row: str) -> str:
    """How a row is called outside its table, where "+" alone would not say what stands before it."""
    if row in WITH_POST:
        return TITLES[row].removeprefix("+ ")
    return part_title(row) if "+" in row else f"{TITLES.get(row, row).removeprefix('+ ')}, plain"


def part_title(row: str) -> str:
    """How a row is called where post-processing is taken apart."""
    label, plus, way = row.partition("+")
    return TITLES.get(label, label).removeprefix("+ ") + PARTS[plus + way]


def table(rows: Mapping[str, Row], columns: Sequence[Column], names: Mapping[str, str]) -> list[str]:
    """Rows with the columns of which some row has a figure."""
    known = [column for column in columns if any(row.get(column[1]) for row in rows.values())]
    if not known:
        return []
    lines = [
        f"| | {' | '.join(heading for heading, _, _ in known)} |",
        "| --- " + "| ---: " * len(known) + "|",
    ]
    for key, row in rows.items():
        cells = [cell(row.get(figure), form) for _, figure, form in known]
        lines.append(f"| {names.get(key, key)} | {' | '.join(cells)} |")
    return [*lines, ""]


def cell(interval: Interval | None, form: str) -> str:
    """A figure with its interval, without it where it has no width."""
    if interval is None:
        return "–"
    value, low, high = (_text(one, form) for one in (interval.value, interval.low, interval.high))
    return value if low == high else f"{value} [{low}, {high}]"


def changes_table(
    changes: Mapping[Step, Mapping[str, Change | None]], columns: Sequence[Column], nothing: float = 0.0
) -> list[str]:
    """What each step changed; bold where the interval leaves `nothing` out, with the seeds that agree."""
    found = [column for column in columns if any(row.get(column[1]) for row in changes.values())]
    if not found:
        return []
    sign = "" if nothing else "+"
    lines = [
        f"| step | {' | '.join(heading for heading, _, _ in found)} |",
        "| --- " + "| ---: " * len(found) + "|",
    ]
    for (earlier, later), row in changes.items():
        if not any(row.get(figure) for _, figure, _ in found):
            continue
        cells = [change_cell(row.get(figure), sign + form, nothing) for _, figure, form in found]
        lines.append(f"| {title_of(earlier)} → {title_of(later)} | {' | '.join(cells)} |")
    return [*lines, ""]


def change_cell(change: Change | None, form: str, nothing: float = 0.0) -> str:
    """A change with its interval and how many pairs of seeds agree with its sign."""
    if change is None:
        return "–"
    interval = change.interval
    text = cell(interval, form)
    # As it is shown: what is 0.000 to all digits is no change worth a word.
    low, high = (float(_text(end, form)) for end in (interval.low, interval.high))
    text = f"**{text}**" if low > nothing or high < nothing else text
    return f"{text} {change.agreeing}/{change.pairs}" if change.pairs > 1 else text


def claims_table(judgements: Sequence[Judgement], columns: Sequence[Column]) -> list[str]:
    """What became of the slides' claims."""
    names = {figure: (heading, form) for heading, figure, form in columns}
    lines = ["| claim | slides | measured | |", "| --- | --- | --- | --- |"]
    for one in judgements:
        # A claim above some number is about a multiple, else about a difference.
        sign = "" if one.claim.wanted == "above" and one.claim.limit > 0 else "+"
        measured = []
        for figure, change in one.changes.items():
            heading, form = names[figure]
            measured.append(
                f"{heading} {change_cell(change, sign + form, one.claim.limit if not sign else 0.0)}"
            )
        lines.append(
            f"| {one.claim.text} | {one.claim.slides or '–'} | {'; '.join(measured)} | **{one.verdict}** |"
        )
    return [*lines, ""]


def _text(value: float, form: str) -> str:
    text = f"{value:{form}}"
    # -0.000 and +0.0 say the same as 0.
    return text.lstrip("+-") if not text.strip("+-0.") else text


def draw(
    rows: Mapping[str, Row], ceilings: Mapping[str, Row], listener: str, variant: str, path: Path
) -> None:
    """Rows as dots with their intervals, and hollow the truth through the codec of each row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        (f"Fréchet, decoded ({listener})", (f"fd/{listener}/dec",)),
        (f"Fréchet, mean of channels ({listener})", (f"fd/{listener}/channels",)),
        (f"CC ({variant} maps)", tuple(f"cc/{window}/{variant}" for window in OVERLAP_WINDOWS)),
        ("direction error, °", ("angle_deg",)),
        ("coherence", ("field_coherence",)),
        ("seconds per clip, one core", ("generating_s", "whole_s")),
    )
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 1.6 + 0.62 * len(rows)), sharey=True)
    names = [TITLES.get(key, key) for key in rows]
    for (title, keys), axis in zip(panels, axes.flat, strict=True):
        axis.set_title(title, fontsize=9)
        axis.grid(axis="x", alpha=0.3)
        for place, key in enumerate(keys):
            height = [number + 0.22 * (place - (len(keys) - 1) / 2) for number in range(len(rows))]
            _dots(
                axis,
                height,
                [row.get(key) for row in rows.values()],
                f"C{place}",
                LEGENDS.get(key.split("/")[1] if "/" in key else key),
            )
            best = [ceilings.get(name, {}).get(key) for name in rows]
            known = [(one.value, y) for one, y in zip(best, height, strict=True) if one is not None]
            if known:
                axis.scatter(
                    *zip(*known, strict=True), s=26, facecolors="none", edgecolors=f"C{place}", linewidths=0.9
                )
        if len(keys) > 1:
            axis.legend(fontsize=7)
        axis.set_yticks(range(len(rows)), names, fontsize=8)
    axes[0][0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


LEGENDS = {
    "all": "All",
    "1fps": "1 fps",
    "5fps": "5 fps",
    "generating_s": "sampling and decoding",
    "whole_s": "with the chain",
}


def _dots(
    axis: Any, heights: Sequence[float], found: Sequence[Interval | None], colour: str, label: str | None
) -> None:
    known = [(y, one) for y, one in zip(heights, found, strict=True) if one is not None]
    if known:
        values = [one.value for _, one in known]
        errors = [
            [max(0.0, one.value - one.low) for _, one in known],
            [max(0.0, one.high - one.value) for _, one in known],
        ]
        axis.errorbar(
            values,
            [y for y, _ in known],
            xerr=errors,
            fmt="o",
            markersize=4,
            capsize=2,
            color=colour,
            label=label,
        )
