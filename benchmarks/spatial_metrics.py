"""What the spatial scores of a clip cost: ours beside the arithmetic of the published ViSAGe scripts, in one run.

    python benchmarks/spatial_metrics.py --out spatial_metrics

The published arithmetic is written anew here from its description: every beam of every sample is formed (a matrix
of samples by 16200 directions), rows are thinned in a loop, and the AUC counts points anew for every threshold.
Formed at once, the beams of five seconds and their squares take 10 GB; here they are formed in blocks of a fifth
of a second, which gives the same maps and is kinder to the published side. Both sides score both fields from their
samples, on one thread; times are processor seconds. Memory is the largest resident size (VmHWM) of a process of its
own.

A second table reads pairs of files at 48 kHz, brings them to 16 kHz and scores them in two processes.
"""

import os

# One thread, or the libraries below would fight for the cores; read when numpy is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.direction import intensity_ratio, spatial_coherence, window_directions
from spatialfoley.evaluation.metrics.energy_distance import points_distance
from spatialfoley.evaluation.metrics.energy_overlap import covariances_over_time, points_overlap
from spatialfoley.evaluation.metrics.energy_points import Variant, covariance_points
from spatialfoley.evaluation.metrics.overlap_windows import (
    OVERLAP_WINDOWS,
    SCORE_RATE_HZ,
    VARIANTS,
    all_covariances,
)
from spatialfoley.media.audio import fit_length, read_audio, resample, write_audio
from spatialfoley.spatial.direction import angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import energy_map
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

TEST_SET_CLIPS = 11166
TEST_SET_LIMIT_MIN = 20.0
SPEED_LIMIT, MEMORY_LIMIT_MB, MAP_TOLERANCE = 300.0, 200.0, 1e-6

FILE_RATE_HZ = 48000
BLOCK_SAMPLES = SCORE_RATE_HZ // 5
WORKERS = 2

Array = NDArray[np.floating]
Scores = dict[str, tuple[float, float]]
"""CC and AUC of each kind of window."""


