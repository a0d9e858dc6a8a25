"""Score a folder of sound fields against their truth, file by file: the paper's table for one's own data."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.evaluation.direction import intensity_ratio, spatial_coherence, window_directions
from spatialfoley.evaluation.energy_overlap import covariances_over_time, points_overlap
from spatialfoley.evaluation.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.world_clips import SCORE_RATE_HZ, all_points
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.spatial.direction import angle_between_deg

_SUFFIXES = (".foa.wav", ".wav", ".flac")

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
    generated: Path, reference: Path, out: Path, progress: Progress | None = None
) -> FolderResult:
    """Score every generated field against the true one of the same name.

    Args:
        generated: Folder (or one file) of 4-channel AmbiX; `street.foa.wav` and `street.wav` are both
            "street".
        reference: Folder (or one file) with the truth, same names.
        out: Where `scores.jsonl`, `results.json` and `report.md` go.
        progress: Called with a label and the fraction done.

    Raises:
        ValueError: A folder is missing, or no name is in both.
    """
    ours, theirs = _fields(generated), _fields(reference)
    if generated.is_file() and reference.is_file():
        ours, theirs = {"pair": generated}, {"pair": reference}
    names = [name for name in ours if name in theirs]
    if not names:
        raise ValueError(
            f"no name is in both {generated} ({len(ours)} fields) and {reference} ({len(theirs)}); "
            "a pair has the same name up to .foa.wav, .wav or .flac"
        )
    rows: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for done, name in enumerate(names, start=1):
        try:
            rows.append({"name": name, **_pair_scores(theirs[name], ours[name])})
        except (ValueError, OSError) as problem:
            failures[name] = str(problem)
        if progress:
            progress(name, done / len(names))
    figures = {key: _figure(key, rows) for key in (rows[0] if rows else {}) if key != "name"}
    result = FolderResult(len(rows), failures, [name for name in ours if name not in theirs], figures)
    _write(result, rows, out)
    return result


def _fields(path: Path) -> dict[str, Path]:
    if not path.exists():
        raise ValueError(f"{path} does not exist; give a folder of 4-channel sound files, or one file")
    if path.is_file():
        return {_name(path): path}
    found = (file for file in sorted(path.iterdir()) if file.name.endswith(_SUFFIXES))
    return {_name(file): file for file in found if not file.name.endswith(".binaural.wav")}


def _name(path: Path) -> str:
    suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), path.suffix)
    return path.name.removesuffix(suffix)


def _read(path: Path) -> np.ndarray:
    audio = read_audio(path, layout="foa")
    return resample(audio.samples, audio.rate_hz, SCORE_RATE_HZ)


def _pair_scores(reference_path: Path, estimate_path: Path) -> dict[str, Any]:
    reference = _read(reference_path)
    estimate = fit_length(_read(estimate_path), reference.shape[1])
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
    return bootstrap_interval(values, np.mean if key.startswith(("cc/", "auc/")) else np.median)


def _write(result: FolderResult, rows: list[dict[str, Any]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{result.files} files scored, {len(result.failures)} failed, {len(result.unmatched)} without a truth. "
        "Means of CC and AUC, medians of the rest; brackets: 95 % intervals by file.",
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
