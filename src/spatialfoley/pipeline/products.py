"""The files that one finished clip becomes, written as a set: all of them, or none.

A sound field is kept in the world; the ears of the binaural sound and of the videos are at the camera, so
that what is heard on the left is seen on the left. Sound on disk is read in blocks and never held as a whole:
turned and filtered on the way, measured in one pass, and brought within full scale where the next one reads it.
"""

import glob
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import AMBIX_COMMENT, write_audio
from spatialfoley.media.energy_video import write_energy_video
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_file import FloatArray, SoundFile
from spatialfoley.media.video import Video
from spatialfoley.media.video_writer import write_video
from spatialfoley.pipeline.batch import sidecar_path
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.spatial.binaural import binaural_blocks
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import listening_blocks
from spatialfoley.spatial.signal import ComputedSound, Sound, SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

SUFFIXES = {"foa": ".foa.wav", "binaural": ".binaural.wav", "video": ".mp4", "energy": ".energy.mp4"}
"""What follows the clip's name, for each kind of output of a sound field."""

EAR_SUFFIXES = {"binaural": ".binaural.wav", "video": ".mp4"}
MONO_SUFFIXES = {"mono": ".mono.wav", "dual-mono": ".dual-mono.wav", "video": ".mp4"}
"""The same for models of two ears and of one channel; dual mono is that channel in both ears, and says so."""

_ALL_SUFFIXES = SUFFIXES | EAR_SUFFIXES | MONO_SUFFIXES

CONVENTION = {
    "foa": f"{AMBIX_COMMENT}: +x front, +y left, +z up, world axes",
    "binaural": "left and right ear at the camera",
}
_EAR_CONVENTIONS = {
    "binaural": CONVENTION["binaural"],
    "mono": "one channel, as the model made it",
    "dual-mono": "the one channel of the model in both ears: no spatial sound",
}

Report = Callable[[float], None]


def check_outputs(outputs: Sequence[str]) -> tuple[str, ...]:
    """The asked kinds of output in one fixed order.

    Raises:
        ValueError: if a kind is unknown or none is asked.
    """
    unknown = [kind for kind in outputs if kind not in _ALL_SUFFIXES]
    if unknown or not outputs:
        raise ValueError(
            f"outputs is {','.join(outputs) or 'empty'}; give one or more of {','.join(_ALL_SUFFIXES)}"
        )
    return tuple(kind for kind in _ALL_SUFFIXES if kind in outputs)


def product_names(name: str, outputs: Sequence[str]) -> dict[str, str]:
    """File name of each kind of output of a clip."""
    return {kind: name + _ALL_SUFFIXES[kind] for kind in check_outputs(outputs)}


@dataclass(frozen=True)
class ProductSet:
    """The files to write for one clip.

    Attributes:
        out: folder to write to; made when it is not there.
        name: what the file names begin with.
        outputs: kinds of SUFFIXES.
        panorama: True for an equirectangular picture.
        fov_deg: what the middle square of a flat picture covers, in degrees.
    """

    out: Path
    name: str
    outputs: tuple[str, ...] = tuple(SUFFIXES)
    panorama: bool = False
    fov_deg: float = 90.0


def layout_outputs(layout: str) -> tuple[str, ...]:
    """Kinds of output that sound of a layout ("foa", "binaural" or "mono") becomes."""
    return tuple({"foa": SUFFIXES, "binaural": EAR_SUFFIXES, "mono": MONO_SUFFIXES}[layout])


def write_products(
    video: Video,
    sound: SpatialAudio | SoundFile,
    camera: Direction | CameraPose | CameraTrajectory,
    products: ProductSet,
    sidecar: Mapping[str, Any],
    report: Report = lambda fraction: None,
) -> dict[str, Path]:
    """Write the files of one clip, the sidecar last.

    Args:
        video: the picture.
        sound: as long as the video, within full scale, in memory or on disk: a sound field in world axes
            ("foa"), two ears at the camera ("binaural"), or one channel ("mono").
        camera: where the picture's centre points; counts for sound fields only.
        products: which files, and where.
        sidecar: what the sidecar says beside the files and their convention.
        report: told the fraction done.

    Returns:
        path of each kind, and of the "sidecar".

    Raises:
        ValueError: if sound of this layout does not become one of the outputs.
        MediaError: if the folder cannot be written, or a file of the set would replace the video itself.
    """
    out, name = products.out, products.name
    names = product_names(name, products.outputs)
    missing = [kind for kind in names if kind not in layout_outputs(sound.layout)]
    if missing:
        raise ValueError(
            f"outputs has {','.join(missing)}, but the sound is {sound.layout}; give one or more of "
            f"{','.join(layout_outputs(sound.layout))}"
        )
    refuse_replacing(video.path, out, [*names.values(), sidecar_path(out, name).name])
    with all_or_none(out, name) as workshop:
        if sound.layout == "foa":
            measured = _write_field(workshop, names, video, sound, camera, products, report)
        else:
            measured = _write_channels(workshop, names, video, sound, report)
    return finish_set(out, name, names, {**sidecar, **measured})


