"""Time the dataset factory: views, sound and stages on one core, and whole builds with one and two workers.

Recordings are made (`dataset_material.py`): 10 s of 1920 x 960 at 30 frames/s with a field at 48 kHz, the length of
Sphere360's. Times are processor seconds (other processes on the machine do not count) with seconds of the clock
beside them. pyequilib and py360convert are measured where they can be imported:

    pip install --no-deps --target RIVALS pyequilib py360convert scipy
    python benchmarks/dataset_build.py --rivals RIVALS --json dataset_build.json
    python benchmarks/dataset_plan.py dataset_build.json
"""

from __future__ import annotations

import os

# One thread per process, as in the factory's workers; read when the libraries below are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.dataset_material import FRAME_RATE_HZ, Material, make_recording, panorama  # noqa: E402
from benchmarks.dataset_projections import measure as measure_projections  # noqa: E402
from benchmarks.dataset_tables import Part, StageTime, Whole, report  # noqa: E402

from spatialfoley.dataset.biaudio.localisation import loudest_direction  # noqa: E402
from spatialfoley.dataset.factory.config import BuildConfig, RaySettings  # noqa: E402
from spatialfoley.dataset.factory.pool import WorkerPool  # noqa: E402
from spatialfoley.dataset.factory.ray_pool import RayPool  # noqa: E402
from spatialfoley.dataset.factory.records import Record  # noqa: E402
from spatialfoley.dataset.factory.runner import build  # noqa: E402
from spatialfoley.dataset.factory.stage import Passed, Workspace  # noqa: E402
from spatialfoley.features.tiny import TinyFeatures  # noqa: E402
from spatialfoley.kernels.panorama_view import unavailable_reason  # noqa: E402
from spatialfoley.media.mux import write_frames  # noqa: E402
from spatialfoley.media.sound_file import SoundFile  # noqa: E402
from spatialfoley.media.video import read_video  # noqa: E402
from spatialfoley.settings import from_mapping  # noqa: E402
from spatialfoley.spatial.binaural import render_binaural  # noqa: E402
from spatialfoley.spatial.foa import listen_from  # noqa: E402
from spatialfoley.spatial.signal import SpatialAudio  # noqa: E402
from spatialfoley.spatial.trajectory import CameraTrajectory  # noqa: E402

CLIP_S = 8.0
RECIPE = ROOT / "recipes" / "dataset_biaudio.yaml"
PANORAMA_PX_PER_VIEW_PX = 2
"""The factory shrinks finer panoramas while it decodes them."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    height_px: int = 960
    large_height_px: int = 1920
    view_px: int = 512
    duration_s: float = 10.0
    recordings: int = 4
    frames: int = 20
    rounds: int = 5
    builds: tuple[int, ...] = (1, 2)
    engine_recordings: int = 500
    executors: tuple[str, ...] = ("processes", "ray") if find_spec("ray") else ("processes",)


QUICK = Size(64, 96, 32, 8.2, 1, 2, 1, (1,), 2, ("processes",))


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Processor seconds and seconds of a call, the median of some rounds."""
    spent = []
    for _ in range(rounds):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        work()
        spent.append((time.process_time() - cpu_s, time.perf_counter() - wall_s))
    cpu, wall = (statistics.median(column) for column in zip(*spent, strict=True))
    return cpu, wall


def measure_parts(material: Material, large: Material, folder: Path, size: Size) -> list[Part]:
    """What clips are made of, one by one."""
    sound = SoundFile.open(material.sound, "foa")
    foa = SpatialAudio(sound.read(0, round(CLIP_S * sound.rate_hz)), sound.rate_hz, "foa")
    camera = CameraTrajectory(
        np.array([0.0, CLIP_S]), np.array([0.0, 70.0]), np.array([0.0, 9.0]), np.zeros(2)
    )
    picture = panorama(size.view_px, 5)[:, : size.view_px]
    views = [np.roll(picture, 2 * number, axis=1) for number in range(round(CLIP_S * FRAME_RATE_HZ))]
    features = TinyFeatures.load(ROOT / "src" / "spatialfoley" / "embedded" / "tiny-visage")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (100, features.size_px, features.size_px, 3), dtype=np.uint8)

    def shrunk(film: Material) -> tuple[int, int]:
        height = min(film.height_px, PANORAMA_PX_PER_VIEW_PX * size.view_px)
        return height, 2 * height

    def decode(film: Material, clip_s: float) -> Callable[[], None]:
        def run() -> None:
            for _ in read_video(film.path, 0.0, clip_s).iterate_frames(shrunk(film)):
                pass

        return run

    large_s = min(CLIP_S, large.duration_s)
    works: list[tuple[str, float, Callable[[], Any]]] = [
        (f"decode {2 * size.height_px} × {size.height_px}", CLIP_S, decode(material, CLIP_S)),
        (f"decode {2 * large.height_px} × {large.height_px}", large_s, decode(large, large_s)),
        (
            f"encode {size.view_px} × {size.view_px}, H.264",
            CLIP_S,
            lambda: write_frames(folder / "view.mp4", iter(views), FRAME_RATE_HZ, threads=1),
        ),
        ("loudest direction of a field", CLIP_S, lambda: loudest_direction(foa.samples)),
        ("rotation of a field, camera turning", CLIP_S, lambda: listen_from(foa, camera)),
        ("binaural of a field", CLIP_S, lambda: render_binaural(foa)),
        ("features of the tiny encoder, 20 frames/s", 5.0, lambda: features(frames)),
    ]
    for _, _, work in works:
        work()
    return [Part(name, clip_s, *timed(work, min(3, size.rounds))) for name, clip_s, work in works]


