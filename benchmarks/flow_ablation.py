"""Score many trained flows on the same held-out clips of the world: ablation, forms, and steps against error.

    python benchmarks/flow_ablation_train.py --seeds 0 1 2
    python benchmarks/flow_ablation.py --root runs/flow-ablation --clips 60 --out flow_ablation
    python benchmarks/flow_ablation.py "Forms/mine=runs/a=0" "Forms/mine=runs/b=1" "Forms/other=runs/c+runs/head=0"
    python benchmarks/flow_ablation.py --curve tiny-visaudio tiny-visaudio-foa --clips 40

A run is TITLE/LABEL=FOLDER=SEED: its table, its row, its folder (FOLDER+HEAD with a spatial head of its own) and
its training seed; runs of one label are pooled. Intervals are 95 %, from drawing runs and clips anew. Pictures are
encoded once for all runs that see them alike; the scores of a run are kept beside the tables and not made again.
"""

import os

# One thread, or the libraries below would fight for the cores; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.evaluation.metrics.frechet import small_sample_note
from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.networks.world_classifier import load_world_classifier
from spatialfoley.evaluation.study.ablation import (
    HeldOutClip,
    RunScores,
    held_out_clips,
    pooled_figures,
    score_run,
)
from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.media.atomic import atomic_path
from spatialfoley.spatial.signal import SpatialAudio

Make = Callable[[WorldClip], SpatialAudio]
Row = dict[str, Interval | None]

EARS, FORMS, FIELDS = "Ablation, two ears", "Forms, two ears", "Forms, sound field"
ROOT_RUNS = (
    (EARS, "mono duplicated", "mono-{}"),
    (EARS, "dual only", "dual-only-ears-{}"),
    (EARS, "dual + spacetime", "sign-factored-ears-{}"),
    (FORMS, "published", "published-ears-{}"),
    (FORMS, "sign-factored", "sign-factored-ears-{}"),
    (FORMS, "parametric", "mono-{}+ears-{}"),
    (FIELDS, "published", "published-field-{}"),
    (FIELDS, "sign-factored", "sign-factored-field-{}"),
    (FIELDS, "parametric", "mono-{}+field-{}"),
)
"""Table, row and folders (of a seed) that flow_ablation_train.py writes."""

EAR_COLUMNS = (
    ("level error dB", "ear_level_error_median_db", ".1f"),
    ("level correlation", "ear_level_correlation", ".2f"),
    ("camera turns", "ear_level_turning", ".2f"),
    ("within these clips", "ear_level_following", ".2f"),
    ("louder ear", "louder_ear_right", ".0%"),
    ("time error µs", "ear_delay_error_median_us", ".0f"),
    ("earlier ear", "delay_side_right", ".0%"),
    ("coherence", "ear_coherence_median", ".2f"),
    ("minus truth", "ear_coherence_difference_median", "+.2f"),
    ("one channel twice", "mono_collapse", ".0%"),
)
FIELD_COLUMNS = (
    ("direction error °", "angle_median_deg", ".1f"),
    ("left for right", "left_right_confusion", ".0%"),
    ("CC All", "cc/all/correct", ".3f"),
    ("CC 5 fps", "cc/5fps/correct", ".3f"),
    ("coherence", "coherence_median", ".2f"),
    ("psi", "psi_median", ".2f"),
)
SOUND_COLUMNS = (
    ("onset error s", "onset_error_median_s", ".3f"),
    ("class right", "class_accuracy", ".0%"),
    ("level dB", "level_difference_median_db", "+.1f"),
    ("Fréchet, ears", "frechet_ears", ".0f"),
    ("Fréchet, mean", "frechet_mix", ".0f"),
    ("CPU s per clip", "seconds_median", ".2f"),
)
EVALUATIONS_PER_STEP = {"euler": 1, "midpoint": 2, "adams": 1}


@dataclass(frozen=True)
class Run:
    """One trained run: table, row, folders and training seed."""

    title: str
    label: str
    folder: Path
    head: Path | None
    seed: int


