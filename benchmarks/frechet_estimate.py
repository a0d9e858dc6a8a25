"""What the Fréchet distance of few clips is worth: bias, estimate without it, interval, and what it costs.

    python benchmarks/frechet_estimate.py --out frechet_estimate

Pairs of sets are drawn from Gaussians whose distance is known, many times. A row tells the known distance, the mean
distance of the finite sets, the mean unbiased estimate and its standard deviation, the estimate by a line through
subsets down to a quarter, 1.96 standard deviations of the distance, the mean half width of the intervals that each
pair of sets alone gives (by leaving groups of clips out, and by a bootstrap over clips), and how often the first
held what it is of: the expected distance of such sets, and, laid around the unbiased estimate, the known distance.

The second table takes the time of the sizes of CNN14's embeddings, in processor seconds of one thread.
"""

import os

# One thread, or the libraries below would fight for the cores; read when numpy is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.frechet import frechet_distance, frechet_estimate
from spatialfoley.evaluation.metrics.gaussians import gaussian_of_rows, squared_distance

Array = NDArray[np.floating]

CNN14_DIMENSIONS = 2048
TEST_SET_CLIPS = 11166
BOOTSTRAP_SETS, BOOTSTRAP_DRAWS = 4, 40
SHARED = 0.5
"""How much of every estimate is its reference: pairs of clips are alike."""


@dataclass(frozen=True)
class Case:
    """Which sets are drawn.

    Attributes:
        clips: In each set.
        dimensions: Of the embeddings.
        decay: Standard deviations fall with the number of the dimension to the power of -decay; 0 is isotropic.
        frames: Per clip; frames of one clip share 0.7 of their variance.
    """

    clips: int
    dimensions: int
    decay: float
    frames: int = 1


CASES = (
    Case(600, 32, 0.0),
    Case(600, 32, 1.0),
    Case(128, 64, 0.0),
    Case(77, 64, 0.0),
    Case(60, 64, 0.0),
    Case(100, 128, 1.0),
    Case(200, 128, 0.0),
    Case(120, 32, 0.5, frames=5),
)
SIZES = ((1500, False), (4096, False), (TEST_SET_CLIPS, True))
"""Clips, and whether the interval is timed too."""


def simulate(case: Case, repeats: int, seed: int = 0) -> dict[str, float]:
    """Figures of many pairs of sets of one case."""
    rng = np.random.default_rng(seed)
    scales = np.arange(1, case.dimensions + 1.0) ** -case.decay
    turns = [np.linalg.qr(rng.normal(size=(case.dimensions, case.dimensions)))[0] for _ in range(2)]
    first, second = (turn * scales * gain for turn, gain in zip(turns, (1.0, 1.3), strict=True))
    gap = 0.1 * rng.normal(size=case.dimensions) * scales
    known = _known_distance(first, second, gap)
    found = []
    spreads, far_lines = [], []
    for repeat in range(repeats):
        x = _draw(case, rng) @ first.T
        y = SHARED * x + np.sqrt(1 - SHARED**2) * _draw(case, rng) @ second.T + gap
        estimate = frechet_estimate(x[:, None], y[:, None])
        half = estimate.interval.high - estimate.value
        found.append((estimate.value, estimate.unbiased, half))
        if repeat < BOOTSTRAP_SETS:
            spreads.append(_bootstrap_spread(x, y, rng))
            far_lines.append(_far_line(x, y, rng))
    value, unbiased, half = np.array(found).T
    return {
        "known": known,
        "value": float(value.mean()),
        "unbiased": float(unbiased.mean()),
        "far_line": float(np.mean(far_lines)),
        "value_spread": float(value.std(ddof=1)),
        "unbiased_spread": float(unbiased.std(ddof=1)),
        "half_width": float(half.mean()),
        "bootstrap_half_width": float(1.96 * np.mean(spreads)),
        "value_held": float(np.mean(np.abs(value - value.mean()) <= half)),
        "known_held": float(np.mean(np.abs(unbiased - known) <= half)),
    }


def _draw(case: Case, rng: np.random.Generator) -> Array:
    shape = (case.clips, case.frames, case.dimensions)
    if case.frames == 1:
        return rng.normal(size=shape)
    common = rng.normal(size=(case.clips, 1, case.dimensions))
    return np.sqrt(0.7) * common + np.sqrt(0.3) * rng.normal(size=shape)


def _known_distance(first: Array, second: Array, gap: Array) -> float:
    one = first @ first.T
    other = SHARED**2 * one + (1 - SHARED**2) * second @ second.T
    roots = np.sqrt(np.clip(np.linalg.eigvals(one @ other).real, 0, None))
    return float(gap @ gap + np.trace(one) + np.trace(other) - 2 * roots.sum())