def _write_field(
    workshop: Path,
    names: dict[str, str],
    video: Video,
    foa: SpatialAudio | SoundFile,
    camera: Direction | CameraPose | CameraTrajectory,
    products: ProductSet,
    report: Report,
) -> dict[str, Any]:
    """Write the files of a sound field; returns what was found on the way, and may change the video's name."""
    heard = ComputedSound(foa.rate_hz, "foa", foa.frames, lambda: listening_blocks(foa, camera))
    ears, ears_gain_db = _ears_on_disk(heard, workshop)
    for done, (kind, file_name) in enumerate(list(names.items())):
        target = workshop / file_name
        if kind == "foa":
            write_audio(target, foa)
        elif kind == "binaural":
            write_audio(target, ears)
        elif kind == "video":
            names[kind] = write_video(target, video, ears).name
        else:
            write_energy_video(target, video, heard, ears, products.panorama, products.fov_deg)
        report((done + 1) / len(names))
    return {"binaural_gain_db": round(ears_gain_db, 3), "convention": CONVENTION}


def _ears_on_disk(heard: Sound, workshop: Path) -> tuple[SoundFile, float]:
    """Binaural sound within full scale, and the gain in dB: filtered once, because several files need it."""
    path = workshop / "scratch" / "ears.wav"
    ears = ComputedSound(heard.rate_hz, "binaural", heard.frames, lambda: binaural_blocks(heard))
    write_audio(path, ears, "FLOAT")
    return within_full_scale(SoundFile.open(path, "binaural"))


def _write_channels(
    workshop: Path, names: dict[str, str], video: Video, sound: SpatialAudio | SoundFile, report: Report
) -> dict[str, Any]:
    """The same for sound that is played as it is."""
    for done, (kind, file_name) in enumerate(list(names.items())):
        if kind == "video":
            names[kind] = write_video(workshop / file_name, video, sound).name
        else:
            write_audio(workshop / file_name, _in_both_ears(sound) if kind == "dual-mono" else sound)
        report((done + 1) / len(names))
    return {"convention": {kind: text for kind, text in _EAR_CONVENTIONS.items() if kind in names}}


def _in_both_ears(mono: Sound) -> Sound:
    def blocks() -> Iterator[FloatArray]:
        return (np.repeat(block, 2, axis=0) for block in mono.blocks())

    return ComputedSound(mono.rate_hz, "stereo", mono.frames, blocks)


def finish_set(out: Path, name: str, names: Mapping[str, str], sidecar: Mapping[str, Any]) -> dict[str, Path]:
    """Write the sidecar of a set of files that is complete; returns all paths, with the "sidecar"."""
    content = {**sidecar, "files": names}
    with atomic_path(sidecar_path(out, name)) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return {
        **{kind: out / file_name for kind, file_name in names.items()},
        "sidecar": sidecar_path(out, name),
    }


def refuse_replacing(source: Path | None, out: Path, names: Sequence[str]) -> None:
    """Raise MediaError where an output would replace its own input."""
    for file_name in names:
        if source is not None and (out / file_name).resolve() == source.resolve():
            raise MediaError(
                f"{source} would be replaced by an output of the same name; choose another folder with --out"
            )


def require_writable(out: Path) -> None:
    """Make a folder and raise MediaError where that or writing into it fails."""
    probe = out / f".{secrets.token_hex(4)}.partial"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise MediaError(f"out is {out}, not writable ({reason}); choose another folder") from problem


@contextmanager
def all_or_none(out: Path, name: str) -> Iterator[Path]:
    """A hidden folder beside the results; its files move into ``out`` only when all of them are there.

    Folders inside it are scratch and go away with it.
    """
    require_writable(out)
    for left_behind in out.glob(f".{glob.escape(name)}.*.partial"):  # by a run that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    workshop = out / f".{name}.{secrets.token_hex(4)}.partial"
    workshop.mkdir()
    try:
        yield workshop
        # Without its sidecar a clip counts as not done, whatever happens between two of these moves.
        sidecar_path(out, name).unlink(missing_ok=True)
        for file in sorted(path for path in workshop.iterdir() if path.is_file()):
            os.replace(file, out / file.name)  # noqa: PTH105 - replaces an existing file on every platform
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
