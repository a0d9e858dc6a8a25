"""``spatialfoley dataset check``: what is done with a data set once it is built."""

from pathlib import Path
from typing import Annotated

import typer

from spatialfoley.cli.reporting import progress_bar, say, warn

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a built data set.")]
Workers = Annotated[int, typer.Option(help="Processes.")]


def check(folder: Folder, workers: Workers = 2) -> None:
    """Look at every shard, member, checksum, line of the manifest and row of the index.

    Each thing that is missing, extra, doubled or changed is one line. Exit code: 0 for a good set, 1 otherwise.
    """
    from spatialfoley.dataset.factory.index import INDEX_FILE
    from spatialfoley.dataset.factory.verify import check as check_set

    with progress_bar("checking") as report:
        found = check_set(folder, workers, report)
    for finding in found.findings:
        warn(str(finding))
    if not found.index:
        warn(f"note: there is no {INDEX_FILE}; a build with pyarrow installed writes it")
    read = f"{found.clips} clips in {found.shards} shards, {found.size / 1e9:.2f} GB"
    if found.findings:
        say(f"{read}: {len(found.findings)} findings")
        raise typer.Exit(1)
    say(f"{read}: all as it should be")
