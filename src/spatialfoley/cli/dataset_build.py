"""``spatialfoley dataset build``: a data set from recordings, at any scale, going on where it was stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatialfoley.cli.reporting import console, progress_bar, say, warn

if TYPE_CHECKING:
    from spatialfoley.dataset.factory.lists import BuildReport


def build(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML: output, source, stages, shards.")],
    workers: Annotated[int | None, typer.Option(help="Processes; default: those of CONFIG.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="processes, or ray: workers of a cluster; default: that of CONFIG.")
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(help="Kind of failure to try again, such as format; may be given more than once."),
    ] = None,
) -> None:
    """Build a data set: fetch, screen, cut, render, pack. Run again, it goes on where it stopped.

    What is left out is in rejected.jsonl and failed.jsonl with its reason; failures of the network are tried again
    by every run.
    """
    from spatialfoley.dataset.factory.config import read_build
    from spatialfoley.dataset.factory.runner import build as build_dataset

    chosen = read_build(config, workers, executor)
    with progress_bar("building") as report:
        result = build_dataset(chosen, report, retry or ())
    show(result)
    say(f"{sum(result.clips.values())} clips in {result.shards} shards: {chosen.output}")
    if result.note:
        warn(result.note)
    if result.failed:
        raise typer.Exit(1 if result.clips else 2)


def show(result: "BuildReport") -> None:
    """The funnel as a table."""
    from rich.table import Table

    table = Table(title=f"{result.recordings} recordings")
    for heading in ("stage", "in", "out", "rejected", "failed"):
        table.add_column(heading, justify="left" if heading in ("stage", "rejected", "failed") else "right")
    for stage in result.funnel:
        reasons = [
            ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "–"
            for counts in (stage.rejected, stage.failed)
        ]
        table.add_row(stage.stage, str(stage.records), str(stage.passed), *reasons)
    console().print(table)
