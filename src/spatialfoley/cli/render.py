"""``spatialfoley render``: a sound field for the ears or for loudspeakers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatialfoley.cli.reporting import console

if TYPE_CHECKING:
    from spatialfoley.spatial.signal import SpatialAudio

TARGETS = ("binaural", "stereo", "5.1", "7.1.4")


def render(
    foa: Annotated[Path, typer.Argument(metavar="FOA.wav", help="Ambisonics: 4 channels, AmbiX.")],
    to: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")] = "binaural",
    yaw_deg: Annotated[float, typer.Option(help="Head turned to the left by this much.")] = 0.0,
    pitch_deg: Annotated[float, typer.Option(help="Head turned up by this much.")] = 0.0,
    roll_deg: Annotated[float, typer.Option(help="Head's right side lowered by this much.")] = 0.0,
    sofa: Annotated[Path | None, typer.Option(help="Head filters of your own, for binaural.")] = None,
    out: Annotated[Path | None, typer.Option(help="WAV file. Default: beside the input.")] = None,
) -> None:
    """Turn a sound field into binaural, stereo or loudspeaker sound, heard by a head at any orientation."""
    from spatialfoley.media.audio import read_audio, write_audio
    from spatialfoley.pipeline.levels import within_full_scale
    from spatialfoley.spatial.direction import CameraPose
    from spatialfoley.spatial.foa import listen_from

    if to not in TARGETS:
        raise ValueError(f"to is {to!r}; give one of {', '.join(TARGETS)}")
    if sofa is not None and to != "binaural":
        raise ValueError(f"sofa is {sofa}, but head filters serve binaural only; leave it out for {to}")
    pose = CameraPose(yaw_deg, pitch_deg, roll_deg)
    field = read_audio(foa)
    if field.layout != "foa":
        raise ValueError(f"{foa} has {field.samples.shape[0]} channels; a sound field has 4 (W, Y, Z, X)")
    target = out or foa.with_name(f"{foa.name.removesuffix('.wav').removesuffix('.foa')}.{to}.wav")
    if target.resolve() == foa.resolve():
        raise ValueError(f"out is {target}, the input itself; give another name")
    sound, gain_db = within_full_scale(_rendered(listen_from(field, pose), to, sofa))
    write_audio(target, sound)
    turned_down = f", turned down by {-gain_db:.1f} dB to stay within full scale" if gain_db < 0 else ""
    console().print(
        f"{target}: {to}, {sound.samples.shape[0]} channels, {sound.duration_s:.2f} s{turned_down}"
    )


def _rendered(heard: "SpatialAudio", to: str, sofa: Path | None) -> "SpatialAudio":
    from spatialfoley.spatial.binaural import render_binaural, render_stereo
    from spatialfoley.spatial.loudspeakers import render_loudspeakers

    if to == "binaural":
        if sofa is None:
            return render_binaural(heard)
        from spatialfoley.spatial.sofa import load_sofa  # needs the extra "sofa"

        return render_binaural(heard, load_sofa(sofa))
    if to == "stereo":
        return render_stereo(heard)
    return render_loudspeakers(heard, "5.1" if to == "5.1" else "7.1.4")
