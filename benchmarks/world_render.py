"""How many five-second training clips per second the synthetic world renders, with one and two workers.

A training clip is a 64 × 64 view at 20 frames/s, the 16 kHz sound field as heard from the camera and the truth.

    python benchmarks/world_render.py --clips 200 --json world_render.json
"""

import os

# One thread per worker, or the libraries below would fight for the cores; read when numpy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from spatialfoley.world import make_scene, render_foa_camera, render_source_signals, render_view, truth_at

STAGES = ("scene", "view", "signals", "field", "truth")


def render_clip(seed: int, size_px: int = 64, duration_s: float = 5.0) -> list[float]:
    """Render one training clip; return the seconds that each stage took and the processor seconds of all."""
    times_s = np.arange(round(duration_s * 20)) / 20
    cpu_start = time.process_time()
    marks = [time.perf_counter()]
    scene = make_scene(seed, duration_s=duration_s)
    marks.append(time.perf_counter())
    render_view(scene, times_s, size_px)
    marks.append(time.perf_counter())
    signals = render_source_signals(scene)
    marks.append(time.perf_counter())
    render_foa_camera(scene, signals=signals)
    marks.append(time.perf_counter())
    truth_at(scene, times_s, signals)
    marks.append(time.perf_counter())
    return [*np.diff(marks).tolist(), time.process_time() - cpu_start]


def measure(workers: int, clips: int) -> dict:
    """Render clips in some worker processes and return what was measured."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(render_clip, range(4 * workers)))
        start = time.perf_counter()
        stages = np.array(list(pool.map(render_clip, range(1000, 1000 + clips), chunksize=4)))
        wall_s = time.perf_counter() - start
    per_stage = {
        name: round(1e3 * seconds, 2)
        for name, seconds in zip(STAGES, stages[:, :-1].mean(axis=0), strict=True)
    }
    return {
        "workers": workers,
        "clips": clips,
        "clips_per_s": round(clips / wall_s, 2),
        "ms_per_clip": round(1e3 * float(stages[:, :-1].sum(axis=1).mean()), 2),
        "cpu_ms_per_clip": round(1e3 * float(stages[:, -1].mean()), 2),
        "stage_ms": per_stage,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=200, help="clips per row of the table")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    rows = [measure(workers, arguments.clips) for workers in (1, 2)]
    print(
        f"{'workers':>7} {'clips/s':>8} {'ms/clip':>8} {'cpu ms':>8}   "
        + " ".join(f"{name:>8}" for name in STAGES)
    )
    for row in rows:
        stages = " ".join(f"{row['stage_ms'][name]:8.1f}" for name in STAGES)
        speed = f"{row['clips_per_s']:8.1f} {row['ms_per_clip']:8.1f} {row['cpu_ms_per_clip']:8.1f}"
        print(f"{row['workers']:>7} {speed}   {stages}")
    if arguments.json:
        report = {"machine": platform.processor() or platform.machine(), "cpus": os.cpu_count(), "rows": rows}
        report |= {f"clips_per_s_{row['workers']}_workers": row["clips_per_s"] for row in rows}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
