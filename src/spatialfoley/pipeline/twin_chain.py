"""The tiny twins of ViSAudio from video and words to two ears, or to a sound field in world axes.

The same numbered steps as the other chains: encode (1), sample (2), decode (3), window after window. The sound is
made around the camera; a field is then turned into the world by the camera's pose, at every sample where it moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.sampler import FlowSettings, Known, Solver
from spatialfoley.generators.visaudio.twin import named_words
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.pipeline.chain import clip_id, clip_seed
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.stream import Carry
from spatialfoley.pipeline.twin_steps import TwinSteps
from spatialfoley.pipeline.windows import Seams, Window, WindowPlan
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory, as_world
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

Seen = Callable[[Window], ClipFeatures]
TwinLayout = Literal["mono", "binaural", "foa"]


@dataclass(frozen=True)
class TwinDefaults:
    """How a twin likes to be sampled.

    Attributes:
        steps: From noise to sound.
        guidance: Strength, 1 for none.
        solver: See `FlowSettings`.
        level_temperature: Factor of the noise of levels, ratios and delays, see `form_noise`.
    """

    steps: int = 8
    guidance: float = 2.0
    solver: Solver = "euler"
    level_temperature: float = 1.0


@dataclass(frozen=True)
class TwinClip:
    """What one clip's sound is made from.

    Attributes:
        windows: What is seen and said in each window.
        unwanted: The words that shall not be heard; None for none.
        plan: The windows.
        clip_id: Name and start of the clip; part of its noise.
        duration_s: Length of the clip.
    """

    windows: tuple[ClipFeatures, ...]
    unwanted: Tensor | None
    plan: WindowPlan
    clip_id: str
    duration_s: float


class TwinPipeline:
    """Silent video and words to sound with a place. Made by ``load_pipeline``."""

    def __init__(self, steps: TwinSteps, defaults: TwinDefaults, description: Mapping[str, Any]) -> None:
        """Join a twin's parts with what is told of them.

        Args:
            steps: the parts.
            defaults: steps and guidance where a call does not say.
            description: what ``describe`` says of the model: name, licence, hashes of the weights.
        """
        self.steps, self.defaults = steps, defaults
        self._description = dict(description)

    @property
    def rate_hz(self) -> int:
        """Sample rate of what the codec makes."""
        return self.steps.codec.rate_hz

    @property
    def layout(self) -> TwinLayout:
        """What the channels of the sound mean."""
        if self.steps.head is not None:
            return self.steps.head.config.layout
        return self.steps.network.twin.form.layout

    def __call__(
        self,
        video: Video,
        camera: Camera = Direction(0.0),
        text: str = "",
        negative_text: str = "",
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        rate_hz: int | None = None,
    ) -> SpatialAudio:
        """Make the sound of a silent video: steps 1 to 3.

        Args:
            video: from ``read_video`` or ``Video.from_frames``.
            camera: where the picture's centre points, fixed or over time; only a field is turned by it, ears are
                at the camera.
            text: what shall be heard, in words that the model knows; may be empty.
            negative_text: what shall not be heard.
            seed: any number from 0; the same seed, clip and settings give the same sound.
            steps: of the flow; None for the model's way.
            guidance: strength, 1 for none; None for the model's way.
            rate_hz: rate of the result; None for the codec's.

        Returns:
            ``round(video.duration_s * rate_hz)`` samples, within full scale.
        """
        request = FlowRequest(text, negative_text, seed, steps, guidance, rate_hz)
        return self.generate(video, request, camera=camera)[0]

    def generate(
        self,
        video: Video,
        request: FlowRequest,
        report: Report = lambda fraction: None,
        camera: Camera = Direction(0.0),
    ) -> tuple[SpatialAudio, float]:
        """The same as calling the pipeline, with the gain in dB that was needed, telling the fraction done."""
        windows = self.windows(video, request, report, camera)
        return self._joined(windows, video.duration_s, request.rate_hz)

    def windows(
        self,
        video: Video,
        request: FlowRequest,
        report: Report = lambda fraction: None,
        camera: Camera = Direction(0.0),
    ) -> "TwinWindows":
        """The clip as something that is made window by window, for ``stream.stream_sound``."""
        plan = self.steps.plan(video.duration_s)
        wanted, unwanted = self._words(request.text), self._words(request.negative_text)
        if unwanted is not None and len(self.guidance(request.guidance).branches) == 1:
            warn(
                "negative_text acts through guidance, which is off; give guidance 2, for example",
                stacklevel=2,
            )

        def seen(window: Window) -> ClipFeatures:
            return self.steps.seen(video, window, wanted, request.panorama)

        return TwinWindows(
            self, seen, plan, unwanted, clip_id(video), request, as_trajectory(camera), None, report
        )

    def encode(
        self, video: Video, text: str = "", negative_text: str = "", panorama: bool | None = None
    ) -> TwinClip:
        """Step 1: video and words to features, window by window."""
        plan, wanted = self.steps.plan(video.duration_s), self._words(text)
        windows = [
            self.steps.seen(video, plan.window(index), wanted, panorama) for index in range(len(plan.starts))
        ]
        return TwinClip(tuple(windows), self._words(negative_text), plan, clip_id(video), video.duration_s)

    def make(
        self,
        clip: TwinClip,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        solver: Solver | None = None,
        camera: Camera = Direction(0.0),
    ) -> SpatialAudio:
        """Steps 2 and 3: the sound of a clip's features."""
        request = FlowRequest(seed=seed, steps=steps, guidance=guidance)
        windows = TwinWindows(
            self,
            lambda window: clip.windows[window.index],
            clip.plan,
            clip.unwanted,
            clip.clip_id,
            request,
            as_trajectory(camera),
            solver,
        )
        return self._joined(windows, clip.duration_s, None)[0]

    def guidance(self, strength: float | None) -> Guidance:
        """The guidance of a strength."""
        return Guidance.of_strength(self.defaults.guidance if strength is None else strength)

    def settings(self, steps: int | None, solver: Solver | None = None) -> FlowSettings:
        """How the flow is followed in some number of steps."""
        return FlowSettings(steps or self.defaults.steps, solver or self.defaults.solver)

    def describe(self) -> dict[str, Any]:
        """What the sidecar says of the model: name, licence, weights, rate, channels, form and arithmetic."""
        return {
            **self._description,
            "rate_hz": self.rate_hz,
            "layout": self.layout,
            "form": self.steps.network.twin.form.form,
            "level_temperature": self.defaults.level_temperature,
            "evenness": self.steps.evenness,
            "device": "cpu",
            "kernel": "float32",
        }

    def _joined(
        self,
        windows: "TwinWindows",
        duration_s: float,
        rate_hz: int | None,
    ) -> tuple[SpatialAudio, float]:
        """All windows of a clip in memory, at the final rate, length and level, and the gain in dB for that."""
        carry: Carry | None = None
        seams, parts = Seams(windows.plan), []
        for index in range(len(windows.plan.starts)):
            window = windows.plan.window(index)
            piece, carry = windows.make(window, carry)
            parts.append(seams.join(window, piece))
        rate_hz = rate_hz or self.rate_hz
        samples = resample(np.concatenate(parts, axis=1), self.rate_hz, rate_hz)
        samples = fit_length(samples, timeline.sample_count(duration_s, rate_hz))
        return within_full_scale(SpatialAudio(samples, rate_hz, self.layout))

    def _words(self, text: str) -> Tensor | None:
        if not text.strip():
            return None
        known = self.steps.network.twin.words
        named, others = named_words(text, known)
        if not named.any():
            warn(
                f"text {text!r} names none of the words that {self._description.get('model', 'this model')} knows "
                f"({', '.join(known)}); it changes nothing",
                stacklevel=2,
            )
        elif others:
            warn(f"words without effect here: {', '.join(others)}", stacklevel=2)
        return named


