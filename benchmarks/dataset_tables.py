"""The figures of `dataset_build.py` as tables in Markdown.

python benchmarks/dataset_tables.py dataset_build.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

LEAST_TIMES_PYEQUILIB, LEAST_TIMES_REAL = 5.0, 1.0


@dataclass(frozen=True)
class Rate:
    """Times of a way to take views, per frame: the median over rounds.

    Attributes:
        name: What was measured.
        cpu_s: Processor seconds per frame; None: not installed.
        wall_s: Seconds of the clock per frame.
        off_levels: Mean difference of its views from ours, of 255; None: it gives no picture.
    """

    name: str
    cpu_s: float | None
    wall_s: float | None
    off_levels: float | None


@dataclass(frozen=True)
class Part:
    """Something done to a clip.

    Attributes:
        name: What it is.
        clip_s: Length of the clip.
        cpu_s: Processor seconds per clip.
        wall_s: Seconds of the clock per clip.
    """

    name: str
    clip_s: float
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class StageTime:
    """A stage of the recipe, in seconds per recording.

    Attributes:
        stage: Its name.
        cpu_s: Processor seconds.
        wall_s: Seconds of the clock.
        rejected: Records that it would leave out; they are taken on here.
    """

    stage: str
    cpu_s: float
    wall_s: float
    rejected: int


@dataclass(frozen=True)
class Whole:
    """A whole build.

    Attributes:
        workers: Processes.
        clips: In the shards.
        cpu_s: Processor seconds of all processes.
        wall_s: Seconds of the clock.
        bytes_out: Of the shards.
    """

    workers: int
    clips: int
    cpu_s: float
    wall_s: float
    bytes_out: int


def report(found: dict[str, Any]) -> str:
    """Tables in Markdown."""
    lines = [f"{found['machine']}; views by {found['native_views']}."]
    if "projections" in found:
        lines += _projection_table([Rate(**rate) for rate in found["projections"]], found)
    if "parts" in found:
        lines += ["", "| part | CPU s per clip | wall s | clips per CPU second | times real time |"]
        lines += ["|---|---|---|---|---|"]
        for part in (Part(**values) for values in found["parts"]):
            lines.append(
                f"| {part.name}, {part.clip_s:g} s | {part.cpu_s:.3f} | {part.wall_s:.3f} | {1 / part.cpu_s:.2f} "
                f"| {part.clip_s / part.cpu_s:.1f} |"
            )
    if "stages" in found:
        lines += _stage_table([StageTime(**stage) for stage in found["stages"]], found)
    if "builds" in found:
        lines += _build_table([Whole(**values) for values in found["builds"]])
    for engine in found.get("engine", ()):
        lines += [
            "",
            f"The coordinator of {engine['executor']} takes {1e3 * engine['cpu_s_per_task']:.2f} CPU ms for every "
            f"record and stage ({engine['tasks']} of them that do nothing, by two workers).",
        ]
    return "\n".join(lines)


def _projection_table(rates: list[Rate], found: dict[str, Any]) -> list[str]:
    per_clip = found["clip_s"] * found["frame_rate_hz"]
    rivals = [rate.cpu_s for rate in rates if rate.name.startswith("pyequilib") and rate.cpu_s is not None]
    best = min(rivals) if rivals else None
    sizes = f"{2 * found['height_px']} × {found['height_px']} → {found['view_px']} × {found['view_px']}"
    lines = [
        "",
        f"| {sizes}, camera turning | CPU ms per frame | wall ms | clips per CPU second | times pyequilib "
        "| mean difference from ours |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    for rate in rates:
        if rate.cpu_s is None or rate.wall_s is None:
            lines.append(f"| {rate.name} | not installed | | | | |")
            continue
        times = "not installed" if best is None else f"{best / rate.cpu_s:.1f}"
        off = "no picture" if rate.off_levels is None else f"{rate.off_levels:.2f} of 255"
        lines.append(
            f"| {rate.name} | {1e3 * rate.cpu_s:.2f} | {1e3 * rate.wall_s:.2f} | {1 / (rate.cpu_s * per_clip):.2f} "
            f"| {times} | {off} |"
        )
    if best is not None and rates[0].cpu_s is not None:
        times_faster = best / rates[0].cpu_s
        lines += ["", _verdict("times as fast as the faster pyequilib", times_faster, LEAST_TIMES_PYEQUILIB)]
    return lines


def _stage_table(stages: list[StageTime], found: dict[str, Any]) -> list[str]:
    lines = [
        "",
        f"| stage, recordings of {found['duration_s']:g} s | CPU s per recording | wall s | rejected |",
    ]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {stage.stage} | {stage.cpu_s:.3f} | {stage.wall_s:.3f} | {stage.rejected} |" for stage in stages
    ]
    made_s = found["clips_per_recording"] * found["clip_s"]
    whole_s = sum(stage.cpu_s for stage in stages)
    cut_s = sum(stage.cpu_s for stage in stages if stage.stage == "biaudio_clips")
    lines.append(f"| together | {whole_s:.3f} | {sum(stage.wall_s for stage in stages):.3f} | |")
    lines += [
        "",
        _verdict("seconds of clips per CPU second, biaudio_clips", made_s / cut_s, LEAST_TIMES_REAL),
        _verdict(
            "seconds of recordings per CPU second, all stages",
            found["duration_s"] / whole_s,
            LEAST_TIMES_REAL,
        ),
    ]
    return lines


def _build_table(builds: list[Whole]) -> list[str]:
    lines = ["", "| workers | clips | clips per second | CPU s per clip | cores at work | times one worker |"]
    lines += ["|---|---|---|---|---|---|"]
    for one in builds:
        lines.append(
            f"| {one.workers} | {one.clips} | {one.clips / one.wall_s:.3f} | {one.cpu_s / one.clips:.2f} "
            f"| {one.cpu_s / one.wall_s:.2f} | {builds[0].wall_s / one.wall_s:.2f} |"
        )
    for less, more in pairwise(builds):
        same = less.cpu_s / less.clips * more.clips / more.cpu_s
        lines += [
            "",
            f"By processor seconds per clip, {more.workers} workers on free cores would be "
            f"{more.workers * same / less.workers:.2f} times as fast as {less.workers}.",
        ]
    return lines


def _verdict(what: str, value: float, least: float) -> str:
    return f"{'reached' if value >= least else 'MISSED'}: {value:.1f} {what} (target ≥ {least:g})"


if __name__ == "__main__":
    print(report(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
