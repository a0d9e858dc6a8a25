"""What listeners are given to hear of a sound, and which true channel stands against which.

A view is told as one figure per listener. Each is of one or several channels of truth and estimate; of
several the figures are averaged.

    ==================  ================================================  ====================
    view                channels, truth against estimate                  of sounds compared as
    ==================  ================================================  ====================
    ``mix``             mean of both ears; of mono sound its channel      field, ears, mono
    ``avg``             left ear, right ear                               field, ears
    ``channels``        W, Y, Z, X                                        field
    ``dec``             field decoded in the camera direction             field
    ``dec_published``   the same with the defects of the released         field
                        scripts: truth towards the mirrored side,
                        estimate with a stray division
    ==================  ================================================  ====================

Ears of a field are rendered at the camera, so `mix` and `avg` compare fields and two ears on one scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.evaluation.pairs.layouts import Form, in_form
from spatialfoley.evaluation.pairs.protocols import fit_duration, restore_length
from spatialfoley.media.audio import resample
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.single_direction import DecodeVariant, mono_decode

VIEW_CHANNELS: dict[str, tuple[tuple[str, str], ...]] = {
    "mix": (("mix", "mix"),),
    "avg": (("left", "left"), ("right", "right")),
    "channels": tuple((name, name) for name in FOA_CHANNELS),
    "dec": (("dec", "dec"),),
    "dec_published": (("dec_mirrored", "dec_published"),),
}
"""Channels of truth and estimate of each view."""

_DECODINGS: dict[str, DecodeVariant] = {
    "dec": "correct",
    "dec_mirrored": "reference",
    "dec_published": "reference_bug",
}
_FORM_VIEWS: dict[Form, tuple[str, ...]] = {
    "field": tuple(VIEW_CHANNELS),
    "ears": ("mix", "avg"),
    "mono": ("mix",),
}


@dataclass(frozen=True)
class Hearing:
    """What is made of a file before a listener hears it: everything its embeddings depend on but file and network.

    Attributes:
        layout: What the file's channels mean.
        form: What the sound is compared as.
        channels: Names of the channels that are heard, in order.
        camera: Azimuth and elevation in degrees; None where the sound is no field and none is needed.
        duration_s: Length to which it is cut or padded.
        restored: Whether it is stretched to that length.
        rate_hz: Rate before listening; None: the file's own.
    """

    layout: str
    form: Form
    channels: tuple[str, ...]
    camera: tuple[float, float] | None
    duration_s: float
    restored: bool = False
    rate_hz: int | None = None


def views_of(form: Form, views: Iterable[str]) -> tuple[str, ...]:
    """Those of some views that sounds compared in a form have."""
    return tuple(view for view in views if view in _FORM_VIEWS[form])


def heard_channels(form: Form, views: Iterable[str], of_truth: bool) -> tuple[str, ...]:
    """Names of the channels that the views need of the truth, or of the estimate, each once."""
    side = 0 if of_truth else 1
    names = [pair[side] for view in views_of(form, views) for pair in VIEW_CHANNELS[view]]
    return tuple(dict.fromkeys(names))


def channels_to_hear(sound: SpatialAudio, hearing: Hearing) -> tuple[NDArray[np.float32], int]:
    """Channels for a listener: (C, N) in the order of `hearing.channels`, and their rate."""
    fitted = (restore_length if hearing.restored else fit_duration)(sound, hearing.duration_s)
    if hearing.rate_hz is not None and hearing.rate_hz != fitted.rate_hz:
        samples = resample(fitted.samples, fitted.rate_hz, hearing.rate_hz)
        fitted = SpatialAudio(samples, hearing.rate_hz, fitted.layout)
    camera = Direction(*hearing.camera) if hearing.camera is not None else None
    known: dict[str, NDArray[np.float32]] = {}
    wanted = set(hearing.channels)
    if hearing.form == "mono":
        known["mix"] = in_form(fitted, "mono", camera).samples[0]
    elif wanted & {"left", "right", "mix"}:
        left, right = in_form(fitted, "ears", camera).samples
        known |= {"left": left, "right": right, "mix": (left + right) / 2}
    if hearing.form == "field":
        known |= dict(zip(FOA_CHANNELS, fitted.samples, strict=True))
        for name in wanted & set(_DECODINGS):
            known[name] = mono_decode(fitted.samples, camera or Direction(0.0), _DECODINGS[name])
    return np.stack([known[name] for name in hearing.channels]), fitted.rate_hz