class TwinWindows:
    """One clip being made, window by window: a `stream.WindowMaker`; the windows are to be made in order."""

    def __init__(
        self,
        pipe: TwinPipeline,
        seen: Seen,
        plan: WindowPlan,
        unwanted: Tensor | None,
        name: str,
        request: FlowRequest,
        camera: CameraTrajectory,
        solver: Solver | None = None,
        report: Report = lambda fraction: None,
    ) -> None:
        """Hold what a window needs beside the one before it."""
        self.plan, self.rate_hz, self.layout = plan, pipe.rate_hz, pipe.layout
        self._steps, self._seen, self._unwanted, self._camera = pipe.steps, seen, unwanted, camera
        self._guidance = pipe.guidance(request.guidance)
        self._temperature = pipe.defaults.level_temperature
        self._settings = pipe.settings(request.steps, solver)
        self._seed, self._report = clip_seed(request.seed, name), report

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """Sound of one window that continues the one before, and what the next one continues."""
        seen = self._seen(window)
        known = None if not carry else Known(carry["latents"], carry["noise"])
        latents, noise = self._steps.latents(
            seen,
            window,
            self._seed,
            self._guidance,
            self._settings,
            self._unwanted,
            known,
            self._temperature,
        )
        self._report((window.index + 1) / len(self.plan.starts))
        sound = self._steps.sound(latents, seen, window)
        if self.layout == "foa":
            turned = as_world(
                SpatialAudio(sound, self.rate_hz, "foa"), self._camera.seen_from(window.start / self.rate_hz)
            )
            sound = turned.samples
        token = self._steps.codec.hop_samples * self._steps.network.twin.form.frames_per_token
        shared = self.plan.shared_with_next(window.index) // token
        ends = {"latents": latents[:, :, -shared:], "noise": noise[:, :, -shared:]} if shared else {}
        return sound, ends
