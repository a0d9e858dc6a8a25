"""Time, disk, network and cost of a large set on a cluster, from the figures that `dataset_build.py` measured.

    python benchmarks/dataset_plan.py dataset_build.json
    python benchmarks/dataset_plan.py dataset_build.json --assume machines=8 download_mbit_per_s=100

What is not measured is an assumption with a name; every line says how it follows from the lines above it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley.dataset.store.estimate import readable, size_row
from spatialfoley.dataset.store.settings import FeatureSettings

_PICTURE_FRAMES = 64
"""Of a clip of 8 s, for CLIP and for PE-Spatial: 8 per second."""
FEATURES = (
    ("PE-Spatial, 16 bit, as the paper keeps it", "pe-spatial", FeatureSettings()),
    ("PE-Spatial, 32 bit", "pe-spatial", FeatureSettings(half=False)),
    ("PE-Spatial, 16 bit, 4 × 4 patches (pool 8)", "pe-spatial", FeatureSettings(pool=8)),
    ("PE-Spatial, 16 bit, one vector a picture (pool 32)", "pe-spatial", FeatureSettings(pool=32)),
    ("CLIP H/14", "clip-h14", FeatureSettings()),
    ("Synchformer", "synchformer", FeatureSettings()),
    ("words of CLIP H/14", "clip-h14-text", FeatureSettings()),
    ("latents at 44.1 kHz, two ears", "mel-vae-44k", FeatureSettings()),
)


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted; none of it was measured here."""

    recordings: float = 103_000
    recording_s: float = 10.0
    clips_per_recording: float = 97.0 / 103.0
    """BiAudio has 97 K clips of Sphere360's 103 K recordings."""
    machines: float = 64
    cores_per_machine: float = 16
    """As fast as the one that was measured."""
    share_of_cores: float = 0.7
    """That work on stages: packing, waiting for files, last recordings and retries take the rest."""
    video_mbit_per_s: float = 8.0
    """Of a downloaded recording, H.264 of 1920 x 960 to 2880 x 1440."""
    sound_mbit_per_s: float = 0.5
    """Four channels of AAC or Opus."""
    fetched_per_used: float = 6.0
    """Seconds fetched for each that is used: videos come whole, a minute on the average for every ten seconds."""
    download_mbit_per_s: float = 40.0
    """Of each machine, pauses between requests and refusals included."""
    passes_over_files: float = 5.0
    """Of all that is fetched: written, read for its hash, by two screens, and by the stage that cuts."""
    work_kept_s: float = 1800.0
    """From the beginning of a recording to the end of its shard."""
    usd_per_core_hour: float = 0.04
    usd_per_gpu_hour: float = 2.5
    gpu_tflop_per_s: float = 150.0
    """Reached by a picture network in 16 bit, of an accelerator's peak of 400 to 1000."""
    clip_tflop_per_picture: float = 1.0
    """CLIP H/14 at 384 pixels."""
    pe_tflop_per_picture: float = 0.72
    """PE-Spatial L/14 at 448 pixels."""
    cpu_s_per_clip_of_features: float = 378.0
    """CLIP H/14 and Synchformer of 8 s on one core, measured: docs/results.md."""
    usd_per_tb_month: float = 23.0
    months_kept: float = 12.0


