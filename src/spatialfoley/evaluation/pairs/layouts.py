"""How the files of a system are read, and how they are brought to one form with the truth.

What published systems write, as their code or papers say; give what a folder holds as PATH:LAYOUT.

    =============  =============================================  ==========================
    system         file                                           layout to give
    =============  =============================================  ==========================
    SpecVQGAN      mono, 22.05 kHz                                mono
    Diff-Foley     mono, 16 kHz                                   mono
    MMAudio        mono, 16 or 44.1 kHz                           mono
    ThinkSound     stereo, 44.1 kHz                               stereo
    AudioX         stereo, 16-bit, scaled to its peak, 10 s       stereo
    See-2-Sound    5.1                                            5.1
    ViSAudio       two ears, 44.1 kHz                             binaural
    ViSAGe         4 channels W Y Z X, 44.1 kHz                   foa
    OmniAudio      4 channels, FLAC, 44.1 kHz, 10 s; which        foa or fuma: yours to say
                   order and gain was not established
    =============  =============================================  ==========================

Forms:
    Sounds are compared as a *field* (4 channels W, Y, Z, X, SN3D), as two *ears*, or as one *mono* channel:
    the poorest of what truth and estimate hold. Ears that differ cannot be had from one channel, nor a field
    from ears: where the truth is a field and a system is not, its ears are compared with those of the true
    field, heard from the camera.

Conversions:
    FuMa to AmbiX: `spatial.foa.from_fuma`. Field to ears: the head filters of `spatial.binaural`, turned to
    the camera. 5.1 to ears: ITU-R BS.775, left = L + √½ C + √½ Ls, right = R + √½ C + √½ Rs, LFE left out, no
    scaling. Mono to
    ears: the channel twice. Stereo is taken as two ears. Ears to mono: their mean. Field to mono: W.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import soundfile

from spatialfoley.conventions import W
from spatialfoley.media.audio import AMBIX_COMMENT, read_audio
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import from_fuma
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, Layout, SpatialAudio

FileLayout = Literal["auto", "mono", "stereo", "binaural", "5.1", "foa", "fuma"]
Form = Literal["field", "ears", "mono"]

_ROOT_HALF = float(np.sqrt(0.5))
BS775_DOWNMIX = np.array(
    [[1, 0, _ROOT_HALF, 0, _ROOT_HALF, 0], [0, 1, _ROOT_HALF, 0, 0, _ROOT_HALF]], dtype=np.float32
)
"""Two ears from L, R, C, LFE, Ls, Rs (ITU-R BS.775, annex 4), shape (2, 6)."""

_CHANNELS: dict[str, int] = {**LAYOUT_CHANNELS, "fuma": 4}
_RICHNESS: dict[Form, int] = {"mono": 0, "ears": 1, "field": 2}


def file_layouts() -> tuple[str, ...]:
    """Layouts that a file can be read as."""
    return get_args(FileLayout)


def check_layout(layout: str, argument: str) -> FileLayout:
    """The layout, if it is one.

    Raises:
        ValueError: It is not.
    """
    if layout not in file_layouts():
        raise ValueError(f"{argument} is {layout!r}; it must be one of {', '.join(file_layouts())}")
    return cast("FileLayout", layout)


def read_sound(path: Path, layout: FileLayout = "auto") -> SpatialAudio:
    """A sound file in our conventions: FuMa becomes AmbiX.

    Args:
        path: The file.
        layout: What its channels mean. "auto": 1 channel mono, 2 stereo, 6 5.1; 4 channels are a field only
            where the file says so (`NAME.foa.wav`, or our comment in its header), for order and gain cannot
            be heard.

    Raises:
        ValueError: The file cannot be read, has other channels than the layout needs, or holds NaN.
    """
    try:
        raw = read_audio(path, _reading_layout(path, layout))
    except ValueError as problem:
        raise ValueError(_named(path, layout, problem)) from problem
    if layout == "fuma":
        return SpatialAudio(from_fuma(raw.samples), raw.rate_hz, "foa")
    if layout == "auto" and raw.layout == "foa" and not _says_ambix(path):
        raise ValueError(
            f"{path} has 4 channels and does not say their order; give its folder as PATH:foa (W Y Z X, "
            "SN3D) or PATH:fuma (W X Y Z)"
        )
    if raw.layout == "7.1.4":
        raise ValueError(f"{path} has 12 channels; sounds are scored with {', '.join(file_layouts()[1:])}")
    return raw


def form_of(sound: SpatialAudio) -> Form:
    """What a sound can be compared as at best."""
    return "field" if sound.layout == "foa" else "mono" if sound.layout == "mono" else "ears"


def compared_form(truth: SpatialAudio, estimate: SpatialAudio) -> Form:
    """The form in which two sounds are compared: a field only with a field, one channel only where the "
    "truth is."""
    if form_of(truth) == "mono":
        return "mono"
    return "field" if form_of(truth) == form_of(estimate) == "field" else "ears"