def parse_run(text: str) -> Run:
    """A run from TITLE/LABEL=FOLDER[+HEAD]=SEED; without a title the table is called Runs."""
    match = re.fullmatch(r"(?:([^/=]+)/)?([^=]+)=([^=]+)=(\d+)", text)
    if match is None:
        raise ValueError(f"run {text!r} is not of the form TITLE/LABEL=FOLDER=SEED")
    title, label, folders, seed = match.groups()
    folder, _, head = folders.partition("+")
    return Run(title or "Runs", label, Path(folder), Path(head) if head else None, int(seed))


def root_runs(root: Path) -> list[Run]:
    """The finished runs of a folder that flow_ablation_train.py filled, in the order of the tables."""
    runs = []
    for title, label, pattern in ROOT_RUNS:
        for seed in range(100):
            flow, _, head = (part.replace("{}", str(seed)) for part in pattern.partition("+"))
            done = (root / flow / "twin.safetensors").is_file()
            done = done and (not head or (root / head / "head.safetensors").is_file())
            if done:
                runs.append(Run(title, label, root / flow, root / head if head else None, seed))
    return runs


class Makers:
    """From folders and names to functions that make the sound of a clip; the one place that knows pipelines."""

    def __init__(self) -> None:
        self._encoded: dict[tuple[Any, ...], Any] = {}

    def twin(self, place: Path, head: Path | None = None) -> Any:
        """The pipeline of a trained run or of a model of the package."""
        from spatialfoley.pipeline.loading import load_pipeline
        from spatialfoley.pipeline.twin_loading import load_twin

        return load_twin(place, head) if place.is_dir() else load_pipeline(str(place))

    def of_twin(self, pipe: Any, **settings: Any) -> Make:
        """Sound of clips whose pictures are encoded once."""

        def make(clip: WorldClip) -> SpatialAudio:
            # Only a field is turned by the camera; ears are at it.
            return pipe.make(self.encoded(pipe, clip), seed=clip.seed, camera=clip.camera, **settings)

        return make

    def encoded(self, pipe: Any, clip: WorldClip) -> Any:
        """What a twin sees of a clip, kept for all twins that see alike."""
        twin = pipe.steps.network.twin
        eyes = pipe.describe()["weights_sha256"]["features"]
        key = (clip.seed, eyes, twin.form.frames_per_token, twin.window_s, tuple(twin.words))
        if key not in self._encoded:
            self._encoded[key] = pipe.encode(clip.video)
        return self._encoded[key]

    def of_name(self, name: str) -> tuple[Make, dict[str, Any]]:
        """Any model that `spatialfoley evaluate` takes, encoding included, and what it says of itself."""
        from spatialfoley.pipeline.loading import load_pipeline

        pipe: Any = load_pipeline(name)
        return lambda clip: pipe(clip.video, camera=clip.camera, seed=clip.seed), pipe.describe()


class Scores:
    """Scores of runs on one set of clips, kept on disk by what they depend on."""

    def __init__(self, clips: Sequence[HeldOutClip], identity: dict[str, Any], folder: Path) -> None:
        self.clips, self.identity, self.folder = clips, identity, folder
        self.classifier = load_world_classifier()
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, name: str, description: dict[str, Any], prepare: Callable[[], Make]) -> RunScores:
        """Scores of what `prepare` returns, or those kept of the same model, settings and clips."""
        text = json.dumps({"of": description, **self.identity}, sort_keys=True, default=str)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.npz"
        if not path.exists():
            report = lambda done: print(f"\r{name}: {done:.0%} ", end="", file=sys.stderr, flush=True)  # noqa: E731
            scores = score_run(prepare(), self.clips, self.classifier, report)
            print(file=sys.stderr)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                documents = np.array(json.dumps(scores.documents))
                np.savez(
                    file,
                    documents=documents,
                    embeddings=scores.embeddings,
                    turning=scores.turning,
                    seconds=scores.seconds,
                )
        with np.load(path) as file:
            documents = tuple(json.loads(str(file["documents"])))
            return RunScores(documents, file["embeddings"], file["turning"], file["seconds"])


