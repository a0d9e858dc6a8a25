"""The whole chain in numbered steps: encode (1), sample (2), decode (3).

1. encode: video → frames → features → conditions, one set per window of the clip.
2. sample: conditions → codec tokens, by the generator, its guidance and seeded noise; each window of a long clip
   begins with the last tokens of the one before, and goes on from there.
3. decode: tokens → four channels → one sound field in world axes, exactly as long as the video.

Where more than one candidate is asked for, step 2 draws all candidates of a window as one batch and goes on from
the best; where a chain of codecs is asked for, the whole sound passes it after step 3 (see `reranking` and
`post_processing`).

The three steps by hand hold a clip as a whole; `field_windows.FieldWindows` does them window by window, for clips
of any length.

The camera says where the picture's centre points in the world. A model with ``field_frame`` "camera" makes
the field around the camera and step 3 turns it into the world, at every sample where the camera moves; a
model with "world" reads the camera's direction and makes the field in the world itself, as published.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.codecs.codec import Codec
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.sampler import SamplingSettings
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.pipeline.clip import (
    Camera,
    ClipConditions,
    ClipTokens,
    Defaults,
    Features,
    Generation,
    GenerationSettings,
    Report,
)
from spatialfoley.pipeline.field_fitting import refuse_misfits
from spatialfoley.pipeline.field_windows import FieldWindows
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.post_processing import PostProcessing, generating_report, sent_through
from spatialfoley.pipeline.reranking import DEFAULT_SCORES, SILENT_PEAK, Choice, Show
from spatialfoley.pipeline.window_steps import Drawing, Sight, WindowSteps
from spatialfoley.pipeline.windows import join_windows
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory
from spatialfoley.spatial.signal import SpatialAudio

MOST_DRAWS = 16

_LARGE_WIDTH = 512


class Pipeline:
    """Silent video to first-order ambisonics. Made by ``load_pipeline``."""

    def __init__(
        self,
        model: VisageModel,
        features: Features,
        codec: Codec,
        defaults: Defaults,
        description: Mapping[str, Any],
        device: torch.device | str = "cpu",
        kernel: str = "auto",
    ) -> None:
        """Join parts that fit together.

        Args:
            model: the generator, on the device, in evaluation mode.
            features: frames to conditions.
            codec: tokens to sound.
            defaults: guidance and sampling where a call does not say.
            description: what ``describe`` says of the model: name, licence, hashes of the weights.
            device: where the generator computes.
            kernel: arithmetic of the decoder, see ``DecoderEngine``.

        Raises:
            ValueError: if the rates or sizes of two parts differ.
        """
        self.model, self.features, self.codec = model, features, codec
        self.defaults, self.device = defaults, torch.device(device)
        self._description = dict(description)
        refuse_misfits(model.config, features, codec)
        # A large network would otherwise lie in memory twice, once packed.
        large = model.config.d_model >= _LARGE_WIDTH
        engine = DecoderEngine(model, kernel=kernel, release_weights=large)
        self.steps = WindowSteps(model, engine, features, codec, self.device)
        self.post_processing = PostProcessing(self.device)

    @property
    def rate_hz(self) -> int:
        """Sample rate of what the codec makes."""
        return self.codec.rate_hz

    @property
    def longest_window_s(self) -> float:
        """Seconds the generator makes at once; longer clips are made of several windows."""
        return self.steps.longest_window_s

    def __call__(
        self,
        video: Video,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        guidance_visual: float | None = None,
        guidance_direction: float | None = None,
        sampling: SamplingSettings | None = None,
        rate_hz: int | None = None,
        candidates: int = 1,
        rerank: Sequence[str] = DEFAULT_SCORES,
        chain: Sequence[str] = (),
    ) -> SpatialAudio:
        """Make the sound field of a silent video: steps 1 to 3.

        Args:
            video: from ``read_video`` or ``Video.from_frames``.
            camera: where the picture's centre points, fixed or over time (seconds after the clip's start).
            seed: any number from 0; the same seed, clip and settings give the same sound.
            guidance_visual: how much the picture is stressed; with one of the two given, only that guidance
                is used, with both the dual one, with none the model's own.
            guidance_direction: how much the camera's direction is stressed.
            sampling: how tokens are drawn; None for the model's own way.
            rate_hz: rate of the result; None for the codec's.
            candidates: how many tries at each window the sound is chosen from.
            rerank: names of the scores that choose: likelihood, spatial, onset, audio-visual.
            chain: codecs that the whole sound is sent through: dac, unicodec, tiny.

        Returns:
            layout "foa", world axes, ``round(video.duration_s * rate_hz)`` samples, within full scale.
        """
        settings = GenerationSettings(
            seed,
            self.guidance(guidance_visual, guidance_direction),
            sampling,
            rate_hz,
            candidates=candidates,
            rerank=tuple(rerank),
            chain=tuple(chain),
        )
        return self.generate(video, camera, settings).foa

    def prepare(self, settings: GenerationSettings, show: Show | None = None) -> None:
        """Load what candidates and chain need before anything is made.

        Args:
            settings: what will be asked for.
            show: gets a line on every licence before the weights are read; None logs it.

        Raises:
            ValueError: if a score or a codec is not on this machine, with what to do.
        """
        self.post_processing.links(settings.chain, show)
        self.post_processing.reranker(settings.candidates, settings.rerank, show)

    def generate(
        self,
        video: Video,
        camera: Camera,
        settings: GenerationSettings,
        report: Report = lambda fraction: None,
    ) -> Generation:
        """The same as calling the pipeline, with the gain, and telling the fraction done as it goes.

        A picture in which nothing seems to sound may be given silence by chance. Nobody asks for a silent file,
        so such a clip of one window is drawn again a limited number of times where all its candidates are silent,
        with other noise (the same for the same seed) and as the model learnt it: guidance and a low temperature
        are what makes the unseen silent.
        """
        self.prepare(settings)
        drawing_report, chain_report = generating_report(report, settings.chain)
        conditions = self.encode(video, camera, settings.panorama)
        for draw in range(MOST_DRAWS):
            tokens = self.sample_drawing(conditions, self.drawing(video, settings, draw), drawing_report)
            raw = self._joined(tokens, settings.rate_hz)
            if raw.peak > SILENT_PEAK or len(conditions.windows) > 1:
                break
        foa, gain_db = within_full_scale(sent_through(raw, self.post_processing.links(settings.chain)))
        chain_report(1.0)
        return Generation(foa, gain_db, draw + 1, tokens.choices)

    def windows(
        self,
        video: Video,
        camera: Camera,
        settings: GenerationSettings,
        report: Report = lambda fraction: None,
    ) -> FieldWindows:
        """The clip as something that is made window by window, for ``stream.stream_sound``."""
        return FieldWindows(self, video, camera, settings, report)

    def drawing(self, video: Video, settings: GenerationSettings, draw: int = 0) -> Drawing:
        """How a clip's tokens are drawn; from the second draw on, as the model learnt it (see `generate`)."""
        guidance = settings.guidance or self.defaults.guidance
        sampling = settings.sampling or self.defaults.sampling
        if draw:
            guidance = Guidance.none()
            sampling = replace(sampling, temperature=max(1.0, sampling.temperature))
        reranker = self.post_processing.reranker(settings.candidates, settings.rerank)
        noise_seed = clip_seed(settings.seed, clip_id(video), draw)
        return Drawing(noise_seed, guidance, sampling, settings.candidates, reranker)

    def guidance(self, visual: float | None, direction: float | None) -> Guidance:
        """The guidance of two scales, of which one or both may be left out."""
        if visual is not None and direction is not None:
            return Guidance.dual(visual, direction)
        if visual is not None:
            return Guidance.visual(visual)
        return self.defaults.guidance if direction is None else Guidance.directional(direction)

    def encode(
        self,
        video: Video,
        camera: Camera = Direction(0.0),
        panorama: bool | None = None,
    ) -> ClipConditions:
        """Step 1: video to conditions, window by window.

        Args:
            video: the picture.
            camera: where the picture's centre points.
            panorama: True for an equirectangular picture, of which the network sees the middle; None asks the
                picture's shape.
        """
        trajectory, plan = as_trajectory(camera), self.steps.plan(video.duration_s)
        windows = tuple(
            self.steps.conditions(video, plan, index, trajectory, panorama)
            for index in range(len(plan.starts))
        )
        return ClipConditions(windows, plan, trajectory, clip_id(video), video.duration_s, video, panorama)

    def sample(
        self,
        conditions: ClipConditions,
        seed: int = 0,
        guidance: Guidance | None = None,
        sampling: SamplingSettings | None = None,
        report: Report = lambda fraction: None,
        candidates: int = 1,
        rerank: Sequence[str] = DEFAULT_SCORES,
    ) -> ClipTokens:
        """Step 2: conditions to tokens, of several candidates for each window the best.

        A clip's noise comes from the seed, its name and the window, so that its sound does not depend on what
        else is made in the same run.
        """
        settings = GenerationSettings(seed, guidance, sampling, candidates=candidates, rerank=tuple(rerank))
        return self.sample_drawing(conditions, self.drawing(conditions.video, settings), report)

    def sample_drawing(
        self, conditions: ClipConditions, drawing: Drawing, report: Report = lambda fraction: None
    ) -> ClipTokens:
        """Step 2 with everything that it depends on."""
        sight = Sight(conditions.video, conditions.plan, conditions.camera, conditions.panorama)
        codes: list[Tensor] = []
        choices: list[Choice] = []
        end: Tensor | None = None
        for index, window in enumerate(conditions.windows):

            def on_row(row: int, rows: int, index: int = index) -> None:
                report((index + row / rows) / len(conditions.windows))

            made, choice = self.steps.draw(window, sight, index, drawing, end, on_row)
            end = self.steps.end_of(made, conditions.plan, index)
            codes.append(made)
            choices += [] if choice is None else [choice]
        return ClipTokens(
            tuple(codes), conditions.plan, conditions.camera, conditions.duration_s, tuple(choices)
        )

    def decode(self, tokens: ClipTokens, rate_hz: int | None = None) -> SpatialAudio:
        """Step 3: tokens to the sound field in world axes, as long as the video, within full scale."""
        return self.decode_measured(tokens, rate_hz).foa

    def decode_measured(self, tokens: ClipTokens, rate_hz: int | None = None) -> Generation:
        """Step 3, and the gain that was needed."""
        return Generation(*within_full_scale(self._joined(tokens, rate_hz)), choices=tokens.choices)

    def _joined(self, tokens: ClipTokens, rate_hz: int | None) -> SpatialAudio:
        """All windows as one field at its final rate and length, at the level of the codec."""
        pieces = [
            self.steps.field(codes, tokens.plan, index, tokens.camera)
            for index, codes in enumerate(tokens.codes)
        ]
        rate_hz = rate_hz or self.rate_hz
        samples = resample(join_windows(tokens.plan, pieces), self.rate_hz, rate_hz)
        samples = fit_length(samples, timeline.sample_count(tokens.duration_s, rate_hz))
        return SpatialAudio(samples, rate_hz, "foa")

    def describe(self) -> dict[str, Any]:
        """What the sidecar says of the model: name, licence, weights, rates, device and arithmetic."""
        return {
            **self._description,
            "rate_hz": self.rate_hz,
            "field_frame": self.model.config.field_frame,
            "device": str(self.device),
            "kernel": self.steps.engine.kernel,
        }


def clip_id(video: Video) -> str:
    """Name and start of a clip; part of its noise."""
    return f"{video.path.name if video.path else ''}@{video.start_s:.6f}"


def clip_seed(seed: int, clip_id: str, draw: int = 0) -> int:
    """A seed for one clip from the seed of a run, the clip's name and the number of the draw.

    Raises:
        ValueError: if the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; give a whole number from 0")
    name = clip_id if draw == 0 else f"{clip_id} draw {draw}"
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
