"""What ViSAGe's chain does with one window of a clip: its conditions, its tokens, its field."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.generators.guidance import Guidance
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
from spatialfoley.pipeline.clip import Codec, Features
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

    @torch.inference_mode()
    def codes(
        self,
        conditions: VisageConditions,
        plan: WindowPlan,
        index: int,
        noise_seed: int,
        guidance: Guidance,
        sampling: SamplingSettings,
        prefix: Tensor | None = None,
        on_row: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Codes (S, K) of a window that goes on from the codes `prefix` (P, K) of its first frames."""
        encoded = [
            self.model.encode(conditions.without(visual=not b.visual, direction=not b.direction))
            for b in guidance.branches
        ]
        frames = self._codec_frames(conditions, plan.window(index).length)
        layout = self.model.layout
        step = self.engine.start(torch.stack(encoded), layout.row_count(frames))
        noise = SeededNoise(noise_seed, [index], self.device)
        known = None if prefix is None else prefix[None].to(self.device)
        return sample_rows(step, layout, frames, guidance.weights, sampling, noise, on_row, known)[0]

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
        whole = repeat_last_frame(codes[None], timeline.codec_frames(window.length, self.codec.hop_samples))
        sound = self.codec.decode(whole)[0].float().cpu().numpy()
        field = SpatialAudio(_as_field(sound)[:, : window.length], rate_hz, "foa")
        if self.model.config.field_frame == "camera":
            field = as_world(field, camera.seen_from(window.start / rate_hz))
        return field.samples

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


def _as_field(sound: np.ndarray) -> np.ndarray:
    """Four channels of what a codec made; a mono pre-training model sounds the same from everywhere."""
    if sound.shape[0] == 1:
        return np.concatenate([sound, np.zeros((3, sound.shape[1]), sound.dtype)])
    return sound
