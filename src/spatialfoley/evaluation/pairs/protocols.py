"""How the papers measured, as named settings.

Each protocol says how long a clip is, at which rate the listeners hear it, which networks listen to which
channels and which formula their divergences have. The spatial figures are computed alike in all of them,
`correct` and
`reference` maps side by side.

``"ours"``
    Clips keep the length of the truth. Two sounds may differ by 0.5 s or by 10 % of the truth, whichever is
    less (but 0.1 s always): that much is cut off or padded with silence, for codecs and containers round
    lengths; more means that the sound was made for another clip, and is an error. Listeners hear the sound at
    its own rate.
``"visage"``
    Kim, Yun and Kim, ICLR 2025, as the released scripts do it: everything at 16 kHz, its first 80000 samples
    (5 s), padded with silence. FAD by VGGish and KL by PaSST (formula of audioldm_eval) of the field decoded
    in the camera direction ("dec"); FAD of each channel, averaged ("avg"). The released script decodes
    generated sound with a stray division (`spatial.single_direction`), and the truth towards the mirrored
    side: "dec as published".
``"visaudio"``
    ViSAudio, arXiv 2512.03036, with av-benchmark: two ears, clips of 8 s. FD by VGGish and by CNN14 (PANNs),
    KL by CNN14, each of both ears mixed to one channel ("mix") and of the ears one by one, averaged ("avg").
    Longer sound is cut to 8 s, shorter sound is not padded beyond the tolerance above. Fields are rendered to
    two ears at the camera, which looks to the front, YT-Ambigen's (44.5, 89.5). ViSAGe makes 5 s only: the
    paper gives it video compressed from 8 s to 5 s and "restores the output to 8 s"; `restore_length` says
    how we read that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.divergence import KlFormula
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.signal import SpatialAudio

LENGTH_LIMIT_S = 0.5
LENGTH_LIMIT_SHARE = 0.1
LEAST_LIMIT_S = 0.1


@dataclass(frozen=True)
class Protocol:
    """Settings of a comparison.

    Attributes:
        name: "ours", "visage" or "visaudio".
        listeners: Networks that listen where the user names none.
        views: Which channels are listened to: "mix", "avg", "channels", "dec", "dec_published" (see `views`).
        distances: Listeners whose Fréchet distances are told; empty for all.
        divergences: Listeners whose KL divergences are told; empty for all that know classes.
        kl_formula: Of the divergences.
        duration_s: Clips are cut to this length; None: to that of the truth.
        padded: Whether shorter sound is padded to `duration_s`, whatever it lacks.
        listener_rate_hz: Rate that sound has before listeners hear it; None: its own.
    """

    name: str
    listeners: tuple[str, ...] = ("world",)
    views: tuple[str, ...] = ("mix", "avg", "channels", "dec")
    distances: tuple[str, ...] = ()
    divergences: tuple[str, ...] = ()
    kl_formula: KlFormula = "av-bench"
    duration_s: float | None = None
    padded: bool = False
    listener_rate_hz: int | None = None

    def tells_distance(self, listener: str) -> bool:
        """Whether the protocol has a Fréchet distance of a listener; of listeners it does not know, "
        "always."""
        return not self.distances or listener in self.distances or listener not in self.listeners

    def tells_divergence(self, listener: str) -> bool:
        """Whether the protocol has a divergence of a listener; of listeners it does not know, always."""
        return not self.divergences or listener in self.divergences or listener not in self.listeners


PROTOCOLS: dict[str, Protocol] = {
    "ours": Protocol("ours"),
    "visage": Protocol(
        "visage",
        listeners=("vggish", "passt"),
        views=("dec", "dec_published", "channels"),
        distances=("vggish",),
        divergences=("passt",),
        kl_formula="audioldm",
        duration_s=5.0,
        padded=True,
        listener_rate_hz=16000,
    ),
    "visaudio": Protocol(
        "visaudio",
        listeners=("vggish", "cnn14"),
        views=("mix", "avg"),
        divergences=("cnn14",),
        duration_s=8.0,
    ),
}


def protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"protocol is {name!r}; it must be one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def truth_duration_s(truth: SpatialAudio, rules: Protocol) -> float:
    """How long the clip is: the protocol's length, or the truth's where that is shorter and not padded."""
    if rules.duration_s is None:
        return truth.duration_s
    return rules.duration_s if rules.padded else min(rules.duration_s, truth.duration_s)


def length_problem(estimate_s: float, duration_s: float, rules: Protocol) -> str:
    """Why a sound of another length cannot be scored; empty where it can.

    Args:
        estimate_s: Length of the generated sound.
        duration_s: Length of the clip, from `truth_duration_s`.
        rules: Of the comparison.
    """
    if rules.padded or (rules.duration_s is not None and estimate_s >= duration_s):
        return ""
    limit_s = max(LEAST_LIMIT_S, min(LENGTH_LIMIT_S, LENGTH_LIMIT_SHARE * duration_s))
    if abs(estimate_s - duration_s) <= limit_s + 1e-9:
        return ""
    return (
        f"lasts {estimate_s:.2f} s and its truth {duration_s:.2f} s; they may differ by {limit_s:.2f} s (the "
        f"least of {LENGTH_LIMIT_S} s and {LENGTH_LIMIT_SHARE:.0%}): cut it, or make it for the whole clip"
    )


def fit_duration(sound: SpatialAudio, duration_s: float) -> SpatialAudio:
    """A sound cut to a duration or padded with silence, at its own rate."""
    frames = round(duration_s * sound.rate_hz)
    if frames == sound.frames:
        return sound
    return SpatialAudio(fit_length(sound.samples, frames), sound.rate_hz, sound.layout)


def restore_length(sound: SpatialAudio, duration_s: float) -> SpatialAudio:
    """Stretch a sound that was made for compressed video back to the video's own length.

    The ViSAudio paper compresses videos of 8 s to 5 s for ViSAGe and "restores the output to 8 s" without
    saying how. Our reading: what was played 1.6 times too fast is played slower, by resampling, so that
    events fall where the video has them and everything sounds 1.6 times lower. A method that keeps the pitch
    would score otherwise.

    Args:
        sound: Of any layout.
        duration_s: Length of the uncompressed clip, above 0.

    Raises:
        ValueError: The duration is not positive.
    """
    frames = round(duration_s * sound.rate_hz)
    if frames < 1:
        raise ValueError(f"duration_s is {duration_s}; it must be longer than one sample")
    stretched: NDArray[np.float32] = fit_length(resample(sound.samples, sound.frames, frames), frames)
    return SpatialAudio(stretched, sound.rate_hz, sound.layout)
