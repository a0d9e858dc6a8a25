"""Two-stage generators: a mono sound from one model or a folder, given its place by a spatializer.

`load_pipeline("MONO+SPATIALIZER")` makes them: `tiny-visage+audio-spatial`, `mmaudio_small_16k+ambi-enc`,
`folder:DIR+duplicate`. Long clips are made window by window, as their first stage is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spatialfoley import timeline
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.mono_sources import (
    FOLDER_PREFIX,
    Generator,
    GeneratorSource,
    MonoRequest,
    MonoSource,
    folder_source,
)
from spatialfoley.pipeline.spatializers import SPATIALIZERS, Spatialize, load_spatializer
from spatialfoley.pipeline.stream import Carry, WindowMaker
from spatialfoley.pipeline.windows import Seams, Window, WindowPlan
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio

JOINT = "+"


class TwoStagePipeline:
    """Silent video to a sound field, or to two ears, by way of one channel. Made by ``load_pipeline``."""

    def __init__(self, mono: MonoSource, spatializer: Spatialize) -> None:
        """Join two stages."""
        self.mono, self.spatializer = mono, spatializer

    @property
    def layout(self) -> Literal["foa", "binaural"]:
        """What the channels of the sound mean."""
        return self.spatializer.layout

    @property
    def options(self) -> frozenset[str]:
        """Names of the settings of a request that it has, beside those that every model has."""
        return self.mono.options

    def __call__(
        self,
        video: Video,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        rate_hz: int | None = None,
        **settings: Any,
    ) -> SpatialAudio:
        """Make the sound of a silent video.

        Args:
            video: from ``read_video`` or ``Video.from_frames``.
            camera: where the picture's centre points, fixed or over time; only a field is turned by it, ears are
                at the camera.
            seed: any number from 0; the same seed, clip and settings give the same sound.
            rate_hz: rate of the result; None for the first stage's.
            settings: further ones of the first stage, see `MonoRequest`.

        Returns:
            as ``layout`` says, ``round(video.duration_s * rate_hz)`` samples, within full scale.

        Raises:
            ValueError: The first stage has no such setting, or the clip cannot be used.
        """
        unknown = sorted(set(settings) - self.options)
        if unknown:
            raise ValueError(
                f"{self.name} has no setting {', '.join(unknown)}; it has seed, rate_hz, "
                f"{', '.join(sorted(self.options)) or 'and no others'}"
            )
        return self.generate(video, MonoRequest(seed, **settings), camera, rate_hz)[0]

    @property
    def name(self) -> str:
        """Both stages, as they are asked for."""
        return f"{self.mono.name}{JOINT}{self.spatializer.name}"

    def generate(
        self,
        video: Video,
        request: MonoRequest,
        camera: Camera = Direction(0.0),
        rate_hz: int | None = None,
        report: Report = lambda fraction: None,
    ) -> tuple[SpatialAudio, float]:
        """The same as calling the pipeline, with the gain in dB that was needed, telling the fraction done."""
        return joined(self.windows(video, request, camera, report), video.duration_s, rate_hz)

    def windows(
        self,
        video: Video,
        request: MonoRequest,
        camera: Camera = Direction(0.0),
        report: Report = lambda fraction: None,
    ) -> "TwoStageWindows":
        """The clip as something that is made window by window, for ``stream.stream_sound``."""
        maker = self.mono.windows(video, request, camera, report)
        return TwoStageWindows(maker, self.spatializer, video, camera, request)

    def describe(self) -> dict[str, Any]:
        """What the sidecar says of both stages: name, licence, weights, layout, device and arithmetic."""
        mono, place = self.mono.describe(), self.spatializer.describe()
        hashes = dict(mono["weights_sha256"])
        if place["weights_sha256"] is not None:
            hashes["spatializer"] = place["weights_sha256"]
        return {
            "model": self.name,
            "licence": f"{self.mono.name}: {mono['licence']}; {self.spatializer.name}: {place['licence']}",
            "weights_sha256": hashes,
            "layout": self.layout,
            "rate_hz": mono.get("rate_hz"),
            "device": mono["device"],
            "kernel": mono["kernel"],
            "mono": mono,
            "spatializer": place,
        }


@dataclass(frozen=True)
class TwoStageWindows:
    """One clip being made, window by window: a `stream.WindowMaker`.

    Attributes:
        maker: the mono sound.
        spatializer: what gives it a place.
        video: the picture.
        camera: where its centre points, seconds counted from the start of the clip.
        request: seed and kind of picture are read.
    """

    maker: WindowMaker
    spatializer: Spatialize
    video: Video
    camera: Camera
    request: MonoRequest

    @property
    def layout(self) -> Literal["mono", "binaural", "foa"]:
        """What the channels mean."""
        return self.spatializer.layout

    @property
    def rate_hz(self) -> int:
        """Samples per second, those of the mono sound."""
        return self.maker.rate_hz

    @property
    def plan(self) -> WindowPlan:
        """The windows of the mono sound."""
        return self.maker.plan

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """Sound of one window with its place, and what the mono sound of the next one goes on from."""
        piece, carry = self.maker.make(window, carry)
        placed = self.spatializer(
            SpatialAudio(piece, self.rate_hz, "mono"),
            self.video,
            self.camera,
            self.request.seed,
            window.start / self.rate_hz,
            self.request.panorama,
        )
        return placed.samples, carry


def joined(maker: WindowMaker, duration_s: float, rate_hz: int | None) -> tuple[SpatialAudio, float]:
    """All windows of a clip in memory, at the final rate, length and level, and the gain in dB for that."""
    seams, parts = Seams(maker.plan), []
    carry: Carry | None = None
    for index in range(len(maker.plan.starts)):
        window = maker.plan.window(index)
        piece, carry = maker.make(window, carry)
        parts.append(seams.join(window, piece))
    rate_hz = rate_hz or maker.rate_hz
    samples = resample(np.concatenate(parts, axis=1), maker.rate_hz, rate_hz)
    samples = fit_length(samples, timeline.sample_count(duration_s, rate_hz))
    return within_full_scale(SpatialAudio(samples, rate_hz, maker.layout))


def is_two_stage(name: str | Path) -> bool:
    """Tell whether a name joins two stages, or should; a folder whose name has a + in it does not."""
    text = str(name)
    joined_or_half = JOINT in text or text.startswith(FOLDER_PREFIX) or text in SPATIALIZERS
    return joined_or_half and not Path(name).expanduser().exists()


def load_two_stage(
    name: str, load: Callable[[str], Any], device: str | torch.device = "cpu"
) -> TwoStagePipeline:
    """A pipeline of two stages.

    Args:
        name: "MONO+SPATIALIZER"; MONO is a model or "folder:DIR", SPATIALIZER a name or a folder of a run.
        load: loads a model by its name.
        device: where the spatializer computes.

    Raises:
        ValueError: if a stage is missing or unknown, or the first one has two stages itself.
    """
    first, _, second = name.rpartition(JOINT)
    if not first or not second:
        raise ValueError(
            f"model is {name!r}, with one stage of two; give MONO+SPATIALIZER such as tiny-visage+ambi-enc "
            f"(spatializers: {', '.join(SPATIALIZERS)})"
        )
    spatializer = load_spatializer(second, device)
    if first.startswith(FOLDER_PREFIX):
        return TwoStagePipeline(folder_source(first.removeprefix(FOLDER_PREFIX)), spatializer)
    pipe = load(first)
    if not isinstance(pipe, Generator):
        raise ValueError(
            f"model is {name!r}, but {first} is no single model; give one model or {FOLDER_PREFIX}DIR before "
            f"the last {JOINT}"
        )
    return TwoStagePipeline(GeneratorSource(pipe), spatializer)
