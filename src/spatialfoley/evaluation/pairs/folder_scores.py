"""Score a folder of sound fields or binaural sounds against their truth, file by file."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.binaural import (
    delay_error_s,
    delay_side_right,
    ear_cues,
    is_mono_collapse,
    left_right_distance,
    level_error_db,
    louder_ear_right,
    mean_coherence,
    side_of_ears,
)
from spatialfoley.evaluation.metrics.direction import intensity_ratio, spatial_coherence, window_directions
from spatialfoley.evaluation.metrics.energy_overlap import covariances_over_time, points_overlap
from spatialfoley.evaluation.metrics.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ, all_points
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.spatial.direction import angle_between_deg

PairLayout = Literal["foa", "binaural"]

_SUFFIXES: dict[PairLayout, tuple[str, ...]] = {
    "foa": (".foa.wav", ".wav", ".flac"),
    "binaural": (".binaural.wav", ".wav", ".flac"),
}

_MEANS = ("cc/", "auc/", "louder_ear", "earlier_ear", "one_channel")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class FolderResult:
    """Figures of a folder.

    Attributes:
        files: Pairs scored.
        failures: Reason of each pair that could not be scored, by name.
        unmatched: Generated files without a truth of the same name.
        figures: Mean or median of each metric over files, with 95 % interval.
    """

    files: int
    failures: dict[str, str]
    unmatched: list[str]
    figures: dict[str, Interval | None]


def score_folders(
    generated: Path,
    reference: Path,
    out: Path,
    progress: Progress | None = None,
    layout: PairLayout = "foa",
) -> FolderResult:
    """Score every generated sound against the true one of the same name.

    Args:
        generated: Folder (or one file) of 4-channel AmbiX or of two ears; `street.foa.wav`,
            `street.binaural.wav` and `street.wav` are all "street".
        reference: Folder (or one file) with the truth, same names.
        out: Where `scores.jsonl`, `results.json` and `report.md` go.
        progress: Called with a label and the fraction done.
        layout: What the files are.

    Raises:
        ValueError: A folder is missing, no name is in both, or the layout is unknown.
    """
    if layout not in _SUFFIXES:
        raise ValueError(f"layout is {layout!r}; it must be one of {', '.join(_SUFFIXES)}")
    ours, theirs = _sounds(generated, layout), _sounds(reference, layout)
    if generated.is_file() and reference.is_file():
        ours, theirs = {"pair": generated}, {"pair": reference}
    names = [name for name in ours if name in theirs]
    if not names:
        raise ValueError(
            f"no name is in both {generated} ({len(ours)} {layout} files) and {reference} ({len(theirs)}); "
            f"a pair has the same name up to {', '.join(_SUFFIXES[layout])}"
        )
    rows: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for done, name in enumerate(names, start=1):
        try:
            rows.append({"name": name, **_pair_scores(theirs[name], ours[name], layout)})
        except (ValueError, OSError) as problem:
            failures[name] = str(problem)
        if progress:
            progress(name, done / len(names))
    figures = {key: _figure(key, rows) for key in (rows[0] if rows else {}) if key != "name"}
    result = FolderResult(len(rows), failures, [name for name in ours if name not in theirs], figures)
    _write(result, rows, out)
    return result


def _sounds(path: Path, layout: PairLayout) -> dict[str, Path]:
    if not path.exists():
        raise ValueError(f"{path} does not exist; give a folder of {layout} sound files, or one file")
    if path.is_file():
        return {_name(path, layout): path}
    suffixes, other = _SUFFIXES[layout], ".binaural.wav" if layout == "foa" else ".foa.wav"
    found = (file for file in sorted(path.iterdir()) if file.name.endswith(suffixes))
    return {_name(file, layout): file for file in found if not file.name.endswith(other)}


def _name(path: Path, layout: PairLayout) -> str:
    suffix = next((suffix for suffix in _SUFFIXES[layout] if path.name.endswith(suffix)), path.suffix)
    return path.name.removesuffix(suffix)


def _read(path: Path, layout: PairLayout) -> np.ndarray:
    audio = read_audio(path, layout=layout)
    return resample(audio.samples, audio.rate_hz, SCORE_RATE_HZ)


def _pair_scores(reference_path: Path, estimate_path: Path, layout: PairLayout) -> dict[str, Any]:
    reference = _read(reference_path, layout)
    estimate = fit_length(_read(estimate_path, layout), reference.shape[1])
    return _field_scores(reference, estimate) if layout == "foa" else _ear_scores(reference, estimate)


def _ear_scores(reference: np.ndarray, estimate: np.ndarray) -> dict[str, Any]:
    """Scores of two ears; recordings tell no direction, so the side is that of the louder true ear."""
    true, found = ear_cues(reference, SCORE_RATE_HZ), ear_cues(estimate, SCORE_RATE_HZ)
    side = side_of_ears(true)
    delay_s = delay_error_s(true, found, side)
    true_onsets, found_onsets = (
        detect_onsets(ears.mean(axis=0), SCORE_RATE_HZ) for ears in (reference, estimate)
    )
    return {
        "level_error_db": level_error_db(true, found, side),
        "delay_error_us": None if delay_s is None else 1e6 * delay_s,
        "louder_ear_right": louder_ear_right(found, side),
        "earlier_ear_right": delay_side_right(true, found, side),
        "coherence": mean_coherence(found),
        "true_coherence": mean_coherence(true),
        "one_channel_twice": None if (same := is_mono_collapse(reference, estimate)) is None else float(same),
        "left_right_distance": left_right_distance(estimate),
        "true_left_right_distance": left_right_distance(reference),
        "onset_error_s": match_onsets(true_onsets, found_onsets).median_abs_error_s,
    }


def _field_scores(reference: np.ndarray, estimate: np.ndarray) -> dict[str, Any]:
    truth, found = all_points(reference), all_points(estimate)
    scores: dict[str, Any] = {}
    for (window, variant), points in truth.items():
        overlap = points_overlap(points, found[window, variant])
        scores[f"cc/{window}/{variant}"], scores[f"auc/{window}/{variant}"] = overlap.cc, overlap.auc
    whole = [covariances_over_time(field, SCORE_RATE_HZ, None) for field in (reference, estimate)]
    angle = float(angle_between_deg(*(window_directions(cov).peak[0] for cov in whole)))
    short = covariances_over_time(estimate, SCORE_RATE_HZ, 2)
    true_onsets, found_onsets = (detect_onsets(field[W], SCORE_RATE_HZ) for field in (reference, estimate))
    return scores | {
        "peak_angle_deg": None if np.isnan(angle) else angle,
        "onset_error_s": match_onsets(true_onsets, found_onsets).median_abs_error_s,
        "coherence": spatial_coherence(short),
        "psi": intensity_ratio(short),
    }


def _figure(key: str, rows: list[dict[str, Any]]) -> Interval | None:
    values = [row[key] for row in rows if row[key] is not None]
    return bootstrap_interval(values, np.mean if key.startswith(_MEANS) else np.median)


def _write(result: FolderResult, rows: list[dict[str, Any]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{result.files} files scored, {len(result.failures)} failed, {len(result.unmatched)} without a truth. "
        "Means of CC, AUC and shares, medians of the rest; brackets: 95 % intervals by file.",
        "",
        "| metric | value | files |",
        "| --- | --- | --- |",
    ]
    for key, figure in result.figures.items():
        value = "–" if figure is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
        lines.append(f"| {key} | {value} | {figure.count if figure else 0} |")
    lines += ["", *(f"- {name} failed: {reason}" for name, reason in result.failures.items())]
    texts = {
        "scores.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "results.json": json.dumps(asdict(result), indent=2) + "\n",
        "report.md": "\n".join(lines).rstrip() + "\n",
    }
    for name, text in texts.items():
        with atomic_path(out / name) as path:
            path.write_text(text, encoding="utf-8")
