"""A long video with a camera that turns: memory, throughput, time to the first sound, seams and direction.

A take of the synthetic world is written (picture, camera file, truth), `generate` makes its files in a process of
its own, and the result is measured against the truth and against itself.

    python benchmarks/long_video.py --minutes 10 --model tiny-visage --json long_video.json
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MARKS_MIN = (1, 2, 5, 10)
WINDOW_S = 0.2
AUDIBLE_BELOW_LOUDEST_DB = 40.0
LATERAL_LIMIT_DEG = 15.0


def peak_rss_mib() -> float:
    """Largest memory this process has held so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


class Observer:
    """Watches the package from outside: what is measured does not know of it."""

    def __init__(self) -> None:
        from spatialfoley.media.video import Video
        from spatialfoley.media.wav import WavWriter
        from spatialfoley.pipeline.windows import Seams

        self.start, self.cpu_start = time.perf_counter(), time.process_time()
        self.windows: list[dict[str, float]] = []
        self.plan: Any = None
        self.first_sound_s: float | None = None
        self.last_frame_s: float | None = None
        _after(Video, "frames_at", self._saw_frames)
        _after(WavWriter, "write", self._wrote)
        _after(Seams, "__init__", self._planned)
        _after(Seams, "join", self._joined)

    def elapsed_s(self) -> float:
        """Wall time since the start."""
        return time.perf_counter() - self.start

    def _saw_frames(self, *_: Any) -> None:
        self.last_frame_s = self.elapsed_s()

    def _wrote(self, *_: Any) -> None:
        if self.first_sound_s is None:
            self.first_sound_s = self.elapsed_s()

    def _planned(self, _: Any, plan: Any, *__: Any) -> None:
        self.plan = plan

    def _joined(self, _: Any, window: Any, *__: Any) -> None:
        seen = {"wall_s": self.elapsed_s(), "cpu_s": time.process_time() - self.cpu_start}
        made_s = (window.start + window.length) / self.plan.rate_hz
        self.windows.append({**seen, "made_s": made_s, "peak_rss_mib": peak_rss_mib()})


def _after(owner: type, name: str, told: Callable[..., None]) -> None:
    """Let a function know whenever a method of a class has returned, with the method's arguments."""
    method = getattr(owner, name)

    def observed(*arguments: Any, **options: Any) -> Any:
        result = method(*arguments, **options)
        told(*arguments)
        return result

    setattr(owner, name, observed)


