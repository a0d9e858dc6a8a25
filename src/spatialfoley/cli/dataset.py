"""``spatialfoley dataset``: one's own clips made ready for training."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialfoley.cli import dataset_build, dataset_care, dataset_features
from spatialfoley.cli.reporting import one_sentence, progress_bar, say, warn

if TYPE_CHECKING:
    from spatialfoley.dataset.preparing import Prepared

app = typer.Typer(help="Build data sets, and make clips ready for training.", no_args_is_help=True)
app.command("build")(dataset_build.build)
app.command("features")(dataset_features.features)
for _verb in (dataset_care.check, dataset_care.stats, dataset_care.card, dataset_care.takedown):
    app.command(_verb.__name__)(_verb)


@app.command("prepare")
def prepare(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A .jsonl or .csv with a column video.")
    ],
    model: Annotated[
        str, typer.Option(help="Whose codec and encoders: a model name or folder.")
    ] = "tiny-visage",
    out: Annotated[Path, typer.Option(help="Folder for the clips.")] = Path("clips"),
    mono: Annotated[bool, typer.Option("--mono", help="One channel of sound, for pre-training.")] = False,
    panorama: Annotated[
        bool | None,
        typer.Option(
            "--panorama/--flat", help="Kind of picture. Default: panorama if twice as wide as high."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    turns: Annotated[
        int | None,
        typer.Option(
            help="ViSAGe, ViSAGe-SC: variants of a clip, each turned by any yaw. Default: one, by a quarter."
        ),
    ] = None,
    music_captions: Annotated[
        bool,
        typer.Option("--music-captions", help="MMAudio, ViSAudio: texts from names of files, as MUSIC-21's."),
    ] = False,
    clip_s: Annotated[
        float | None, typer.Option(help="MMAudio, ViSAudio: length of a clip. Default: 8.")
    ] = None,
    min_difference: Annotated[
        float | None,
        typer.Option(help="ViSAudio: leave out clips whose ears differ by this much or less. Default: 0.01."),
    ] = None,
    loudness: Annotated[
        str | None,
        typer.Option(help="MMAudio, ViSAudio: joint (the default), none or per_channel."),
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(help="MMAudio, ViSAudio: recording (the default) or silence, behind a clip."),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(help="MMAudio: also where the sound is, of recordings that are foa or binaural."),
    ] = None,
) -> None:
    """Turn videos and their sound into the clips that recipes train on.

    Columns of the manifest: video, audio (default NAME.foa.wav beside NAME.mp4; for two ears NAME.binaural.wav or
    the video's own sound), azimuth_deg, elevation_deg, start_s, split, text. A stopped run goes on where it
    stopped; what cannot be used is in rejected.jsonl.
    """
    from spatialfoley.dataset.manifest import read_clip_manifest

    chosen = {
        name: value
        for name, value in {
            "clip_s": clip_s,
            "min_difference": min_difference,
            "loudness": loudness,
            "padding": padding,
            "place": place,
        }.items()
        if value is not None
    }
    rows = read_clip_manifest(manifest)
    if turns is not None:
        _refuse_turns(model)
    done = _flow_clips(rows, model, out, mono, panorama, device, music_captions, chosen)
    if done is None:
        unknown = [f"--{name.replace('_', '-')}" for name in chosen]
        unknown += ["--music-captions"] if music_captions else []
        if unknown:
            raise ValueError(f"{model} has no setting {', '.join(unknown)}; leave it out")
        done = _token_clips(rows, model, out, mono, panorama, device, turns or 0)
    say(f"{done.made} clips made, {done.reused} made before, {done.rejected} rejected")
    for split, folder in done.folders.items():
        say(f"{split}: {folder}")
    if done.record:
        warn(f"the reasons of what was rejected are in {done.record}")
        raise typer.Exit(1)


def _refuse_turns(model: str) -> None:
    """Raise ValueError for a model whose sound has no camera direction to turn with it."""
    from spatialfoley.pipeline.flow_folder import is_flow_name

    if is_flow_name(model):
        raise ValueError(f"{model} has no setting --turns; leave it out")


def _token_clips(
    rows: list[Any], model: str, out: Path, mono: bool, panorama: bool | None, device: str, turns: int
) -> "Prepared":
    """Clips for ViSAGe's family."""
    from spatialfoley.dataset.clip_encoding import ClipEncoder
    from spatialfoley.dataset.prepare import prepare_clips
    from spatialfoley.pipeline.loading import load_encoders

    parts = load_encoders(model, device)
    encoder = ClipEncoder(
        parts.features,
        parts.codec,
        parts.config,
        parts.description,
        mono,
        panorama,
        parts.device,
        turns,
    )
    with progress_bar("") as report:
        return prepare_clips(rows, encoder, out, report)


def _flow_clips(
    rows: list[Any],
    model: str,
    out: Path,
    mono: bool,
    panorama: bool | None,
    device: str,
    music_captions: bool,
    settings: dict[str, Any],
) -> "Prepared | None":
    """Clips for MMAudio's family; None for a model of another one."""
    from spatialfoley.pipeline.flow_folder import is_flow_name

    if not is_flow_name(model):
        return None
    from functools import partial

    from spatialfoley.dataset.sound_places import check_place
    from spatialfoley.dataset.visaudio_encoding import FlowClipEncoder
    from spatialfoley.dataset.visaudio_features import Preparation
    from spatialfoley.dataset.visaudio_prepare import prepare_flow_clips
    from spatialfoley.generators.visaudio.config import VisaudioConfig
    from spatialfoley.kernels.devices import choose_device
    from spatialfoley.pipeline.flow_encoding import window_features
    from spatialfoley.pipeline.flow_loading import PATCH_GRID, load_parts_for_training

    place = check_place(settings.pop("place", None))
    parts = load_parts_for_training(model, choose_device(device), None if place is None else PATCH_GRID)
    two_ears = isinstance(parts.config, VisaudioConfig)
    if two_ears and place:
        raise ValueError(f"place is {place!r}, but {model} makes two ears itself; take an MMAudio model")
    if two_ears and mono:
        raise ValueError(f"{model} has two ears; leave --mono out, or take an MMAudio model")
    sizes = parts.config.backbone if isinstance(parts.config, VisaudioConfig) else parts.config
    encoder = FlowClipEncoder(
        partial(window_features, parts.encoders, sizes),
        lambda text: parts.encoders.clip.text([text]).cpu(),
        parts.codec,
        sizes,
        parts.config.branches if isinstance(parts.config, VisaudioConfig) else ("mono",),
        {"weights_sha256": dict(parts.weights_sha256)},
        Preparation(**settings),
        panorama,
        place,
    )
    with progress_bar("") as report, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: warn(f"warning: {one_sentence(message)}")
        return prepare_flow_clips(rows, encoder, out, music_captions, report)