def in_form(sound: SpatialAudio, form: Form, camera: Direction | None = None) -> SpatialAudio:
    """A sound brought to a form.

    Args:
        sound: Of layout foa, binaural, stereo, mono or 5.1.
        form: "field", "ears" or "mono".
        camera: Where the listener of a field looks; None: to the front.

    Returns:
        Sound of layout "foa", "binaural" or "mono".

    Raises:
        ValueError: A field is asked of a sound that is none.
    """
    if form == "field":
        if sound.layout != "foa":
            raise ValueError(f"sound has layout {sound.layout!r}; a field cannot be made of it")
        return sound
    if form == "ears":
        return _ears(sound, camera)
    if sound.layout == "foa":
        return SpatialAudio(sound.samples[W : W + 1], sound.rate_hz, "mono")
    if sound.layout == "mono":
        return sound
    return SpatialAudio(_ears(sound, camera).samples.mean(axis=0, keepdims=True), sound.rate_hz, "mono")


def conversion(sound: SpatialAudio, form: Form) -> str:
    """What `in_form` does to a sound, for reports; empty where it does nothing."""
    if form_of(sound) == form and sound.layout != "5.1":
        return "stereo taken as two ears" if sound.layout == "stereo" else ""
    if form == "ears":
        said = {
            "foa": "field rendered to two ears at the camera",
            "mono": "one channel given to both ears",
            "5.1": "5.1 mixed down to two ears (ITU-R BS.775)",
        }
        return said[sound.layout]
    return "W of the field taken" if sound.layout == "foa" else "channels mixed to one"


def _ears(sound: SpatialAudio, camera: Direction | None) -> SpatialAudio:
    if sound.layout == "foa":
        facing = camera is None or camera == Direction(0.0)
        return render_binaural(sound, head=None if facing else camera)
    if sound.layout == "mono":
        ears = np.repeat(sound.samples, 2, axis=0)
    else:
        ears = BS775_DOWNMIX @ sound.samples if sound.layout == "5.1" else sound.samples
    return SpatialAudio(ears, sound.rate_hz, "binaural")


def _reading_layout(path: Path, layout: FileLayout) -> Layout | None:
    if layout != "auto":
        return cast("Layout", "foa" if layout == "fuma" else layout)
    return "binaural" if ".binaural." in path.name.lower() else None


def _says_ambix(path: Path) -> bool:
    if ".foa." in path.name.lower():
        return True
    try:
        with soundfile.SoundFile(str(path)) as file:
            return AMBIX_COMMENT in (file.comment or "")
    except (soundfile.LibsndfileError, OSError):
        return False


def _named(path: Path, layout: FileLayout, problem: ValueError) -> str:
    """The reason a file cannot be used, with the file's name and what its channels should have been."""
    text = str(problem)
    if text.startswith("samples has shape"):
        channels = _channels(path)
        return (
            f"{path} has {channels} channel{'s' * (channels != 1)}; layout {layout} needs "
            f"{_CHANNELS[layout]}: give the layout that the file has"
        )
    if text.startswith("samples holds"):
        where = text.split(";")[0].removeprefix("samples holds ")
        return f"{path} holds NaN or infinite samples ({where}); make it again"
    return text


def _channels(path: Path) -> int:
    try:
        return int(soundfile.info(str(path)).channels)
    except soundfile.LibsndfileError:
        return int(read_audio(path).samples.shape[0])