def tables(
    runs: Sequence[Run], beside: Sequence[str], makers: Makers, scores: Scores, truth: RunScores
) -> dict[str, dict[str, Row]]:
    """Figures by table and row, runs of one label pooled; the truth stands in every table."""
    found: dict[str, dict[str, list[RunScores]]] = {}
    for run in runs:
        try:
            pipe = makers.twin(run.folder, run.head)
        except (ValueError, RuntimeError, OSError) as problem:
            print(f"{run.folder} left out: {str(problem).splitlines()[0]}", file=sys.stderr)
            continue
        name = f"{run.title}, {run.label}, seed {run.seed}"
        # A row without a spatial head is another model than the same flow with one.
        description = {**pipe.describe(), "model": None}
        made = scores.of(name, description, lambda pipe=pipe: first_encoded(makers, pipe, scores.clips))
        found.setdefault(run.title, {}).setdefault(run.label, []).append(made)
    result = {
        title: {label: pooled_figures(made, truth) for label, made in rows.items()}
        for title, rows in found.items()
    }
    for name in beside:
        make, description = makers.of_name(name)
        made = scores.of(name, {**description, "named": name}, lambda make=make: make)
        for title in result or {"Beside": {}}:
            result.setdefault(title, {})[name] = pooled_figures([made], truth)
    return {title: {**rows, "truth": pooled_figures([truth], truth)} for title, rows in result.items()}


def first_encoded(makers: Makers, pipe: Any, clips: Sequence[HeldOutClip]) -> Make:
    """How a twin makes sound, its pictures encoded beforehand so that no clip is timed with its encoding."""
    for item in clips:
        makers.encoded(pipe, item.clip)
    return makers.of_twin(pipe)


def curve(
    name: str,
    makers: Makers,
    scores: Scores,
    truth: RunScores,
    steps: Sequence[int],
    solvers: Sequence[str],
    guidance: float | None,
) -> dict[str, Row]:
    """Figures of one twin by "solver steps"."""
    pipe = makers.twin(Path(name))
    for item in scores.clips:
        makers.encoded(pipe, item.clip)
    rows = {}
    for solver in solvers:
        for count in steps:
            settings = {"steps": count, "solver": solver, "guidance": guidance}
            label = f"{solver} {count}"
            made = scores.of(
                f"{name}, {label}",
                {**pipe.describe(), **settings},
                lambda settings=settings: makers.of_twin(pipe, **settings),
            )
            rows[label] = pooled_figures([made], truth)
    return rows