def generate(
    video: Path, camera: Path, out: Path, model: str, seed: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Make the files of a video as the command does; returns what was seen on the way."""
    from spatialfoley.pipeline.batch import Job
    from spatialfoley.pipeline.loading import load_pipeline
    from spatialfoley.pipeline.requests import Request, fulfil

    pipe = load_pipeline(model)
    in_the_world = getattr(pipe, "layout", "foa") == "foa"
    request = Request(seed=seed, camera_file=camera if in_the_world else None, **options)
    loaded_mib = peak_rss_mib()
    seen = Observer()
    files = fulfil(request, Job(video, video.stem), out, pipe)
    plan = seen.plan
    return {
        "wall_s": seen.elapsed_s(),
        "cpu_s": time.process_time() - seen.cpu_start,
        "sound_s": seen.windows[-1]["wall_s"],
        "loaded_mib": loaded_mib,
        "peak_rss_mib": peak_rss_mib(),
        "first_sound_s": seen.first_sound_s,
        "last_frame_s": seen.last_frame_s,
        "windows": seen.windows,
        "joins_s": [
            (plan.fade_start(i) + plan.fade_samples / 2) / plan.rate_hz for i in range(1, len(plan.starts))
        ],
        "files": {kind: str(path) for kind, path in files.items()},
    }


def throughput(windows: list[dict[str, float]], clock: str) -> list[float]:
    """Seconds of sound made per second in each quarter of the windows; the clock is "wall_s" or "cpu_s"."""
    edges = np.linspace(0, len(windows), 5).round().astype(int)
    rates = []
    for first, last in pairwise(edges):
        before = windows[first - 1] if first else {clock: 0.0, "made_s": 0.0}
        after = windows[max(last - 1, 0)]
        spent_s = after[clock] - before[clock]
        rates.append((after["made_s"] - before["made_s"]) / spent_s if spent_s > 0 else float("nan"))
    return rates


def memory_at(windows: list[dict[str, float]]) -> dict[str, float]:
    """Peak memory when so many minutes of sound were made."""
    found = {}
    for minutes in MARKS_MIN:
        reached = [w["peak_rss_mib"] for w in windows if w["made_s"] >= 60 * minutes - 0.1]
        if reached:
            found[f"{minutes} min"] = reached[0]
    return found


def seams(sound_path: Path, joins_s: list[float]) -> dict[str, dict[str, float | None]]:
    """Steps at the joins, and in the middle between them."""
    from spatialfoley.evaluation.metrics.seams import middles_s, steps_at
    from spatialfoley.media.sound_file import SoundFile

    sound = SoundFile.open(sound_path)
    places = {"joins": joins_s, "middles": middles_s(joins_s, sound.duration_s)}
    return {name: steps_at(sound, times_s).summary() for name, times_s in places.items()}


def _window_covariances(sound_path: Path) -> np.ndarray:
    from spatialfoley.media.sound_file import SoundFile
    from spatialfoley.spatial.energy_map import covariance

    sound = SoundFile.open(sound_path)
    count = round(WINDOW_S * sound.rate_hz)
    blocks = (block for block in sound.blocks(count) if block.shape[1] == count)
    if sound.layout == "foa":
        return np.stack([covariance(block) for block in blocks])
    return np.stack([block.astype(np.float64) @ block.T.astype(np.float64) / count for block in blocks])


def direction_over_time(files: dict[str, Path], truth_path: Path) -> list[dict[str, float]]:
    """For each quarter of the take: angle between truth and sound field, or how often the louder ear is right."""
    from spatialfoley.evaluation.metrics.direction import (
        WindowDirections,
        weighted_angle_deg,
        window_directions,
    )
    from spatialfoley.spatial.direction import angle_between_deg, angles_deg
    from spatialfoley.world.long_take import take_camera

    field = "foa" in files
    covariances = _window_covariances(files["foa" if field else "binaural"])
    with np.load(truth_path) as truth:
        at = np.minimum(
            np.round((np.arange(len(covariances)) + 0.5) * WINDOW_S / np.diff(truth["times_s"])[0]).astype(
                int
            ),
            len(truth["times_s"]) - 1,
        )
        vectors, moments = truth["vectors"][at], truth["times_s"][at]
    power = np.trace(covariances, axis1=1, axis2=2)
    audible = 10 * np.log10(np.maximum(power, 1e-12)) > 10 * np.log10(power.max()) - AUDIBLE_BELOW_LOUDEST_DB
    if field:
        found = window_directions(covariances)
        angles = angle_between_deg(vectors, found.peak)
    else:
        matrices = take_camera(moments).matrices_at(moments)
        azimuth_deg, _ = angles_deg(np.einsum("tji,tj->ti", matrices, vectors))
        louder_left = covariances[:, 0, 0] > covariances[:, 1, 1]
        right_ear = louder_left == (azimuth_deg > 0)
        audible &= np.abs(azimuth_deg) > LATERAL_LIMIT_DEG
    quarters = []
    for part in np.array_split(np.arange(len(covariances)), 4):
        heard = part[audible[part]]
        if field:
            estimate = WindowDirections(found.peak[part], found.energy[part])
            quarters.append(
                {
                    "median_deg": float(np.nanmedian(angles[heard])) if len(heard) else float("nan"),
                    "weighted_deg": weighted_angle_deg(vectors[part], estimate),
                    "audible": len(heard) / len(part),
                }
            )
        else:
            share = float(right_ear[heard].mean()) if len(heard) else float("nan")
            quarters.append({"louder_ear_right": share, "audible": len(heard) / len(part)})
    return quarters


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from spatialfoley.world.long_take import write_long_take

    minutes = arguments.minutes
    take = write_long_take(
        folder / f"take-{minutes:g}-{arguments.size_px}", 60 * minutes, arguments.size_px, arguments.seed
    )
    out = folder / f"{Path(arguments.model).name}-{minutes:g}"
    seen_path = folder / f"{out.name}.seen.json"
    task = {
        "video": str(take.video),
        "camera": str(take.camera),
        "out": str(out),
        "model": arguments.model,
        "seed": arguments.seed,
        "options": json.loads(arguments.options),
    }
    # A process of its own: its memory is that of the command and of nothing else.
    subprocess.run(
        [sys.executable, __file__, "--generate", json.dumps(task), "--json", str(seen_path)], check=True
    )
    seen = json.loads(seen_path.read_text(encoding="utf-8"))
    files = {kind: Path(path) for kind, path in seen["files"].items()}
    memory = {"loaded": seen["loaded_mib"], **memory_at(seen["windows"]), "all files": seen["peak_rss_mib"]}
    heard = next(files[kind] for kind in ("foa", "binaural", "mono") if kind in files)
    return {
        "model": arguments.model,
        "minutes": minutes,
        "size_px": arguments.size_px,
        **{name: seen[name] for name in ("wall_s", "cpu_s", "sound_s", "first_sound_s", "last_frame_s")},
        "throughput": {clock: throughput(seen["windows"], clock) for clock in ("wall_s", "cpu_s")},
        "peak_rss_mib": memory,
        "windows": len(seen["windows"]),
        "seams": seams(heard, seen["joins_s"]),
        "direction": direction_over_time(files, take.truth) if {"foa", "binaural"} & set(files) else [],
    }


def show(found: dict[str, Any]) -> None:
    print(f"{found['model']}, {found['minutes']:g} min in {found['windows']} windows")
    print(
        f"  time                 {found['wall_s']:.1f} s, {found['sound_s']:.1f} s of it for the sound; "
        f"{found['cpu_s']:.1f} s of processor"
    )
    for clock, name in (("wall_s", "wall"), ("cpu_s", "processor")):
        rates = ", ".join(f"{rate:.2f}" for rate in found["throughput"][clock])
        print(f"  sound per second     {rates} (quarters, {name} time)")
    memory = ", ".join(f"{name} {mib:.0f}" for name, mib in found["peak_rss_mib"].items())
    print(f"  peak memory MiB      {memory}")
    print(
        f"  first sound on disk  after {found['first_sound_s']:.1f} s; "
        f"last frame read after {found['last_frame_s']:.1f} s"
    )
    for place, steps in found["seams"].items():
        shown = {key: "-" if value is None else f"{value:.2f}" for key, value in steps.items()}
        print(
            f"  steps at {place:8}    "
            f"level {shown['level_step_db_median']} dB (p95 {shown['level_step_db_p95']}), "
            f"spectrum {shown['spectral_step_db_median']} dB (p95 {shown['spectral_step_db_p95']}), "
            f"{steps['in_sound']} of {steps['moments']} moments in sound"
        )
    for number, quarter in enumerate(found["direction"], 1):
        values = ", ".join(f"{key} {value:.2f}" for key, value in quarter.items())
        print(f"  direction, quarter {number}  {values}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--model", default="tiny-visage")
    parser.add_argument("--size-px", type=int, default=112, help="side of the picture")
    parser.add_argument("--seed", type=int, default=0, help="of the take and of the sound")
    parser.add_argument("--options", default="{}", help='more of the request, as JSON: {"outputs": ["foa"]}')
    parser.add_argument("--folder", type=Path, help="keep takes and results here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--generate", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.generate:
        task = json.loads(arguments.generate)
        paths = {name: Path(task.pop(name)) for name in ("video", "camera", "out")}
        found = generate(**paths, **task)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            found = measure(arguments, arguments.folder or Path(temporary))
        show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
