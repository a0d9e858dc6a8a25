"""MMAudio and ViSAudio from video and text to sound, in the same numbered steps as ViSAGe's chain.

1. encode: video → frames → features of every window; text → features.
2. sample: features → conditions → latents, by following the guided flow from seeded noise; each window of a long
   clip begins with the last latents of the one before.
3. decode: latents → each channel by itself → one sound as long as the video, one gain for all channels.

MMAudio makes one channel, ViSAudio two ears at the camera. With a spatial head, MMAudio's one channel becomes a
sound field in world axes, or two ears, and is left as it is. The published models are trained on eight seconds;
shorter clips are made at their own length, as published, longer ones in windows that continue each other. The steps
by hand hold a clip as a whole; `flow_windows.FlowWindows` does them window by window, for clips of any length.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.codecs.mel_vae_codec import MelVaeCodec
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.inference import InferenceSettings
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.sampler import (
    PUBLISHED_GUIDANCE,
    PUBLISHED_SETTINGS,
    FlowSettings,
    Known,
)
from spatialfoley.generators.visaudio.spatial_head import FieldNumbers, SpatialHead
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.pipeline.chain import clip_id, clip_seed
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.fitting import refuse_misfits
from spatialfoley.pipeline.flow_clip import FlowClip, FlowEncoders, FlowLatents, FlowRequest
from spatialfoley.pipeline.flow_steps import FlowSteps
from spatialfoley.pipeline.flow_windows import FlowWindows
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.windows import join_windows
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory
from spatialfoley.spatial.signal import SpatialAudio

_ENCODING_SHARE, _SAMPLING_SHARE = 0.4, 0.5


class FlowPipeline:
    """Silent video and text to sound of one channel, two ears or a field. Made by ``load_pipeline``."""

    def __init__(
        self,
        network: MMAudioNetwork | VisaudioNetwork,
        encoders: FlowEncoders,
        codec: MelVaeCodec,
        description: Mapping[str, Any],
        device: torch.device | str = "cpu",
        inference: InferenceSettings | None = None,
        head: SpatialHead | None = None,
    ) -> None:
        """Join parts that fit together.

        Args:
            network: the generator, on the device, in evaluation mode.
            encoders: of frames and texts.
            codec: latents to sound.
            description: what ``describe`` says of the model: name, licence, hashes of the weights.
            device: where the generator computes.
            inference: what is done unless it is asked otherwise; None for what is published.
            head: where the sound of one channel is, on the device, in evaluation mode.

        Raises:
            ValueError: if the sizes of two parts differ, or the channels are neither one nor two ears.
        """
        self.network, self.encoders, self.codec = network, encoders, codec
        self.device = torch.device(device)
        self._description = dict(description)
        self.branches = network.config.branches if isinstance(network, VisaudioNetwork) else ("mono",)
        if len(self.branches) != 1 and self.branches != ("left", "right"):
            raise ValueError(
                f"the network has the channels {', '.join(self.branches)}; this chain makes one channel, or left "
                "and right"
            )
        refuse_misfits(network, encoders, codec, head)
        self.inference = inference or InferenceSettings()
        encode_empty = self.inference.empty_text == "encoded"
        self.steps = FlowSteps(network, encoders, codec, self.branches, self.device, encode_empty, head)

    @property
    def rate_hz(self) -> int:
        """Sample rate of what the codec makes."""
        return self.codec.rate_hz

    @property
    def layout(self) -> Literal["mono", "binaural", "foa"]:
        """What the channels of the sound mean."""
        if self.steps.head is not None:
            return self.steps.head.config.layout
        return "mono" if len(self.branches) == 1 else "binaural"

    def __call__(
        self,
        video: Video,
        text: str = "",
        negative_text: str = "",
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        rate_hz: int | None = None,
        camera: Camera = Direction(0.0),
    ) -> SpatialAudio:
        """Make the sound of a silent video: steps 1 to 3.

        Args:
            video: from ``read_video`` or ``Video.from_frames``, at least as long as one Synchformer segment.
            text: what shall be heard; may be empty.
            negative_text: what shall not be heard.
            seed: any number from 0; the same seed, clip and settings give the same sound.
            steps: of the flow; None for the model's own, 25 as published.
            guidance: strength, 1 for none; None for the model's own, 4.5 as published.
            rate_hz: rate of the result; None for the codec's.
            camera: where the picture's centre points, fixed or over time; only a field is turned by it, ears are
                at the camera.

        Returns:
            as ``layout`` says, ``round(video.duration_s * rate_hz)`` samples, within full scale.
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
        clip = self.encode(
            video,
            request.text,
            request.negative_text,
            request.panorama,
            lambda part: report(part * _ENCODING_SHARE),
        )
        latents = self.sample(
            clip,
            request.seed,
            self.guidance(request.guidance),
            self.settings(request.steps),
            lambda part: report(_ENCODING_SHARE + part * _SAMPLING_SHARE),
        )
        return self.decode_measured(latents, request.rate_hz, camera)

    def windows(
        self,
        video: Video,
        request: FlowRequest,
        report: Report = lambda fraction: None,
        camera: Camera = Direction(0.0),
    ) -> FlowWindows:
        """The clip as something that is made window by window, for ``stream.stream_sound``."""
        return FlowWindows(self, video, request, report, camera)

    def noise_seed(self, video: Video, seed: int) -> int:
        """Where the noise of a clip begins."""
        return clip_seed(seed, clip_id(video))

    def guidance(self, strength: float | None) -> Guidance:
        """The guidance of a strength on MMAudio's scale; None for the model's own."""
        return Guidance.of_strength(self.inference.guidance if strength is None else strength)

    def settings(self, steps: int | None) -> FlowSettings:
        """How the flow is followed in some number of steps; None for the model's own."""
        return replace(PUBLISHED_SETTINGS, steps=self.inference.steps if steps is None else steps)

    def encode(
        self,
        video: Video,
        text: str = "",
        negative_text: str = "",
        panorama: bool | None = None,
        report: Report = lambda fraction: None,
    ) -> FlowClip:
        """Step 1: video and text to features, window by window.

        Raises:
            ValueError: if the video is shorter than one segment, or texts are given without a vocabulary.
        """
        plan, texts = self.steps.plan(video.duration_s), self.steps.text(text)
        windows: list[ClipFeatures] = []
        for index in range(len(plan.starts)):
            windows.append(self.steps.features(video, plan, index, texts, panorama))
            report(len(windows) / len(plan.starts))
        negative = self.steps.text(negative_text)
        return FlowClip(tuple(windows), negative, plan, clip_id(video), video.duration_s)

    def sample(
        self,
        clip: FlowClip,
        seed: int = 0,
        guidance: Guidance = PUBLISHED_GUIDANCE,
        settings: FlowSettings = PUBLISHED_SETTINGS,
        report: Report = lambda fraction: None,
    ) -> FlowLatents:
        """Step 2: features to latents; each window has noise of its own, from the seed, the clip and its number."""
        noise_seed, plan = clip_seed(seed, clip.clip_id), clip.plan
        made: list[Tensor] = []
        places: list[FieldNumbers | None] = []
        known: Known | None = None
        for index, features in enumerate(clip.windows):

            def on_step(step: int, steps: int, index: int = index) -> None:
                report((index + step / steps) / len(clip.windows))

            noise = self.steps.noise(plan, index, noise_seed, known)
            latents = self.steps.latents(
                features, clip.negative_text, plan, noise, guidance, settings, known, on_step
            )
            known = self.steps.end_of(latents, noise, plan, index)
            made.append(self.steps.channels(latents))
            places.append(self.steps.place(latents, features))
        return FlowLatents(tuple(made), plan, clip.duration_s, tuple(places))

    def decode(
        self, latents: FlowLatents, rate_hz: int | None = None, camera: Camera = Direction(0.0)
    ) -> SpatialAudio:
        """Step 3: latents to sound, as long as the video, within full scale."""
        return self.decode_measured(latents, rate_hz, camera)[0]

    def decode_measured(
        self, latents: FlowLatents, rate_hz: int | None = None, camera: Camera = Direction(0.0)
    ) -> tuple[SpatialAudio, float]:
        """Step 3, and the gain in dB (0 or below) that was needed: one for all, so that levels stay true."""
        places, trajectory = latents.places or (None,) * len(latents.latents), as_trajectory(camera)
        pieces = [
            self.steps.sound(channels, latents.plan, index, place, trajectory)
            for index, (channels, place) in enumerate(zip(latents.latents, places, strict=True))
        ]
        rate_hz = rate_hz or self.rate_hz
        samples = resample(join_windows(latents.plan, pieces), self.rate_hz, rate_hz)
        samples = fit_length(samples, timeline.sample_count(latents.duration_s, rate_hz))
        return within_full_scale(SpatialAudio(samples, rate_hz, self.layout))

    def describe(self) -> dict[str, Any]:
        """What the sidecar says of the model: name, licence, weights, rate, channels, device and arithmetic."""
        return {
            **self._description,
            "rate_hz": self.rate_hz,
            "layout": self.layout,
            "inference": asdict(self.inference),
            "device": str(self.device),
            "kernel": self.network.arithmetic,
        }
