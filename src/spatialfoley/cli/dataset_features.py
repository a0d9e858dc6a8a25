"""``spatialfoley dataset features``: what encoders make of the clips of a built set, computed once and kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from spatialfoley.cli.reporting import console, progress_bar, say, warn

if TYPE_CHECKING:
    from spatialfoley.dataset.store.encoders import Identity
    from spatialfoley.dataset.store.estimate import Durations
    from spatialfoley.dataset.store.fill import Filled
    from spatialfoley.dataset.store.settings import FeatureSettings

_WARNINGS = {
    "others": "made with other weights than those on this machine",
    "outdated": "made by an older version of this program; add the features again and delete its folder",
}


def features(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR|CONFIG", help="A built set; with --estimate also a build's YAML, or nothing."
        ),
    ] = None,
    encoders: Annotated[
        str,
        typer.Option(
            help="tiny, tiny-codes, clip, dac, unicodec, clip-h14, clip-h14-text, synchformer, pe-spatial, "
            "mel-vae-16k, mel-vae-44k; several with commas."
        ),
    ] = "tiny,tiny-codes",
    fp16: Annotated[
        bool, typer.Option("--fp16/--fp32", help="Type of what is kept of pictures and texts.")
    ] = True,
    pool: Annotated[
        int, typer.Option(help="pe-spatial: average squares of so many patches; 1 keeps all.")
    ] = 2,
    yaws: Annotated[
        str,
        typer.Option(
            metavar="DEG,...", help="Codes: turns of the field to the left; 0,-90 as ViSAGe augments."
        ),
    ] = "0",
    mirror: Annotated[
        bool, typer.Option("--mirror", help="tiny, clip, codes: also the mirror image.")
    ] = False,
    mono: Annotated[
        bool, typer.Option("--mono", help="Codes, latents: one channel, for pre-training.")
    ] = False,
    field_frame: Annotated[
        str | None, typer.Option(help="Codes: world or camera axes. Default: those of the codec's generator.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option(metavar="ENCODER=PATH", help="Weights that lie in no usual place.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    compute: Annotated[
        str, typer.Option(help="clip-h14, synchformer, pe-spatial: float32, bfloat16 or float16.")
    ] = "float32",
    workers: Annotated[int, typer.Option(help="Threads that decode clips and feed the network.")] = 1,
    part: Annotated[str, typer.Option(metavar="I/N", help="Only part I of N: one for each machine.")] = "1/1",
    retry: Annotated[bool, typer.Option("--retry", help="Try again what could not be encoded.")] = False,
    disk_check: Annotated[
        bool, typer.Option("--disk-check/--no-disk-check", help="Refuse to begin what will not fit.")
    ] = True,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only tell the sizes; nothing is computed.")
    ] = False,
    clips: Annotated[int | None, typer.Option(min=1, help="--estimate: number of clips.")] = None,
    clip_s: Annotated[float, typer.Option(help="--estimate with --clips: their length.")] = 8.0,
    check: Annotated[
        bool, typer.Option("--check", help="Check what is stored, by clips and weights.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="--check: also every byte.")] = False,
) -> None:
    """Add features to a built set. Run again, it goes on where it stopped and makes only what has changed.

    They are kept in DIR/features by encoder, weights and settings; what could not be encoded is in failed.jsonl
    there.
    """
    from spatialfoley.dataset.store.settings import FeatureSettings

    given = _weights(weights or [])
    if check:
        return _check(_folder(source), deep, given)
    settings = FeatureSettings(
        half=fp16,
        pool=pool,
        yaws_deg=_numbers(yaws),
        mirror=mirror,
        field_frame=field_frame,
        mono=mono,
        compute=compute,
    )
    names = [name.strip() for name in encoders.split(",") if name.strip()]
    if estimate:
        return _estimate(source, names, settings, clips, clip_s)
    how = _How(device, _part(part), workers, retry, disk_check)
    _add(_folder(source), names, settings, given, how)


class _How(NamedTuple):
    """How a run computes."""

    device: str
    part: tuple[int, int]
    workers: int
    retry: bool
    disk_check: bool


def _add(
    root: Path,
    names: Sequence[str],
    settings: "FeatureSettings",
    given: dict[str, Path],
    how: _How,
) -> None:
    from spatialfoley.dataset.store.encoders import identify_all
    from spatialfoley.dataset.store.estimate import readable, refuse_a_small_disk
    from spatialfoley.dataset.store.fill import add_features

    identities = identify_all(names, settings, given)
    if how.disk_check:
        layouts = [(identity, identity.load("cpu").layout) for identity in identities]
        say(f"{readable(refuse_a_small_disk(root, layouts))} to be written")
    results: list[Filled] = []
    with progress_bar("features") as report:
        for number, identity in enumerate(identities):
            results.append(
                add_features(
                    root,
                    identity,
                    identity.load(how.device),
                    lambda label, fraction, number=number: report(
                        label, (number + fraction) / len(identities)
                    ),  # type: ignore[misc]
                    how.retry,
                    how.part,
                    how.workers,
                )
            )
            say(_line(results[-1], identity))
    if any(result.failed for result in results):
        warn(f"what could not be encoded is in {root / 'features'}/*/*/failed.jsonl")
        raise typer.Exit(1 if any(result.made + result.kept for result in results) else 2)


def _line(result: "Filled", identity: "Identity") -> str:
    from spatialfoley.dataset.store.estimate import readable

    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result.failed.items()))
    return (
        f"{result.encoder}: {result.made} clips encoded, {result.kept} there before, {sum(result.failed.values())} "
        f"failed{f' ({kinds})' if kinds else ''}, {readable(result.bytes)}, basis {identity.basis}"
    )


def _estimate(
    source: Path | None, names: Sequence[str], settings: "FeatureSettings", clips: int | None, clip_s: float
) -> None:
    from rich.table import Table

    from spatialfoley.dataset.store.encoders import identify_all
    from spatialfoley.dataset.store.estimate import other_pools, readable, size_rows

    identify_all(names, settings)
    durations, what = _durations(source, clips, clip_s)
    table = Table(title=f"features of {sum(durations.values())} clips{what}, with the published weights")
    for heading in ("encoder", "arrays of a clip", "per clip", "all", "all, fp16", "all, fp32"):
        table.add_column(heading, justify="left" if heading in ("encoder", "arrays of a clip") else "right")
    rows = size_rows(names, settings, durations)
    others = other_pools(names, settings, durations)
    for row in (*rows, *others):
        table.add_row(
            row.encoder,
            row.arrays,
            readable(row.per_clip),
            *(readable(n) for n in (row.total, row.half, row.full)),
        )
    console().print(table)
    say(
        f"{readable(sum(row.total for row in rows))} in all; features that are computed in training take none"
    )


def _durations(source: Path | None, clips: int | None, clip_s: float) -> "tuple[Durations, str]":
    """How many clips of which length, and what to say of them."""
    from spatialfoley.dataset.factory.config import read_build
    from spatialfoley.dataset.factory.reader import BuiltSet
    from spatialfoley.dataset.store.estimate import durations_of, planned_durations

    if clips is not None:
        return {clip_s: clips}, f" of {clip_s:g} s"
    if source is None:
        raise ValueError(
            "there is nothing to estimate; give a built set, a build's YAML, or --clips and --clip-s"
        )
    if source.is_dir():
        return durations_of(BuiltSet(source)), ""
    return planned_durations(read_build(source)), " at most, before screening"


def _check(root: Path, deep: bool, given: dict[str, Path]) -> None:
    from rich.table import Table

    from spatialfoley.dataset.store.check import check_features

    with progress_bar("checking") as report:
        found = check_features(root, deep, given, report)
    if not found:
        raise ValueError(f"{root} has no features; add some with 'spatialfoley dataset features {root}'")
    table = Table(title=f"features of {root.name}")
    counts = ("current", "stale", "missing", "failed", "strangers")
    for heading in ("encoder", "basis", "weights here", *counts, "damaged"):
        table.add_column(
            heading, justify="left" if heading in ("encoder", "basis", "weights here") else "right"
        )
    for row in found:
        numbers = [str(getattr(row, name)) for name in counts]
        table.add_row(row.encoder, row.basis, row.weights, *numbers, str(len(row.damaged)))
    console().print(table)
    for row in found:
        for line in row.damaged:
            warn(f"{row.encoder}: damaged: {line}")
        if row.weights in _WARNINGS:
            warn(f"{row.encoder} {row.basis}: {_WARNINGS[row.weights]}")
    if not all(row.is_well for row in found):
        raise typer.Exit(1)


def _folder(source: Path | None) -> Path:
    if source is None or not source.is_dir():
        raise ValueError(f"{source or 'nothing'} is no folder; give the folder of a built set")
    return source


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--yaws is {text!r}; give degrees with commas, such as 0,-90") from None


def _part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit()):
        raise ValueError(f"--part is {text!r}; give a part such as 1/4")
    return int(number), int(count)


def _weights(given: Sequence[str]) -> dict[str, Path]:
    found = {}
    for entry in given:
        name, equals, path = entry.partition("=")
        if not (name and equals and path):
            raise ValueError(
                f"--weights is {entry!r}; give an encoder and a path, such as pe-spatial=PE-Spatial.pt"
            )
        found[name] = Path(path)
    return found