def recipe(recordings: Path, output: Path, workers: int, size: Size) -> BuildConfig:
    """The shipped recipe for sets like BiAudio, on made recordings."""
    document = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    for stage in document["stages"]:
        if stage["stage"] == "biaudio_clips":
            stage["size_px"] = size.view_px
    source = {**document["source"], "path": str(recordings)}
    changed = {"output": str(output), "source": source, "workers": workers, "shards": {"recordings": 2}}
    return from_mapping(BuildConfig, {**document, **changed}, str(RECIPE))


def measure_stages(config: BuildConfig) -> tuple[list[StageTime], int]:
    """Each stage of a build alone, in this process; and how many clips come of all recordings."""
    root = Path(config.output)
    root.mkdir(parents=True)
    records: list[Record] = list(config.load_source().records())
    count = len(records)
    times = []
    for number, spec in enumerate(config.specs()):
        stage, space = spec.load(), Workspace(root, f"{number:02d}-{spec.name}")
        made: list[Record] = []
        rejected = 0
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for record in records:
            outcome = stage.run(record, space)
            if isinstance(outcome, Passed):
                made += outcome.records
            else:
                rejected += 1
                made.append(record)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        times.append(StageTime(spec.name, cpu_s / count, wall_s / count, rejected))
        records = made
    return times, len(records)


def measure_build(config: BuildConfig) -> Whole:
    """A whole build, shards and all."""
    before, wall_s = _cpu_of_all_s(), time.perf_counter()
    report = build(config)
    wall_s = time.perf_counter() - wall_s
    size = sum(path.stat().st_size for path in Path(config.output, "shards").glob("*.tar"))
    return Whole(config.workers, sum(report.clips.values()), _cpu_of_all_s() - before, wall_s, size)


def measure_engine(folder: Path, recordings: int, executor: str) -> dict[str, Any]:
    """What the coordinator itself takes for every record and stage, by stages that do nothing."""
    nothing = "benchmarks.dataset_nothing"
    names = [f"nothing {number}" for number in range(10)]
    document = {
        "output": str(folder),
        "source": {"kind": nothing, "recordings": recordings},
        "stages": [{"stage": nothing, "name": name} for name in names],
        "workers": 2,
    }
    config = from_mapping(BuildConfig, document, "engine")
    folder.mkdir(parents=True)
    # Starting Ray is done once for a build of days.
    hands = RayPool(2, folder, RaySettings()) if executor == "ray" else WorkerPool(2)
    while not hands.free():
        pass
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    build(config, executor=hands)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    tasks = recordings * len(names)
    return {
        "executor": executor,
        "tasks": tasks,
        "cpu_s_per_task": cpu_s / tasks,
        "wall_s_per_task": wall_s / tasks,
    }


def _cpu_of_all_s() -> float:
    """Processor seconds of this process and of those that it has ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(size: Size, folder: Path, parts: Sequence[str]) -> dict[str, Any]:
    """All that was asked for, as plain values."""
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start",
        "native_views": unavailable_reason() or "C",
        "clip_s": CLIP_S,
        "frame_rate_hz": FRAME_RATE_HZ,
        **{name: value for name, value in asdict(size).items() if name != "builds"},
    }
    if "projection" in parts:
        rates = measure_projections(panorama(size.height_px, 0), size.view_px, size.frames, size.rounds)
        found["projections"] = [asdict(rate) for rate in rates]
    recordings = folder / "recordings"
    if set(parts) & {"parts", "stages", "builds"}:
        made = [
            make_recording(recordings, seed, size.duration_s, size.height_px)
            for seed in range(size.recordings)
        ]
        found["recording_bits_per_s"] = statistics.mean(material.bits_per_s for material in made)
    if "parts" in parts:
        large = make_recording(folder / "large", 0, 2.0, size.large_height_px)
        found["parts"] = [asdict(part) for part in measure_parts(made[0], large, folder, size)]
    if "stages" in parts:
        times, clips = measure_stages(recipe(recordings, folder / "stages", 1, size))
        found["stages"] = [asdict(stage) for stage in times]
        found["clips_per_recording"] = clips / size.recordings
    if "builds" in parts:
        found["builds"] = [
            asdict(measure_build(recipe(recordings, folder / f"build-{workers}", workers, size)))
            for workers in size.builds
        ]
    if "engine" in parts:
        found["engine"] = [
            measure_engine(folder / f"engine-{executor}", size.engine_recordings, executor)
            for executor in size.executors
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    known = ("projection", "parts", "stages", "builds", "engine")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--recordings", type=int, help="how many are made for stages and builds")
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="what to measure")
    parser.add_argument(
        "--rivals", type=Path, help="folder that pyequilib and py360convert were installed into"
    )
    parser.add_argument(
        "--work", type=Path, help="folder for recordings and builds; a temporary one otherwise"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args(arguments)
    if given.rivals is not None:
        sys.path.append(str(given.rivals.resolve()))
    size = QUICK if given.quick else Size()
    if given.recordings is not None:
        size = replace(size, recordings=given.recordings)
    with TemporaryDirectory(dir=given.work) as folder:
        found = measure(size, Path(folder), given.only)
    print(report(found))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    main()
