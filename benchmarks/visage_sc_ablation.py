"""Score the ablation from ViSAGe to ViSAGe-SC on held-out clips of the world: the slides' table, with intervals.

    python benchmarks/visage_sc_ablation_train.py --seeds 0 1 2
    python benchmarks/visage_sc_ablation.py --root runs/sc-ablation --clips 60 --out sc_ablation
    python benchmarks/visage_sc_ablation.py --root runs/sc-ablation --beside tiny-visage tiny-visage-sc

Rows pool the runs of all training seeds; intervals (95 %) come from drawing runs and clips anew. Every step is
tested against the row before on the same clips, and the slides' claims are held against these differences.
Post-processing is four candidates and the chain through the tiny codec. The truth through each codec bounds rows.

Seconds are of one core, of the first seed of each row; rows take turns clip by clip, so that whatever else the
machine does disturbs all alike. Scores and seconds are kept beside the tables and not made again: several commands
with --only may fill one folder at once, and one without it then reads all.
"""

import os

# One thread, or the libraries below would fight for the cores; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spatialfoley import weights
from spatialfoley.evaluation.metrics.frechet import small_sample_note
from spatialfoley.evaluation.metrics.overlap_windows import VARIANTS
from spatialfoley.evaluation.metrics.statistics import Interval, crossed_interval
from spatialfoley.evaluation.networks.listener import Listener
from spatialfoley.evaluation.networks.loading import WEIGHTS_OF, load_listener
from spatialfoley.evaluation.pairs.embeddings import code_sha256
from spatialfoley.evaluation.study.claims import Step, judge, plain_judgement, slides_claims
from spatialfoley.evaluation.study.paired import Change, paired_change
from spatialfoley.evaluation.study.slides import (
    Figures,
    SlideScorer,
    SlideScores,
    sector_counts,
    slide_changes,
    slide_clips,
    slide_figures,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import visage_sc_tables as tables  # noqa: E402
from benchmarks.visage_sc_runs import (  # noqa: E402
    LABELS,
    POST,
    SCORING_CODE,
    WAYS,
    Kept,
    Run,
    Seconds,
    Study,
    label_of,
    root_runs,
)
from benchmarks.visage_sc_seconds import CANDIDATES, CHAIN, training_s, training_step_s  # noqa: E402


def cost_figures(seconds: Mapping[str, Seconds], runs: Mapping[str, Sequence[Run]]) -> dict[str, Figures]:
    """What rows cost: medians over clips, and of training over runs."""
    costs: dict[str, Figures] = {}
    for row, parts in seconds.items():
        costs[row] = {name: crossed_interval([values]) for name, values in parts.items()}
        costs[row] |= training_figures(runs[label_of(row)])
    return costs


def training_figures(runs: Sequence[Run]) -> Figures:
    """Seconds of a training step and of the whole training, over runs."""
    parts = {"training_step_s": training_step_s, "training_s": training_s}
    return {
        name: crossed_interval(found) if (found := _by_run(part, runs)) else None
        for name, part in parts.items()
    }


def _by_run(measure: Callable[[Path], float | None], runs: Sequence[Run]) -> list[list[float]]:
    """A figure of each run that has it, (runs, 1)."""
    return [[value] for run in runs if (value := measure(run.place)) is not None]


def step_changes(
    rows: Mapping[str, Sequence[SlideScores]],
    seconds: Mapping[str, Seconds],
    runs: Mapping[str, Sequence[Run]],
) -> dict[Step, dict[str, Change | None]]:
    """What every step between rows changed, speed included: how many times faster the later row is."""
    found: dict[Step, dict[str, Change | None]] = {}
    for step in tables.STEPS:
        earlier, later = step
        if earlier not in rows or later not in rows:
            continue
        same_runs = label_of(earlier) == label_of(later)
        found[step] = dict(slide_changes(rows[earlier], rows[later], same_runs))
        if earlier in seconds and later in seconds:
            for name, part in (("times_faster", "generating_s"), ("times_faster_whole", "whole_s")):
                times = {row: [seconds[row][part]] for row in step}
                found[step][name] = paired_change(times[later], times[earlier], np.nanmedian, ratio=True)
        if not same_runs:
            slow, fast = (_by_run(training_step_s, runs[label_of(row)]) for row in step)
            if slow and fast:
                found[step]["times_faster_training"] = paired_change(fast, slow, np.nanmedian, ratio=True)
    return found


def ceiling_titles(ceilings: Mapping[str, SlideScores]) -> dict[str, str]:
    """The truth, and one row for each codec and chain that differ, named after all rows they stand behind."""
    found: dict[bytes, list[str]] = {}
    for row, scores in ceilings.items():
        found.setdefault(scores.values["envelope_l1"].tobytes(), []).append(row)
    titles = {"truth": "truth"}
    for rows in found.values():
        behind = ", ".join(
            dict.fromkeys(tables.TITLES.get(label_of(row), row).removeprefix("+ ") for row in rows)
        )
        titles[rows[0]] = f"codec of {behind}" + "; chain" * rows[0].endswith(POST)
    return titles


def listeners_here() -> list[Listener]:
    """The world's listener, and the slides' ones where their weights are on this machine."""
    names = [name for name in ("vggish", "passt") if weights.locate(WEIGHTS_OF[name])]
    return [load_listener(name) for name in ("world", *names)]


def plain(figures: Mapping[str, Interval | None]) -> dict[str, Any]:
    """Figures ready for JSON."""
    return {name: None if value is None else asdict(value) for name, value in figures.items()}


def plain_changes(changes: Mapping[str, Change | None]) -> dict[str, Any]:
    """Changes ready for JSON."""
    return {name: None if value is None else asdict(value) for name, value in changes.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is there and write Markdown, JSON and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--root", type=Path, help="folder of visage_sc_ablation_train.py: all its finished runs"
    )
    parser.add_argument("--only", nargs="+", choices=LABELS, default=LABELS, help="labels of these runs")
    parser.add_argument("--beside", nargs="*", default=[], help="further models by name, as tiny-visage")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="which held-out clips")
    parser.add_argument("--duration-s", type=float, default=5.0)
    parser.add_argument(
        "--timed-clips", type=int, default=6, help="clips whose seconds are measured; 0 for none"
    )
    parser.add_argument("--variant", choices=VARIANTS, default="correct", help="energy maps in the tables")
    parser.add_argument("--out", type=Path, default=Path("sc_ablation"))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs = [run for run in root_runs(chosen.root) if run.label in chosen.only] if chosen.root else []
    runs += [Run(name, Path(name), 0) for name in chosen.beside]
    if not runs:
        parser.error("name --root with finished runs, or --beside")
    listeners = listeners_here()
    identity = {
        "clips": chosen.clips,
        "seed": chosen.seed,
        "duration_s": chosen.duration_s,
        "listeners": {listener.name: listener.weights_sha256 for listener in listeners},
        "code": code_sha256(SCORING_CODE),
    }
    clips = slide_clips(chosen.clips, chosen.seed, chosen.duration_s)
    study = Study(SlideScorer(clips, listeners), Kept(chosen.out / "scores", identity))
    rows, ceilings = study.rows(runs)
    by_label: dict[str, list[Run]] = {}
    for run in runs:
        by_label.setdefault(run.label, []).append(run)
    first = {row: by_label[label_of(row)][0] for row in ceilings}
    seconds = study.seconds(first, min(chosen.timed_clips, chosen.clips)) if chosen.timed_clips else {}
    costs = cost_figures(seconds, by_label)
    figures: dict[str, Figures] = {
        row: slide_figures(scores) | costs.get(row, {}) for row, scores in rows.items()
    }
    limits = {"truth": slide_figures([study.truth()])}
    limits |= {row: slide_figures([scores]) for row, scores in ceilings.items()}
    titles = ceiling_titles(ceilings)
    changes = step_changes(rows, seconds, by_label)
    names = [listener.name for listener in listeners]
    judgements = {
        (variant, name): judge(slides_claims(variant, name), changes)
        for variant in VARIANTS
        for name in names
    }
    document = {
        "settings": identity | {"candidates": CANDIDATES, "chain": CHAIN, "cameras": sector_counts(clips)},
        "runs": {row: len(scores) for row, scores in rows.items()},
        "rows": {row: plain(found) for row, found in figures.items()},
        "truth and codecs": {row: plain(found) for row, found in limits.items()},
        "steps": {" to ".join(step): plain_changes(found) for step, found in changes.items()},
        "claims": {
            f"{variant} maps, {name}": [plain_judgement(one) for one in found]
            for (variant, name), found in judgements.items()
        },
    }
    lines = report(chosen, document, figures, limits, titles, changes, listeners)
    columns = [*tables.sound_columns(names), *tables.place_columns(chosen.variant), *tables.SPEEDS]
    lines += [
        "## The slides' claims",
        "",
        *tables.claims_table(judgements[chosen.variant, names[0]], columns),
    ]
    (chosen.out / "visage_sc_ablation.md").write_text("\n".join(lines), encoding="utf-8")
    text = json.dumps(document, indent=1) + "\n"
    (chosen.out / "visage_sc_ablation.json").write_text(text, encoding="utf-8")
    shown = (*tables.WITH_POST, *tables.SIGNED, *chosen.beside)
    drawn = {row: figures[row] for row in shown if row in figures}
    tables.draw(drawn, limits, names[0], chosen.variant, chosen.out / "visage_sc_ablation.png")
    print("\n".join(lines))