@dataclass
class Plan:
    """Lines of a table, each with how it follows from others."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, value: str, how: str) -> None:
        """One line."""
        self.lines.append((what, value, how))

    def table(self, heading: str) -> str:
        """Markdown."""
        rows = [f"| {what} | {value} | {how} |" for what, value, how in self.lines]
        return "\n".join([f"| {heading} | | how |", "|---|---|---|", *rows])


def time_plan(found: dict[str, Any], given: Assumptions) -> tuple[Plan, float]:
    """Hours on all machines, and what bounds them."""
    plan = Plan()
    per_recording_s = (
        sum(stage["cpu_s"] for stage in found["stages"]) * given.recording_s / found["duration_s"]
    )
    cores = given.machines * given.cores_per_machine
    cpu_h = given.recordings * per_recording_s / 3600
    stages_h = cpu_h / (cores * given.share_of_cores)
    plan.add(
        "stages",
        f"{cpu_h:,.0f} core hours",
        f"{given.recordings:,.0f} × {per_recording_s:.2f} CPU s, measured",
    )
    plan.add(
        "stages, all machines",
        f"{stages_h:.2f} h",
        f"on {cores:.0f} cores, {100 * given.share_of_cores:.0f} % of each",
    )
    engine = next((one for one in found["engine"] if one["executor"] == "ray"), found["engine"][0])
    tasks = given.recordings * len(found["stages"])
    coordinator_h = tasks * engine["cpu_s_per_task"] / 3600
    plan.add(
        "coordinator",
        f"{coordinator_h:.2f} h",
        f"{tasks:,.0f} stages of recordings × {1e3 * engine['cpu_s_per_task']:.2f} CPU ms, measured with "
        f"{engine['executor']}",
    )
    one_s = per_recording_s / len(found["stages"]) / given.share_of_cores
    plan.add(
        "cores that the coordinator keeps at work",
        f"{one_s / engine['cpu_s_per_task']:,.0f}",
        f"a stage of a recording takes {one_s:.2f} s",
    )
    fetched = fetched_bytes(given)
    download_h = 8 * fetched / (given.machines * given.download_mbit_per_s * 1e6) / 3600
    plan.add(
        "download",
        f"{download_h:.1f} h",
        f"{readable(fetched)} by {given.machines:.0f} × {given.download_mbit_per_s:g} Mbit/s",
    )
    hours = {"the stages": stages_h, "the coordinator": coordinator_h, "the download": download_h}
    bound = max(hours, key=lambda name: hours[name])
    plan.add("together", f"{hours[bound]:.1f} h", f"they run beside each other; {bound} is the longest")
    return plan, hours[bound]


def fetched_bytes(given: Assumptions) -> float:
    """What comes over the network."""
    bits_per_s = (given.video_mbit_per_s + given.sound_mbit_per_s) * 1e6
    return given.recordings * given.recording_s * given.fetched_per_used * bits_per_s / 8


def disk_plan(found: dict[str, Any], given: Assumptions, hours: float) -> tuple[Plan, float]:
    """Bytes, and those that stay: shards and the features that are kept."""
    plan = Plan()
    clips = given.recordings * given.clips_per_recording
    plan.add("clips", f"{clips:,.0f}", f"{given.recordings:,.0f} × {given.clips_per_recording:.3f}")
    fetched = fetched_bytes(given)
    bits = given.video_mbit_per_s + given.sound_mbit_per_s
    plan.add(
        "network",
        readable(fetched),
        f"{given.recordings:,.0f} × {given.recording_s:g} s × {given.fetched_per_used:g} × {bits:g} Mbit/s",
    )
    moved = fetched * given.passes_over_files
    plan.add(
        "shared file system",
        f"{readable(moved / 3600 / hours)}/s",
        f"{readable(moved)} in {hours:.1f} h, {given.passes_over_files:g} passes over what is fetched",
    )
    built = found["builds"][0]
    per_clip = built["bytes_out"] / built["clips"]
    shards = clips * per_clip
    plan.add("shards", readable(shards), f"× {readable(per_clip)} per clip, measured on made recordings")
    work = (fetched + shards) * min(1.0, given.work_kept_s / 3600 / hours)
    plan.add(
        "work at a time",
        readable(work),
        f"fetched and finished within {given.work_kept_s / 60:g} minutes; max_work_gb bounds it",
    )
    kept = shards
    for name, encoder, settings in FEATURES:
        row = size_row(encoder, settings, {found["clip_s"]: round(clips)})
        plan.add(name, readable(row.total), f"× {readable(row.per_clip)} per clip: {row.arrays}")
        if settings == FeatureSettings():
            kept += row.total
    return plan, kept


def cost_plan(found: dict[str, Any], given: Assumptions, hours: float, kept: float) -> Plan:
    """Dollars."""
    plan = Plan()
    clips = given.recordings * given.clips_per_recording
    cores = given.machines * given.cores_per_machine
    cluster = cores * hours * given.usd_per_core_hour
    plan.add("cluster", f"{cluster:,.0f} USD", f"{cores:.0f} cores × {hours:.1f} h")
    per_clip = _PICTURE_FRAMES * (given.clip_tflop_per_picture + given.pe_tflop_per_picture)
    gpu_h = clips * per_clip / given.gpu_tflop_per_s / 3600
    plan.add(
        "features of pictures on accelerators",
        f"{gpu_h * given.usd_per_gpu_hour:,.0f} USD",
        f"{gpu_h:,.0f} h: {_PICTURE_FRAMES} pictures × "
        f"{given.clip_tflop_per_picture + given.pe_tflop_per_picture:g} TFLOP at {given.gpu_tflop_per_s:g} TFLOP/s",
    )
    cpu_h = clips * given.cpu_s_per_clip_of_features / 3600
    plan.add(
        "the same without PE-Spatial on cores",
        f"{cpu_h * given.usd_per_core_hour:,.0f} USD",
        f"{cpu_h:,.0f} core hours at {given.cpu_s_per_clip_of_features:g} CPU s per clip: "
        f"{cpu_h / cores / given.share_of_cores:.0f} h on all machines",
    )
    store = kept / 1e12 * given.usd_per_tb_month * given.months_kept
    plan.add(
        "shards and 16 bit features",
        f"{store:,.0f} USD",
        f"{readable(kept)} for {given.months_kept:g} months",
    )
    return plan


def assumption_table(given: Assumptions) -> str:
    """What was taken for granted."""
    rows = [f"| `{name}` | {value:g} |" for name, value in dataclasses.asdict(given).items()]
    return "\n".join(["| assumption | |", "|---|---|", *rows])


def assumed(texts: Sequence[str]) -> Assumptions:
    """Assumptions with some replaced, each given as NAME=VALUE.

    Raises:
        ValueError: No assumption has the name, or the value is no number above 0.
    """
    known = {entry.name for entry in dataclasses.fields(Assumptions)}
    values: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is no assumption; they are {', '.join(sorted(known))}")
        try:
            values[name] = float(value)
        except ValueError:
            raise ValueError(f"{name} is {value!r}; give a number such as {name}=2") from None
        if values[name] <= 0:
            raise ValueError(f"{name} is {value}; it must be above 0")
    return Assumptions(**values)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, help="what dataset_build.py --json wrote")
    parser.add_argument("--assume", nargs="+", default=(), metavar="NAME=VALUE", help="instead of the usual")
    given = parser.parse_args(arguments)
    found = json.loads(given.figures.read_text(encoding="utf-8"))
    try:
        assumptions = assumed(given.assume)
    except ValueError as problem:
        parser.error(str(problem))
    times, hours = time_plan(found, assumptions)
    disk, kept = disk_plan(found, assumptions, hours)
    costs = cost_plan(found, assumptions, hours, kept)
    parts = (assumption_table(assumptions), times.table("time"), disk.table("disk"), costs.table("cost"))
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
