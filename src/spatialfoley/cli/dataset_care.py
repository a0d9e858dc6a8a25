"""``spatialfoley dataset check``, ``stats``, ``card``, ``takedown``: what is done with a set once it is built."""

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
    read = f"{found.clips} clips in {found.shards} shards, {_size(found.size)}"
    if found.findings:
        say(f"{read}: {len(found.findings)} findings")
        raise typer.Exit(1)
    say(f"{read}: all as it should be")


def stats(
    folder: Folder,
    workers: Workers = 2,
    sound: Annotated[
        bool,
        typer.Option(
            "--sound/--no-sound", help="Read the sound of every clip; otherwise count records only."
        ),
    ] = True,
) -> None:
    """Draw how long, how loud, from where and what: stats.json, pictures in stats/ and the page stats.html.

    The words of captions are counted and drawn too: captions.html and vocabulary.csv.
    """
    from spatialfoley.dataset.captioning.pictures import write_caption_pages
    from spatialfoley.dataset.factory.statistics import PAGE_FILE, write_statistics

    captions = write_caption_pages(folder)
    with progress_bar("measuring") as report:
        document = write_statistics(folder, workers, sound, report)
    for name, summary in document["values"].items():
        say(f"{name}: median {summary['p50']:g}, 5 % to 95 %: {summary['p05']:g} to {summary['p95']:g}")
    for why, count in document["sound_not_read"].items():
        warn(f"{count} clips: {why}")
    if captions is not None:
        say(f"{document['captions']} captions: {captions}")
    say(f"{document['clips']} clips, {document['hours']:g} hours: {folder / PAGE_FILE}")


def card(
    folder: Folder,
    contact: Annotated[
        str | None,
        typer.Option(help="Whom people write to who want something taken down; kept for later cards."),
    ] = None,
) -> None:
    """Write card.md, which describes the set, and licences.csv with source and licence of every clip."""
    from spatialfoley.dataset.factory.card import write_card
    from spatialfoley.dataset.factory.holdings import LICENCES_FILE

    path = write_card(folder, contact)
    say(f"{path} and {folder / LICENCES_FILE} are written")


def takedown(
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(metavar="IDS", help="Recordings or clips.")] = None,
    file: Annotated[Path | None, typer.Option(help="Text file of ids, one a line.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in takedown.jsonl.")] = "",
) -> None:
    """Take recordings or clips out for good: of shards, lists, index, card, and of every later build.

    A recording goes with all its clips, a clip alone. The folder's shards are enough: nothing is downloaded or
    built again, and other clips stay as they are.
    """
    from spatialfoley.dataset.factory.index import INDEX_FILE, WITHOUT_PYARROW
    from spatialfoley.dataset.factory.takedown import take_down

    with progress_bar("taking down") as report:
        done = take_down(folder, [*(ids or ()), *_ids_of(file)], reason, progress=report)
    say(
        f"{done.recordings} recordings and {done.clips} clips taken down: {done.removed} clips left {done.shards} "
        "shards; takedown.jsonl keeps them out"
    )
    if not (folder / INDEX_FILE).is_file():
        warn(WITHOUT_PYARROW)
    say("copies of this set elsewhere still hold them: replace their changed shards and lists")


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _ids_of(file: Path | None) -> list[str]:
    """Ids of a text file; empty lines and what follows a # are left out."""
    if file is None:
        return []
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    return [line for line in lines if line]