def report(
    chosen: argparse.Namespace,
    document: Mapping[str, Any],
    figures: Mapping[str, Figures],
    limits: Mapping[str, Figures],
    titles: Mapping[str, str],
    changes: Mapping[Step, Mapping[str, Change | None]],
    listeners: Sequence[Listener],
) -> list[str]:
    """The tables of figures and of steps."""
    names = [listener.name for listener in listeners]
    counts = document["settings"]["cameras"]
    lines = [
        f"{chosen.clips} held-out clips of {chosen.duration_s:g} s with one source at the centre of the picture; "
        f"every fifth camera turns with it. Cameras look all around: {', '.join(map(str, counts))} of them into "
        f"the eight sectors from the front to the left. CC and AUC: {chosen.variant} maps; the JSON has both "
        "kinds. Listeners: "
        f"{', '.join(names)}. Brackets: 95 % intervals, runs and clips drawn anew; runs of a row: "
        f"{', '.join(f'{row} {count}' for row, count in document['runs'].items())}.",
        "",
    ]
    note = small_sample_note(chosen.clips, listeners[0].embedding_size)
    lines += [note, ""] if note else []
    sound, place = tables.sound_columns(names), tables.place_columns(chosen.variant)
    for heading, wanted, titled in (
        ("From ViSAGe to ViSAGe-SC", (*tables.WITH_POST, *chosen.beside), tables.TITLES),
        ("The same without post-processing", tables.WITHOUT_POST, tables.TITLES),
        ("Sign-and-gain tokens throughout", tables.SIGNED, tables.SIGNED_TITLES),
    ):
        some = {row: figures[row] for row in wanted if row in figures}
        if some:
            lines += [f"## {heading}", ""]
            for columns in (sound, place, tables.COSTS):
                lines += tables.table(some, columns, titled)
    parts = {row: figures[row] for way in WAYS if (row := f"tuned{way}") in figures}
    if parts:
        lines += ["## Post-processing taken apart", ""]
        for columns in (sound, place):
            lines += tables.table(parts, columns, {row: tables.part_title(row) for row in parts})
    lines += ["## The truth, and the truth through each codec", ""]
    for columns in (sound, place):
        lines += tables.table({row: limits[row] for row in titles}, columns, titles)
    if changes:
        lines += ["## What each step changed", ""]
        lines += [
            "Bold where the interval leaves 0 out; then in how many pairs of seeds the sign is the same.",
            "",
        ]
        for columns in (sound, place):
            lines += tables.changes_table(changes, columns)
        lines += tables.changes_table(changes, tables.SPEEDS, nothing=1.0)
    return lines


if __name__ == "__main__":
    main()
