"""``spatialfoley dataset``: one's own clips made ready for training."""

from pathlib import Path
from typing import Annotated

import typer

from spatialfoley.cli.reporting import progress_bar, say, warn

app = typer.Typer(help="Make clips ready for training.", no_args_is_help=True)


# A group of one verb would otherwise take the verb's place.
@app.callback()
def group() -> None:
    """Make clips ready for training."""


@app.command("prepare")
def prepare(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A .jsonl or .csv with a column video.")
    ],
    model: Annotated[
        str, typer.Option(help="Whose codec and visual encoder: a model name or folder.")
    ] = "tiny-visage",
    out: Annotated[Path, typer.Option(help="Folder for the clip tensors.")] = Path("clips"),
    mono: Annotated[bool, typer.Option("--mono", help="One channel of sound, for pre-training.")] = False,
    panorama: Annotated[
        bool | None,
        typer.Option(
            "--panorama/--flat", help="Kind of picture. Default: panorama if twice as wide as high."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Turn videos and their sound into the clip tensors that recipes train on.

    Columns of the manifest: video, audio (default NAME.foa.wav beside NAME.mp4), azimuth_deg, elevation_deg,
    start_s, split. A stopped run goes on where it stopped; what cannot be used is in rejected.jsonl.
    """
    from spatialfoley.dataset.clip_encoding import ClipEncoder
    from spatialfoley.dataset.manifest import read_clip_manifest
    from spatialfoley.dataset.prepare import prepare_clips
    from spatialfoley.pipeline.loading import load_encoders

    rows = read_clip_manifest(manifest)
    parts = load_encoders(model, device)
    encoder = ClipEncoder(
        parts.features,
        parts.codec,
        parts.config,
        parts.description,
        mono,
        panorama,
        parts.device,
    )
    with progress_bar("") as report:
        done = prepare_clips(rows, encoder, out, report)
    say(f"{done.made} clips made, {done.reused} made before, {done.rejected} rejected")
    for split, folder in done.folders.items():
        say(f"{split}: {folder}")
    if done.record:
        warn(f"the reasons of what was rejected are in {done.record}")
        raise typer.Exit(1)