def make_field(seed: int, duration_s: float, rate_hz: int) -> Array:
    """A field (4, N) of two moving sources that come and go over diffuse noise."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * rate_hz)
    times_s = np.arange(count) / rate_hz
    field = 0.01 * rng.normal(size=(4, count))
    for _ in range(2):
        swell = np.clip(np.sin(2 * np.pi * (rng.uniform(0.3, 1.5) * times_s + rng.uniform())), 0.05, 1)
        azimuth_deg = rng.uniform(-180, 180) + rng.uniform(-40, 40) * times_s
        vectors = unit_vectors(azimuth_deg, np.full(count, rng.uniform(-40, 60)))
        field += encode(0.1 * swell * rng.normal(size=count), vectors)
    return field.astype(np.float32)


def published_maps(field: Array, windows_per_s: float | None) -> Array:
    """Maps (M, 90, 180) by forming every beam of every sample."""
    count = field.shape[1]
    length = count if windows_per_s is None else round(SCORE_RATE_HZ / windows_per_s)
    matrix = _published_gains()
    maps = []
    for start in range(0, count - length + 1, length):
        powers = []
        for block in range(start, start + length, BLOCK_SAMPLES):
            part = field[:, block : min(block + BLOCK_SAMPLES, start + length)]
            beams = np.einsum("ct,cp->tp", part, matrix)
            powers.append(np.mean(beams**2, axis=0, dtype=np.float64) * part.shape[1] / length)
        maps.append(np.flipud(np.sqrt(np.sum(powers, axis=0)).reshape(90, 180)))
    return np.stack(maps)


def _published_gains() -> Array:
    """Gains (4, 16200), rows from elevation -90° up to 88°, with the misplaced root of two on Y and X."""
    elevation = np.radians(np.arange(-90, 90, 2))[:, None]
    azimuth = np.radians(178 - np.arange(0, 360, 2))[None, :]
    level = np.cos(elevation)
    gains = [
        np.ones((90, 180)),
        np.sqrt(2) * level * np.sin(azimuth),
        np.broadcast_to(np.sin(elevation), (90, 180)),
        np.sqrt(2) * level * np.cos(azimuth),
    ]
    return np.stack(gains).reshape(4, -1).astype(np.float32)


def published_samples(energy: Array) -> Array:
    """Points (10312,) of one map, row by row."""
    rows = []
    for row, values in enumerate(energy):
        width = len(values)
        count = round(width * np.sin((row + 0.5) * np.pi / len(energy)))
        columns = np.arange(count) * ((width - 0.5 * width / count) / count)
        rows.append(np.interp(columns, np.arange(width), values))
    return np.concatenate(rows)


def published_auc(reference: Array, estimate: Array) -> float:
    """AUC of points (P,), counting the points above each threshold anew; without the random jitter."""
    scaled = (estimate - estimate.min()) / (estimate.max() - estimate.min())
    fixated = reference > reference.max() - reference.std()
    thresholds = sorted(scaled[fixated], reverse=True)
    hits, others = len(thresholds), int(np.sum(~fixated))
    true_rate, false_rate = np.zeros(hits + 2), np.zeros(hits + 2)
    true_rate[-1] = false_rate[-1] = 1.0
    for rank, threshold in enumerate(thresholds):
        true_rate[rank + 1] = rank / hits
        false_rate[rank + 1] = (np.sum(scaled >= threshold) - rank) / others
    return float(np.trapezoid(true_rate, false_rate))


def published_scores(reference: Array, estimate: Array) -> tuple[Scores, dict[str, Array]]:
    """CC and AUC of every kind of window, and the maps of the reference."""
    scores: Scores = {}
    maps: dict[str, Array] = {}
    for name, windows_per_s in OVERLAP_WINDOWS.items():
        pair = [published_maps(field, windows_per_s) for field in (reference, estimate)]
        points = [[published_samples(energy) for energy in side] for side in pair]
        cc = [np.corrcoef(true, found)[0, 1] for true, found in zip(*points, strict=True)]
        auc = [published_auc(true, found) for true, found in zip(*points, strict=True)]
        scores[name], maps[name] = (float(np.mean(cc)), float(np.mean(auc))), pair[0]
    return scores, maps


def our_scores(
    reference: Array, estimate: Array, variants: Sequence[Variant] = VARIANTS
) -> dict[str, float | None]:
    """The spatial scores of a pair of fields (4, N) at 16 kHz; with both variants, the whole set."""
    scores: dict[str, float | None] = {}
    true, found = all_covariances(reference), all_covariances(estimate)
    for name in OVERLAP_WINDOWS:
        for variant in variants:
            pair = covariance_points(true[name], variant), covariance_points(found[name], variant)
            overlap = points_overlap(*pair)
            scores[f"cc/{name}/{variant}"], scores[f"auc/{name}/{variant}"] = overlap.cc, overlap.auc
            if variants == VARIANTS:
                scores[f"l1/{name}/{variant}"] = points_distance(*pair).l1
    if variants == VARIANTS:
        halves = [covariances_over_time(field, SCORE_RATE_HZ, 2) for field in (reference, estimate)]
        peaks = [window_directions(covariances).peak for covariances in halves]
        scores["peak_angle_deg"] = float(np.nanmean(angle_between_deg(*peaks)))
        scores["coherence"], scores["psi"] = spatial_coherence(halves[1]), intensity_ratio(halves[1])
    return scores


def score_files(paths: tuple[Path, Path]) -> float:
    """Read, resample and score one pair; processor seconds."""
    start = time.process_time()
    pair = [read_audio(path, layout="foa") for path in paths]
    reference, estimate = (resample(sound.samples, sound.rate_hz, SCORE_RATE_HZ) for sound in pair)
    our_scores(reference, fit_length(estimate, reference.shape[1]))
    return time.process_time() - start


def clip_figures(duration_s: float, repeats: int) -> dict[str, float]:
    """Both sides on one pair of fields: times, speed-up, differences."""
    reference, estimate = (make_field(seed, duration_s, SCORE_RATE_HZ) for seed in (0, 1))
    start = time.process_time()
    published, maps = published_scores(reference, estimate)
    published_s = time.process_time() - start
    ours = our_scores(reference, estimate, ("reference",))
    figures = {
        "duration_s": duration_s,
        "published_cpu_s": published_s,
        "ours_same_cpu_s": _median_cpu_s(lambda: our_scores(reference, estimate, ("reference",)), repeats),
        "ours_whole_cpu_s": _median_cpu_s(lambda: our_scores(reference, estimate), repeats),
        "map_difference": max(
            float(np.max(np.abs(energy_map(covariances, "reference") - maps[name])) / np.max(maps[name]))
            for name, covariances in all_covariances(reference).items()
        ),
    }
    for place, kind in enumerate(("cc", "auc")):
        differences = [
            abs((ours[f"{kind}/{name}/reference"] or 0) - published[name][place]) for name in published
        ]
        figures[f"{kind}_difference"] = max(differences)
    return figures


def _median_cpu_s(work: Callable[[], object], repeats: int) -> float:
    times_s = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times_s.append(time.process_time() - start)
    return float(np.median(times_s))


def file_figures(clips: int, duration_s: float) -> dict[str, float]:
    """Pairs of files in two processes: seconds by the clock and by the processor, per pair."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for clip in range(clips):
            pair = (Path(folder) / f"{clip}.truth.foa.wav", Path(folder) / f"{clip}.foa.wav")
            for side, path in enumerate(pair):
                field = make_field(2 * clip + side, duration_s, FILE_RATE_HZ)
                write_audio(path, SpatialAudio(field / 2, FILE_RATE_HZ, "foa"))
            pairs.append(pair)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
            list(pool.map(score_files, pairs[:WORKERS]))  # starts the processes and fills their tables
            start = time.perf_counter()
            cpu_s = list(pool.map(score_files, pairs))
            wall_s = time.perf_counter() - start
    return {"clips": clips, "wall_s_per_clip": wall_s / clips, "cpu_s_per_clip": float(np.mean(cpu_s))}