def _bootstrap_spread(x: Array, y: Array, rng: np.random.Generator) -> float:
    picks = rng.integers(0, len(x), size=(BOOTSTRAP_DRAWS, len(x)))
    drawn = [frechet_distance(x[pick][:, None], y[pick][:, None]) for pick in picks]
    return float(np.std(drawn, ddof=1))


def _far_line(x: Array, y: Array, rng: np.random.Generator) -> float:
    """The line through the distances of all clips, halves, thirds and quarters over 1 / clips, at 0."""
    order = rng.permutation(len(x))
    inverse, distances = [], []
    for count in range(1, 5):
        parts = np.array_split(order, count)
        inverse.append(np.mean([1 / len(part) for part in parts]))
        distances.append(np.mean([frechet_distance(x[part][:, None], y[part][:, None]) for part in parts]))
    return float(np.polyfit(inverse, distances, 1)[1])


def take_times(clips: int, dimensions: int, with_interval: bool) -> dict[str, float]:
    """Processor seconds of the distance, of the roots in it, and of the estimate with interval."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(clips, dimensions)).astype(np.float32)
    y = (SHARED * x + rng.normal(size=(clips, dimensions))).astype(np.float32)
    figures = {"clips": float(clips), "dimensions": float(dimensions)}
    start = time.process_time()
    first, second = gaussian_of_rows(x), gaussian_of_rows(y)
    fitted = time.process_time()
    squared_distance(first, second)
    figures["roots_cpu_s"] = time.process_time() - fitted
    figures["distance_cpu_s"] = time.process_time() - start
    if with_interval:
        start = time.process_time()
        frechet_estimate(x, y)
        figures["estimate_cpu_s"] = time.process_time() - start
    return figures


def report(simulated: Sequence[tuple[Case, dict[str, float]]], times: Sequence[dict[str, float]]) -> str:
    """Both tables as Markdown."""
    header = (
        "clips × dimensions",
        "known",
        "finite sets",
        "unbiased",
        "line to quarters",
        "spread of sets",
        "half interval",
        "by bootstrap",
        "held expected value",
        "held known distance",
    )
    rows = [header, ("---",) * len(header)]
    for case, row in simulated:
        spectrum = "isotropic" if case.decay == 0 else f"falling ^-{case.decay:g}"
        frames = f", {case.frames} frames" if case.frames > 1 else ""
        rows.append(
            (
                f"{case.clips} × {case.dimensions}, {spectrum}{frames}",
                f"{row['known']:.2f}",
                f"{row['value']:.2f}",
                f"{row['unbiased']:.2f} ± {row['unbiased_spread']:.2f}",
                f"{row['far_line']:.2f}",
                f"{1.96 * row['value_spread']:.2f}",
                f"{row['half_width']:.2f}",
                f"{row['bootstrap_half_width']:.2f}",
                f"{row['value_held']:.0%}",
                f"{row['known_held']:.0%}",
            )
        )
    costs = [("clips × dimensions", "distance", "of which roots", "estimate with interval"), ("---",) * 4]
    for row in times:
        estimate = f"{row['estimate_cpu_s']:.1f} s" if "estimate_cpu_s" in row else ""
        costs.append(
            (
                f"{row['clips']:.0f} × {row['dimensions']:.0f}",
                f"{row['distance_cpu_s']:.2f} s",
                f"{row['roots_cpu_s']:.2f} s",
                estimate,
            )
        )
    tables = ("\n".join(f"| {' | '.join(row)} |" for row in table) for table in (rows, costs))
    return "\n\n".join(tables) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60, help="pairs of sets of every case")
    parser.add_argument("--quick", action="store_true", help="two cases, three sets, small sizes")
    parser.add_argument("--out", type=Path, help="folder for frechet_estimate.md and .json")
    chosen = parser.parse_args(arguments)
    if chosen.repeats < 2:
        parser.error(f"--repeats is {chosen.repeats}; a spread needs 2 or more")
    cases, repeats = (CASES[-2:], 3) if chosen.quick else (CASES, chosen.repeats)
    simulated = [(case, simulate(case, repeats)) for case in cases]
    sizes = ((300, True),) if chosen.quick else SIZES
    times = [
        take_times(clips, 128 if chosen.quick else CNN14_DIMENSIONS, interval) for clips, interval in sizes
    ]
    text = report(simulated, times)
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        figures = {"simulated": [{**asdict(case), **row} for case, row in simulated], "times": times}
        (chosen.out / "frechet_estimate.json").write_text(
            json.dumps(figures, indent=2) + "\n", encoding="utf-8"
        )
        (chosen.out / "frechet_estimate.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
