"""``spatialfoley evaluate GENERATED... --reference TRUTH``: files against files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spatialfoley.cli.reporting import console, progress_bar, warn
from spatialfoley.evaluation.pairs.store_size import LIMIT_GB

if TYPE_CHECKING:
    from spatialfoley.evaluation.metrics.statistics import Interval
    from spatialfoley.evaluation.pairs.run import PairResult, PairSettings

NO_LISTENERS = "none"
_SHOWN_FAILURES = 5
_GPU_JOBS = 4
"""Processes that share a GPU by default: each loads the listeners."""


@dataclass(frozen=True)
class PairOptions:
    """Options of the command as they were typed.

    Attributes:
        layout: What generated files hold where their system does not say.
        protocol: By name.
        listeners: Names with commas between, "none", or None for those of the protocol.
        cameras: File with the camera of each clip.
        restore: Systems whose clips were made for compressed video.
        partial: Score what both sides have.
        cache: Folder for embeddings.
        cache_gb: Size of it after a run.
        videos: Folder of the clips' videos.
        desync: Score synchrony with the picture.
        agreement: Plug-in that scores picture against sound.
        jobs: Processes; None for one per processor.
        exhibits: Worst and best clips in the report.
        device: Where listeners run, or "auto".
    """

    layout: str = "auto"
    protocol: str = "ours"
    listeners: str | None = None
    cameras: Path | None = None
    restore: tuple[str, ...] = ()
    partial: bool = False
    cache: Path | None = None
    cache_gb: float = LIMIT_GB
    videos: Path | None = None
    desync: bool = False
    agreement: str | None = None
    jobs: int | None = None
    exhibits: int = 2
    device: str = "auto"


def evaluate_pairs(generated: Sequence[str], reference: str, out: Path, options: PairOptions) -> None:
    """Score systems against the truth, write the report, print where it is.

    Args:
        generated: Systems as ``[NAME=]PATH[:LAYOUT]``.
        reference: The truth as ``PATH[:LAYOUT]``.
        out: Folder for the results.
        options: Everything else.

    Raises:
        typer.Exit: With 1 where some pairs failed, 2 where all did.
    """
    from spatialfoley.evaluation.pairs.layouts import check_layout
    from spatialfoley.evaluation.pairs.matching import parse_source, parse_sources
    from spatialfoley.evaluation.pairs.run import score_systems
    from spatialfoley.pipeline.products import require_writable

    systems = parse_sources(generated, check_layout(options.layout, "--layout"))
    truth = parse_source(reference, name="truth")
    settings = pair_settings(options)
    require_writable(out)
    with progress_bar("scoring") as report:
        result = score_systems(
            systems, truth, out, settings, report, show=warn, command=command_line(generated, options)
        )
    print_pairs(result, out)
    if result.failures:
        raise typer.Exit(1 if result.scored else 2)


def pair_settings(options: PairOptions) -> "PairSettings":
    """Settings of the run from what was typed."""
    from spatialfoley.evaluation.pairs.cameras import Cameras, read_cameras
    from spatialfoley.evaluation.pairs.run import PairSettings, available_jobs

    device, listeners = _device(options.device), None
    if options.listeners is not None:
        names = tuple(name.strip() for name in options.listeners.split(",") if name.strip())
        listeners = () if names == (NO_LISTENERS,) else tuple(dict.fromkeys(names))
    scorers = [*(["synchformer"] if options.desync else [])]
    scorers += [f"agreement:{options.agreement}"] if options.agreement else []
    return PairSettings(
        protocol=options.protocol,
        listeners=listeners,
        cameras=read_cameras(options.cameras) if options.cameras else Cameras(),
        restored=frozenset(options.restore),
        partial=options.partial,
        store=options.cache,
        store_limit_gb=options.cache_gb,
        videos=options.videos,
        picture_scorers=tuple(scorers),
        jobs=options.jobs or (available_jobs() if device == "cpu" else min(_GPU_JOBS, available_jobs())),
        device=device,
        exhibits=options.exhibits,
    )


def command_line(generated: Sequence[str], options: PairOptions) -> str:
    """What to type to get the same figures; folders are told by their last part."""
    systems = " ".join(
        text.rpartition("/")[2] if "=" not in text else text.partition("=")[0] for text in generated
    )
    said = f"spatialfoley evaluate {systems} --reference TRUTH"
    said += f" --protocol {options.protocol} --layout {options.layout}"
    said += f" --listeners {options.listeners}" if options.listeners else ""
    said += f" --cameras {options.cameras.name}" if options.cameras else ""
    said += "".join(f" --restore {name}" for name in options.restore)
    return said + " --partial" * options.partial + " --desync" * options.desync


def print_pairs(result: "PairResult", out: Path) -> None:
    """The figures that decide for each system, and what went wrong."""
    from rich.table import Table as Screen

    screen = console()
    for table in result.report.tables:
        if any(row.published for row in table.rows):
            continue
        heads = [metric for metric in table.metrics if metric.headline] or [
            metric for metric in table.metrics if metric.better
        ][:3]
        shown = Screen(title=table.title)
        for heading in (
            "",
            *(f"{metric.title} {metric.unit}".strip() for metric in heads),
        ):
            shown.add_column(heading, justify="right")
        for row in table.rows:
            shown.add_row(row.name, *(_cell(row.figures.get(metric.key), metric.form) for metric in heads))
        screen.print(shown)
    failures = result.failures
    for name, reason in list(failures.items())[:_SHOWN_FAILURES]:
        warn(f"{name}: {reason}")
    if len(failures) > _SHOWN_FAILURES:
        warn(f"and {len(failures) - _SHOWN_FAILURES} more that failed: {out / 'report.md'}")
    missing = sum(len(matching.missing) + len(matching.extra) for matching in result.matchings.values())
    partly = f", {missing} left out as one side lacks them" if missing else ""
    screen.print(f"pairs scored: {result.scored}, failed: {len(failures)}{partly}: {out / 'report.md'}")
    screen.print(f"to look at and to listen to: {out / 'report.html'}")


def _cell(figure: "Interval | None", form: str) -> str:
    return "–" if figure is None else f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"


def _device(name: str) -> str:
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