def markdown(title: str, rows: dict[str, Row]) -> list[str]:
    """One table in two parts: where, then what and when."""
    fields = any(row["angle_median_deg"] is not None for name, row in rows.items() if name != "truth")
    lines = [f"## {title}", ""]
    for columns in (*([FIELD_COLUMNS] if fields else []), EAR_COLUMNS, SOUND_COLUMNS):
        lines += [
            f"| | {' | '.join(heading for heading, _, _ in columns)} |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name, row in rows.items():
            cells = [cell(row[key], form) for _, key, form in columns]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def cell(interval: Interval | None, form: str) -> str:
    """A figure with its interval."""
    if interval is None:
        return "–"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def draw(curves: dict[str, dict[str, Row]], path: Path) -> None:
    """Steps against error and time, one column of panels for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("direction error, °", "angle_median_deg"),
        ("level difference error, dB", "ear_level_error_median_db"),
        ("time difference error, µs", "ear_delay_error_median_us"),
        ("level re truth, dB", "level_difference_median_db"),
        ("Fréchet distance, ears", "frechet_ears"),
        ("CPU seconds per clip", "seconds_median"),
    )
    kept = [p for p in panels if any(row[p[1]] for rows in curves.values() for row in rows.values())]
    figure, axes = pyplot.subplots(
        len(kept), len(curves), figsize=(4.6 * len(curves), 2.1 * len(kept)), squeeze=False, sharex=True
    )
    for column, (name, rows) in enumerate(curves.items()):
        axes[0][column].set_title(name)
        axes[-1][column].set_xlabel("evaluations of the flow")
        for (title, key), axis in zip(kept, axes[:, column], strict=True):
            axis.set_ylabel(title, fontsize=8)
            axis.grid(alpha=0.3)
            for solver in dict.fromkeys(label.split()[0] for label in rows):
                points = [
                    (int(label.split()[1]) * EVALUATIONS_PER_STEP[solver], row[key])
                    for label, row in rows.items()
                    if label.split()[0] == solver and row[key] is not None
                ]
                if points:
                    plot_line(axis, points, solver)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter("{x:g}")
        axes[0][column].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def plot_line(axis: Any, points: Sequence[tuple[int, Any]], label: str) -> None:
    """A line through values with their intervals."""
    evaluations = [count for count, _ in points]
    values = np.array([interval.value for _, interval in points])
    below = values - [interval.low for _, interval in points]
    above = [interval.high for _, interval in points] - values
    errors = np.maximum([below, above], 0)
    axis.errorbar(evaluations, values, errors, marker="o", markersize=3, capsize=2, label=label)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is named and write Markdown, JSON and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help="TITLE/LABEL=FOLDER[+HEAD]=SEED")
    parser.add_argument("--root", type=Path, help="folder of flow_ablation_train.py: all its finished runs")
    parser.add_argument("--beside", nargs="*", default=[], help="further models by name, as tiny-visage")
    parser.add_argument(
        "--curve", nargs="*", default=[], help="twins, by name or folder, for steps against error"
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16, 25])
    parser.add_argument("--solvers", nargs="+", default=["euler", "midpoint"], choices=EVALUATIONS_PER_STEP)
    parser.add_argument("--guidance", type=float, help="of the curve; default: the model's own")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="which held-out clips")
    parser.add_argument("--duration-s", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("flow_ablation"))
    chosen = parser.parse_args(arguments)
    runs = [parse_run(text) for text in chosen.runs] + (root_runs(chosen.root) if chosen.root else [])
    if not (runs or chosen.beside or chosen.curve):
        parser.error("name runs, --root, --beside or --curve")
    identity = {"clips": chosen.clips, "seed": chosen.seed, "duration_s": chosen.duration_s, "version": 2}
    scores = Scores(
        held_out_clips(chosen.clips, chosen.seed, chosen.duration_s), identity, chosen.out / "scores"
    )
    fields = {item.clip.index: item.truth.field for item in scores.clips}
    truth = scores.of("truth", {"named": "truth"}, lambda: lambda clip: fields[clip.index])
    makers = Makers()
    found = tables(runs, chosen.beside, makers, scores, truth)
    curves = {
        name: curve(name, makers, scores, truth, chosen.steps, chosen.solvers, chosen.guidance)
        for name in chosen.curve
    }
    lines = [
        f"{chosen.clips} held-out clips of {chosen.duration_s:g} s, one source in view, every second camera turns;"
        f" suite seed {chosen.seed}. Brackets: 95 % intervals, runs and clips drawn anew.",
        "",
    ]
    note = small_sample_note(chosen.clips, truth.embeddings.shape[2])
    lines += [note, ""] if note else []
    for title, rows in found.items():
        lines += markdown(title, rows)
    for name, rows in curves.items():
        lines += markdown(f"{name}: steps against error", rows)
    (chosen.out / "flow_ablation.md").write_text("\n".join(lines), encoding="utf-8")
    document = {"tables": plain(found), "curves": plain(curves), "settings": identity}
    (chosen.out / "flow_ablation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if curves:
        draw(curves, chosen.out / "flow_steps.png")
    print("\n".join(lines))


def plain(figures: dict[str, dict[str, Row]]) -> dict[str, Any]:
    """Figures ready for JSON."""
    return {
        title: {
            label: {key: None if value is None else asdict(value) for key, value in row.items()}
            for label, row in rows.items()
        }
        for title, rows in figures.items()
    }


if __name__ == "__main__":
    main()
