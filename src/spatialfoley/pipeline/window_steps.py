"""What ViSAGe's chain does with one window of a clip: its conditions, its tokens, its field."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.codecs.codec import Codec
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.candidates import Candidates, sample_candidates
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.sampler import (
    SamplingSettings,
    SeededNoise,
    repeat_last_frame,
    sample_rows,
)
from spatialfoley.media.video import Video
from spatialfoley.media.view import network_frames
from spatialfoley.pipeline.clip import Features
from spatialfoley.pipeline.reranking import Choice, Reranker, Takes
from spatialfoley.pipeline.windows import WindowPlan, plan_windows
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_world
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.spatial.ytambigen import network_vector

WINDOW_OVERLAP_S = 1.0
"""What a window takes over from the one before: a fifth of what the models make at once."""

FRAME_SLACK_S = 0.02
"""A clip this much longer than a whole number of video frames gets no further frame for it, and its last
codec frame is repeated: 120 frames at 23.976 Hz are 5.005 s and still fit a window of five seconds."""


@dataclass(frozen=True, eq=False)
class Sight:
    """A clip as its windows see it.

    Attributes:
        video: the picture.
        plan: the windows.
        camera: where the picture's centre points, seconds counted from the start of the clip.
        panorama: whether the picture is equirectangular; None asks its shape.
    """

    video: Video
    plan: WindowPlan
    camera: CameraTrajectory
    panorama: bool | None = None


@dataclass(frozen=True, eq=False)
class Drawing:
    """How the tokens of a clip are drawn.

    Attributes:
        noise_seed: where the clip's noise begins.
        guidance: what is stressed.
        sampling: how a token is drawn.
        candidates: tries at each window, drawn as one batch.
        reranker: chooses among them; None where there is one only.
    """

    noise_seed: int
    guidance: Guidance
    sampling: SamplingSettings
    candidates: int = 1
    reranker: Reranker | None = None


@dataclass(frozen=True)
class WindowSteps:
    """The parts of a model that fit together, and what each makes of a window.

    Attributes:
        model: the generator, in evaluation mode.
        engine: its decoder.
        features: frames to conditions.
        codec: tokens to sound.
        device: where the generator computes.
    """

    model: VisageModel
    engine: DecoderEngine
    features: Features
    codec: Codec
    device: torch.device

    @property
    def longest_window_s(self) -> float:
        """Seconds the generator makes at once."""
        config = self.model.config
        by_frames = config.max_source_length / config.clip_frame_rate
        return min(by_frames, config.longest_frames / config.dac_frame_rate)

    def plan(self, duration_s: float) -> WindowPlan:
        """The windows of a clip of some length: whole codec frames, as many as the generator makes at once."""
        config = self.model.config
        frames = timeline.token_frames(
            round(self.longest_window_s * config.clip_frame_rate),
            config.clip_frame_rate,
            config.dac_frame_rate,
        )
        return plan_windows(
            timeline.sample_count(duration_s, self.codec.rate_hz),
            self.codec.rate_hz,
            frames * self.codec.hop_samples / self.codec.rate_hz,
            WINDOW_OVERLAP_S,
            self.codec.hop_samples,
            self.longest_window_s + FRAME_SLACK_S,
        )

    def conditions(
        self,
        video: Video,
        plan: WindowPlan,
        index: int,
        camera: CameraTrajectory,
        panorama: bool | None = None,
    ) -> VisageConditions:
        """Conditions of a window, batch 1, on the device; its frames are read and not kept."""
        window = plan.window(index)
        times_s = self._frame_times_s(window.start, window.length, video.duration_s)
        seen = self.features(network_frames(video, times_s, self.features.size_px, panorama))
        middle_s = (window.start + window.length / 2) / self.codec.rate_hz
        return VisageConditions(
            frames=self._placed(seen.embedding[None]),
            energy_map=self._placed(seen.energy_map[None]),
            direction=self._network_direction(camera, middle_s),
        )

    def draw(
        self,
        conditions: VisageConditions,
        sight: Sight,
        index: int,
        drawing: Drawing,
        prefix: Tensor | None = None,
        on_row: Callable[[int, int], None] | None = None,
    ) -> tuple[Tensor, Choice | None]:
        """Codes (S, K) of a window that goes on from the codes `prefix` (P, K) of its first frames.

        Of a clip of one window a silent candidate is taken only where all are silent; of a longer one, where the
        first is.

        Returns:
            the codes, and which candidate they are of which scores; None where there is one only.
        """
        plan = sight.plan
        if drawing.reranker is None:
            return self._codes(conditions, plan, index, drawing, prefix, on_row), None
        made = self.candidates(conditions, plan, index, drawing, prefix, on_row)
        known_frames = 0 if prefix is None else len(prefix)
        takes = self.takes(made, conditions, sight, index, known_frames)
        choice = drawing.reranker.choose(takes, sounding=len(plan.starts) == 1)
        return made.codes[0, choice.chosen], choice

    @torch.inference_mode()
    def _codes(
        self,
        conditions: VisageConditions,
        plan: WindowPlan,
        index: int,
        drawing: Drawing,
        prefix: Tensor | None,
        on_row: Callable[[int, int], None] | None,
    ) -> Tensor:
        encoded = self._encoded(conditions, drawing.guidance)
        frames = self._codec_frames(conditions, plan.window(index).length)
        layout = self.model.layout
        step = self.engine.start(encoded, layout.row_count(frames))
        noise = SeededNoise(drawing.noise_seed, [index], self.device)
        known = None if prefix is None else prefix[None].to(self.device)
        return sample_rows(
            step, layout, frames, drawing.guidance.weights, drawing.sampling, noise, on_row, known
        )[0]

    @torch.inference_mode()
    def candidates(
        self,
        conditions: VisageConditions,
        plan: WindowPlan,
        index: int,
        drawing: Drawing,
        prefix: Tensor | None = None,
        on_row: Callable[[int, int], None] | None = None,
    ) -> Candidates:
        """All candidates of a window, drawn as one batch; the first is what is drawn alone."""
        return sample_candidates(
            self.engine,
            self.model.layout,
            self._encoded(conditions, drawing.guidance),
            self._codec_frames(conditions, plan.window(index).length),
            drawing.guidance.weights,
            drawing.sampling,
            drawing.noise_seed,
            [index],
            drawing.candidates,
            None if prefix is None else prefix[None].to(self.device),
            on_row,
        )

    def takes(
        self,
        candidates: Candidates,
        conditions: VisageConditions,
        sight: Sight,
        index: int,
        known_frames: int = 0,
    ) -> Takes:
        """What scores get to know of a window's candidates, whose first `known_frames` codec frames are given."""
        plan, rate_hz = sight.plan, self.codec.rate_hz
        window, sounds = plan.window(index), self.sounds(candidates.codes[0], plan, index)
        first = min(known_frames * self.codec.hop_samples, window.length - 1)
        assert conditions.energy_map is not None
        seen = conditions.energy_map[0].float().cpu().numpy()
        skipped = min(int(first / rate_hz * self.features.frame_rate_hz), len(seen) - 1)
        times_s = self._frame_times_s(window.start, window.length, sight.video.duration_s)[skipped:]
        axes = np.broadcast_to(np.eye(3), (len(times_s), 3, 3))
        if self.model.config.field_frame == "world":
            axes = sight.camera.matrices_at(times_s)

        def look(frame_rate_hz: float, side_px: int) -> NDArray[np.uint8]:
            frames = max(1, round((window.length - first) / rate_hz * frame_rate_hz))
            looked_s = (window.start + first) / rate_hz + np.arange(frames) / frame_rate_hz
            return network_frames(
                sight.video, np.minimum(looked_s, sight.video.duration_s), side_px, sight.panorama
            )

        likelihood = candidates.log_likelihood[0].double().cpu().numpy()
        return Takes(likelihood, sounds[:, :, first:], rate_hz, seen[skipped:], axes, look)

    def end_of(self, codes: Tensor, plan: WindowPlan, index: int) -> Tensor | None:
        """The codes (P, K) of a window that the next one begins with; None for the last."""
        shared = plan.shared_with_next(index) // self.codec.hop_samples
        if shared == 0:
            return None
        whole = repeat_last_frame(codes[None], plan.window_samples // self.codec.hop_samples)[0]
        return whole[-shared:]

    @torch.inference_mode()
    def field(
        self, codes: Tensor, plan: WindowPlan, index: int, camera: CameraTrajectory
    ) -> NDArray[np.float32]:
        """The sound field (4, length) of a window's codes (S, K), in world axes."""
        window, rate_hz = plan.window(index), self.codec.rate_hz
        field = SpatialAudio(self.sounds(codes[None], plan, index)[0], rate_hz, "foa")
        if self.model.config.field_frame == "camera":
            field = as_world(field, camera.seen_from(window.start / rate_hz))
        return field.samples

    @torch.inference_mode()
    def sounds(self, codes: Tensor, plan: WindowPlan, index: int) -> NDArray[np.float32]:
        """Fields (B, 4, length) of codes (B, S, K) of one window, decoded as one batch, in the model's axes."""
        length = plan.window(index).length
        whole = repeat_last_frame(codes, timeline.codec_frames(length, self.codec.hop_samples))
        return _as_field(self.codec.decode(whole).float().cpu().numpy())[:, :, :length]

    def _encoded(self, conditions: VisageConditions, guidance: Guidance) -> Tensor:
        """Encoder states of every branch (branches, 1, T + 2, D)."""
        encoded = [
            self.model.encode(conditions.without(visual=not b.visual, direction=not b.direction))
            for b in guidance.branches
        ]
        return torch.stack(encoded)

    def _frame_times_s(self, start: int, length: int, duration_s: float) -> np.ndarray:
        rate_hz, sound_hz = self.features.frame_rate_hz, self.codec.rate_hz
        longest = min(self.model.config.max_source_length, round(self.longest_window_s * rate_hz))
        frames = math.ceil((length / sound_hz - FRAME_SLACK_S) * rate_hz)
        times_s = (start / sound_hz) + np.arange(min(max(frames, 1), longest)) / rate_hz
        return np.minimum(times_s, duration_s)

    def _codec_frames(self, conditions: VisageConditions, length: int) -> int:
        config = self.model.config
        frames = conditions.frames.shape[1]
        made = timeline.token_frames(frames, config.clip_frame_rate, config.dac_frame_rate)
        needed = timeline.codec_frames(length, self.codec.hop_samples)
        return max(1, min(made, needed))

    def _network_direction(self, camera: CameraTrajectory, time_s: float) -> Tensor:
        facing = Direction(0.0)
        if self.model.config.field_frame == "world":
            facing = Direction.from_vector(camera.pose_at(time_s).matrix()[:, 0])
        return self._placed(torch.from_numpy(network_vector(facing))[None])

    def _placed(self, condition: Tensor) -> Tensor:
        return condition.to(self.device, self.model.null_embedding.dtype)


def _as_field(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Four channels of what a codec made; a mono pre-training model sounds the same from everywhere."""
    batch, channels, length = sounds.shape
    if channels == 1:
        return np.concatenate([sounds, np.zeros((batch, 3, length), sounds.dtype)], axis=1)
    return sounds