def resident_mb() -> float:
    """Largest resident size of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no line VmHWM; the benchmark measures memory on Linux only")


def memory_of(side: str, duration_s: float) -> dict[str, float]:
    """Resident MB of a new process before and after it scores one pair."""
    command = [sys.executable, __file__, "--duration-s", str(duration_s), "--memory-of", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _print_memory(side: str, duration_s: float) -> None:
    reference, estimate = (make_field(seed, duration_s, SCORE_RATE_HZ) for seed in (0, 1))
    before_mb = resident_mb()
    if side == "ours":
        our_scores(reference, estimate)
    else:
        published_maps(reference, OVERLAP_WINDOWS["5fps"])
    print(json.dumps({"before_mb": before_mb, "after_mb": resident_mb()}))


def report(figures: dict[str, dict[str, float]]) -> str:
    """Both tables as Markdown."""
    return f"""{_clip_table(figures)}

Largest difference of maps {figures["clip"]["map_difference"]:.1e} of their maximum (target {MAP_TOLERANCE:.0e}), \
of CC {figures["clip"]["cc_difference"]:.1e}, of AUC {figures["clip"]["auc_difference"]:.1e}.

{_file_table(figures["files"])}
"""


def _clip_table(figures: dict[str, dict[str, float]]) -> str:
    clip, ours, published = (figures[name] for name in ("clip", "memory", "published_memory"))
    at_once_gb = clip["duration_s"] * SCORE_RATE_HZ * 16200 * 2 * 4 / 1e9
    rows = [
        (f"one pair of fields of {clip['duration_s']:g} s at 16 kHz", "processor", "faster", "peak memory"),
        ("---",) * 4,
        (
            "published arithmetic: CC and AUC, All, 1 fps, 5 fps",
            f"{clip['published_cpu_s']:.1f} s",
            "",
            f"{published['after_mb']:.0f} MB in blocks ({at_once_gb:.1f} GB at once, calculated)",
        ),
        (
            "ours, the same scores",
            f"{1e3 * clip['ours_same_cpu_s']:.0f} ms",
            f"{clip['published_cpu_s'] / clip['ours_same_cpu_s']:.0f}×",
            "",
        ),
        (
            "ours, the whole set: correct and published variant, L1 of maps, peak direction, coherence, psi",
            f"{1e3 * clip['ours_whole_cpu_s']:.0f} ms",
            f"{clip['published_cpu_s'] / clip['ours_whole_cpu_s']:.0f}× (target {SPEED_LIMIT:.0f}×)",
            f"{ours['after_mb']:.0f} MB, {ours['before_mb']:.0f} MB before (target {MEMORY_LIMIT_MB:.0f} MB)",
        ),
    ]
    return _markdown(rows)


def _file_table(files: dict[str, float]) -> str:
    wall_min, cpu_min = (files[f"{kind}_s_per_clip"] * TEST_SET_CLIPS / 60 for kind in ("wall", "cpu"))
    rows = [
        ("pairs of FOA files: read at 48 kHz, resampled, scored", "value"),
        ("---",) * 2,
        (f"pairs measured, {WORKERS} processes, files just written", f"{files['clips']:.0f}"),
        ("per pair, processor", f"{1e3 * files['cpu_s_per_clip']:.0f} ms"),
        ("per pair, by the clock", f"{1e3 * files['wall_s_per_clip']:.0f} ms"),
        (
            f"{TEST_SET_CLIPS} pairs, extrapolated",
            f"{cpu_min / WORKERS:.1f} min of two processors, {wall_min:.1f} min by the clock on this machine as it "
            f"was (target {TEST_SET_LIMIT_MIN:.0f} min)",
        ),
    ]
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration-s", type=float, default=5.0)
    parser.add_argument("--clips", type=int, default=60, help="pairs of files")
    parser.add_argument("--repeats", type=int, default=15, help="of our side")
    parser.add_argument("--quick", action="store_true", help="one second, four pairs of files")
    parser.add_argument("--out", type=Path, help="folder for spatial_metrics.md and .json")
    parser.add_argument("--memory-of", choices=("ours", "published"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.duration_s < 1:
        parser.error(f"--duration-s is {chosen.duration_s:g}; windows of one second need 1 or more")
    if chosen.clips < 1:
        parser.error(f"--clips is {chosen.clips}; give 1 or more")
    if chosen.memory_of:
        return _print_memory(chosen.memory_of, chosen.duration_s)
    duration_s, clips, repeats = (
        (1.0, 4, 3) if chosen.quick else (chosen.duration_s, chosen.clips, chosen.repeats)
    )
    figures = {
        "memory": memory_of("ours", duration_s),
        "published_memory": memory_of("published", duration_s),
        "files": file_figures(clips, duration_s),
        "clip": clip_figures(duration_s, repeats),
    }
    text = report(figures)
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "spatial_metrics.md").write_text(text, encoding="utf-8")
        (chosen.out / "spatial_metrics.json").write_text(
            json.dumps(figures, indent=2) + "\n", encoding="utf-8"
        )
    print(text)


if __name__ == "__main__":
    main()
