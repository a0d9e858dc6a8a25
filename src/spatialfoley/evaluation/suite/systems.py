"""What is scored: anything that makes a sound for a clip, be it a model, the truth, or a baseline.

A system is a name, a function and a label. The label says which weights and settings are behind the name, so that
scores that were kept are never taken for those of another training. Models see video, camera and seed only;
baselines may be made from the truth, and two-stage ones from what another system made for the same clip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.suite.clips import ClipTruth, WorldClip
from spatialfoley.media.video import Video
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

Generate = Callable[[WorldClip], SpatialAudio]
"""A world-locked field, two ears at the camera, or one channel, from video, camera and seed of a clip."""
RoundTrip = Callable[[SpatialAudio, SpatialAudio], SpatialAudio]
"""From the true field and the ears that hear it to either of them, as a codec gives it back."""
Spatialize = Callable[[SpatialAudio, Video, CameraTrajectory, int], SpatialAudio]
"""From one channel, what the camera sees, where it looks and a seed to a field or two ears."""
Make = Callable[[WorldClip, ClipTruth, SpatialAudio | None], SpatialAudio]
"""From a clip, its truth, and the sound of the system it builds on, if any, to a sound."""

TRUTH, NOISE = "truth", "noise"
TRUE_MONO = "true mono"
AMBI_ENCODE = "ambi-enc"
AMBI_ENCODED_TRUTH = f"{TRUE_MONO}+{AMBI_ENCODE}"
"""What models are compared with clip by clip: it knows the sound and takes it to come from the picture's centre."""


@dataclass(frozen=True, eq=False)
class System:
    """Something that makes a sound for every clip.

    Attributes:
        name: As it stands in the tables.
        make: Makes the sound.
        label: Name with hashes of weights: kept scores of another label are not taken.
        about: What makes the sound from what, in a few words.
        details: For the report's provenance: licence, hashes, settings.
        is_model: Whether it is a model that sees nothing but the picture: it is compared with Ambi Enc., tested
            with a turned camera, and its worst and best clips are shown.
        source: System whose sound it starts from; its seconds count too.
        shown: Whether its worst and best clips are shown although it is no model.
    """

    name: str
    make: Make
    label: str
    about: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    is_model: bool = False
    source: str | None = None
    shown: bool = False

    @property
    def info(self) -> "SystemInfo":
        """What reports say of it."""
        competes = self.is_model or self.source is not None
        return SystemInfo(self.label, self.about, self.details, self.is_model, competes, self.shown)


@dataclass(frozen=True)
class SystemInfo:
    """What reports say of a system.

    Attributes:
        label: As of `System`.
        about: As there.
        details: As there.
        is_model: As there.
        competes: Whether it knows no more than the picture; the others mark the ends of the scale.
        shown: As of `System`.
    """

    label: str
    about: str
    details: dict[str, Any]
    is_model: bool
    competes: bool
    shown: bool


def model_system(
    name: str, generate: Generate, label: str, about: str = "", details: dict[str, Any] | None = None
) -> System:
    """A model under test: picture, camera and seed to sound."""
    return System(
        name,
        lambda clip, truth, source: generate(clip),
        label,
        about or "made from the picture alone",
        details or {},
        is_model=True,
        shown=True,
    )


def truth_system() -> System:
    """The scene's own field: what the measurement itself can do."""
    return System(TRUTH, lambda clip, truth, source: truth.field, TRUTH, "the scene's own field")


def noise_system() -> System:
    """Independent white noise in all channels, at the level of the truth."""
    about = "independent white noise in all channels, at the level of the truth"
    return System(NOISE, lambda clip, truth, source: _noise(clip, truth), NOISE, about)


def codec_system(model: str, round_trip: RoundTrip, label: str) -> System:
    """The truth through what a model speaks and back: what it could say at best."""

    def make(clip: WorldClip, truth: ClipTruth, source: SpatialAudio | None) -> SpatialAudio:
        return round_trip(truth.field, SpatialAudio(truth.ears.ears, SCORE_RATE_HZ, "binaural"))

    return System(
        f"codec of {model}", make, f"codec-{label}", f"the truth through the codec of {model} and back"
    )


def two_stage_system(
    spatializer: str,
    spatialize: Spatialize,
    label: str,
    source: System | None = None,
    details: dict[str, Any] | None = None,
    shown: bool = False,
) -> System:
    """A mono sound that a spatializer gives a place.

    Args:
        spatializer: Its name.
        spatialize: Places the sound.
        label: Of the spatializer, with the hash of its weights.
        source: System whose sound is reduced to one channel; None: the true sound of all sources without
            direction, a perfect first stage.
        details: For the report's provenance.
        shown: Whether its worst and best clips are shown.
    """

    def make(clip: WorldClip, truth: ClipTruth, made: SpatialAudio | None) -> SpatialAudio:
        mono = SpatialAudio(truth.mono[None], SCORE_RATE_HZ, "mono") if made is None else as_mono(made)
        return spatialize(mono, clip.video, clip.camera, clip.seed)

    return System(
        name=f"{TRUE_MONO if source is None else source.name}+{spatializer}",
        make=make,
        label=label if source is None else f"{source.label}+{label}",
        about=f"{'the true mono sound' if source is None else f'the mono sound of {source.name}'}, placed by "
        f"{spatializer}",
        details=details or {},
        source=None if source is None else source.name,
        shown=shown,
    )


def as_mono(audio: SpatialAudio) -> SpatialAudio:
    """One channel: W of a field, the mean of two ears or of loudspeaker channels."""
    samples = audio.samples[W] if audio.layout == "foa" else audio.samples.mean(axis=0)
    return SpatialAudio(samples[None], audio.rate_hz, "mono")


def check_systems(systems: Sequence[System]) -> None:
    """Refuse what could not be told apart, or builds on what is not there.

    Raises:
        ValueError: A name comes twice, the truth is missing, or a system comes before the one it builds on.
    """
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"systems hold {', '.join(twice)} more than once; give each model once")
    if TRUTH not in names:
        raise ValueError(
            f"systems are {', '.join(names)}; {TRUTH} must be among them: all is compared with it"
        )
    for place, system in enumerate(systems):
        if system.source is not None and system.source not in names[:place]:
            raise ValueError(f"{system.name} builds on {system.source}, which must come before it")


def _noise(clip: WorldClip, truth: ClipTruth) -> SpatialAudio:
    level = float(np.sqrt(np.mean(truth.field.samples[W].astype(np.float64) ** 2)))
    noise = np.random.default_rng(clip.seed).normal(0, level, truth.field.samples.shape)
    return SpatialAudio(noise.astype(np.float32), SCORE_RATE_HZ, "foa")
