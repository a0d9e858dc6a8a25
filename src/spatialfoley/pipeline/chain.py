"""The whole chain in numbered steps: encode (1), sample (2), decode (3).

1. encode: video → frames → features → conditions, one set per window of the clip.
2. sample: conditions → codec tokens, by the generator, its guidance and seeded noise.
3. decode: tokens → four channels → one sound field in world axes, exactly as long as the video.

The camera says where the picture's centre points in the world. A model with ``field_frame`` "camera" makes
the field around the camera and step 3 turns it into the world, at every sample where the camera moves; a
model with "world" reads the camera's direction and makes the field in the world itself, as published.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.model import VisageConditions, VisageModel
from spatialfoley.generators.visage.sampler import (
    SamplingSettings,
    SeededNoise,
    repeat_last_frame,
    sample_rows,
)
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.media.view import network_frames
from spatialfoley.pipeline.clip import (
    Camera,
    ClipConditions,
    ClipTokens,
    Codec,
    Defaults,
    Features,
    Generation,
    GenerationSettings,
    Report,
)
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.windows import join_windows, plan_windows
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory, as_world
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.spatial.ytambigen import network_vector

WINDOW_OVERLAP_S = 0.5
FRAME_SLACK_S = 0.02
"""A clip this much longer than a whole number of video frames gets no further frame for it, and its last
codec frame is repeated: 120 frames at 23.976 Hz are 5.005 s and still fit a window of five seconds."""
WINDOWS_AT_ONCE = 4
MOST_DRAWS = 16
SILENT_PEAK = 1e-3
"""A sound that nowhere exceeds -60 dB of full scale counts as silence."""

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
        self._refuse_misfits()
        # A large network would otherwise lie in memory twice, once packed.
        large = model.config.d_model >= _LARGE_WIDTH
        self._engine = DecoderEngine(model, kernel=kernel, release_weights=large)

    @property
    def rate_hz(self) -> int:
        """Sample rate of what the codec makes."""
        return self.codec.rate_hz

    @property
    def longest_window_s(self) -> float:
        """Seconds the generator makes at once; longer clips are made of several windows."""
        config = self.model.config
        by_frames = config.max_source_length / config.clip_frame_rate
        return min(by_frames, (config.max_target_length // 2) / config.dac_frame_rate)

    def __call__(
        self,
        video: Video,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        guidance_visual: float | None = None,
        guidance_direction: float | None = None,
        sampling: SamplingSettings | None = None,
        rate_hz: int | None = None,
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

        Returns:
            layout "foa", world axes, ``round(video.duration_s * rate_hz)`` samples, within full scale.
        """
        guidance = self.guidance(guidance_visual, guidance_direction)
        return self.generate(video, camera, GenerationSettings(seed, guidance, sampling, rate_hz)).foa

    def generate(
        self,
        video: Video,
        camera: Camera,
        settings: GenerationSettings,
        report: Report = lambda fraction: None,
    ) -> Generation:
        """The same as calling the pipeline, with the gain, and telling the fraction done as it goes.

        A picture in which nothing seems to sound may be given silence by chance. Nobody asks for a silent file,
        so such a clip is drawn again a limited number of times, with other noise (the same for the same seed)
        and as the model learnt it: guidance and a low temperature are what makes the unseen silent.
        """
        conditions = self.encode(video, camera, settings.panorama)
        guidance, sampling = settings.guidance, settings.sampling or self.defaults.sampling
        for draw in range(MOST_DRAWS):
            tokens = self.sample(conditions, settings.seed, guidance, sampling, report, draw)
            made = replace(self.decode_measured(tokens, settings.rate_hz), draws=draw + 1)
            if made.foa.peak > SILENT_PEAK:
                break
            guidance = Guidance.none()
            sampling = replace(sampling, temperature=max(1.0, sampling.temperature))
        return made

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
        """Step 1: video to conditions. Frames are read window by window and not kept.

        Args:
            video: the picture.
            camera: where the picture's centre points.
            panorama: True for an equirectangular picture, of which the network sees the middle; None asks the
                picture's shape.
        """
        samples = timeline.sample_count(video.duration_s, self.rate_hz)
        trajectory = as_trajectory(camera)
        plan = plan_windows(samples, self.rate_hz, self.longest_window_s + FRAME_SLACK_S, WINDOW_OVERLAP_S)
        windows = []
        for start, length in zip(plan.starts, plan.lengths, strict=True):
            times_s = self._frame_times_s(start, length, video.duration_s)
            seen = self.features(network_frames(video, times_s, self.features.size_px, panorama))
            windows.append(
                VisageConditions(
                    frames=self._placed(seen.embedding[None]),
                    energy_map=self._placed(seen.energy_map[None]),
                    direction=self._network_direction(trajectory, (start + length / 2) / self.rate_hz),
                )
            )
        clip_id = f"{video.path.name if video.path else ''}@{video.start_s:.6f}"
        return ClipConditions(tuple(windows), plan, trajectory, clip_id, video.duration_s)

    @torch.inference_mode()
    def sample(
        self,
        conditions: ClipConditions,
        seed: int = 0,
        guidance: Guidance | None = None,
        sampling: SamplingSettings | None = None,
        report: Report = lambda fraction: None,
        draw: int = 0,
    ) -> ClipTokens:
        """Step 2: conditions to tokens; another `draw` is another noise of the same seed.

        A clip never shares a batch with another, and its noise comes from the seed, its name and the window,
        so that its sound does not depend on what else is made in the same run.
        """
        if seed < 0:
            raise ValueError(f"seed is {seed}; give a whole number from 0")
        guidance, sampling = guidance or self.defaults.guidance, sampling or self.defaults.sampling
        noise_seed = clip_seed(seed, conditions.clip_id if draw == 0 else f"{conditions.clip_id} draw {draw}")
        codes: list[Tensor] = []
        count = len(conditions.windows)
        for indices in self._alike(conditions):
            batch = _stack([conditions.windows[i] for i in indices])
            encoded = [
                self.model.encode(batch.without(visual=not b.visual, direction=not b.direction))
                for b in guidance.branches
            ]
            frames = self._codec_frames(conditions, indices[0])
            step = self._engine.start(torch.stack(encoded), self.model.layout.row_count(frames))
            done = len(codes)

            def on_row(row: int, rows: int, done: int = done, share: int = len(indices)) -> None:
                report((done + share * row / rows) / count)

            noise = SeededNoise(noise_seed, indices, self.device)
            codes.extend(
                sample_rows(step, self.model.layout, frames, guidance.weights, sampling, noise, on_row)
            )
        return ClipTokens(tuple(codes), conditions.plan, conditions.camera, conditions.duration_s)

    def decode(self, tokens: ClipTokens, rate_hz: int | None = None) -> SpatialAudio:
        """Step 3: tokens to the sound field in world axes, as long as the video, within full scale."""
        return self.decode_measured(tokens, rate_hz).foa

    @torch.inference_mode()
    def decode_measured(self, tokens: ClipTokens, rate_hz: int | None = None) -> Generation:
        """Step 3, and the gain that was needed."""
        pieces = []
        for codes, length in zip(tokens.codes, tokens.plan.lengths, strict=True):
            whole = repeat_last_frame(codes[None], timeline.codec_frames(length, self.codec.hop_samples))
            sound = self.codec.decode(whole)[0].float().cpu().numpy()
            pieces.append(_as_field(sound)[:, :length])
        # Joining and turning commute: both windows of a crossfade hear the same camera at the same time.
        field = SpatialAudio(join_windows(tokens.plan, pieces), self.rate_hz, "foa")
        if self.model.config.field_frame == "camera":
            field = as_world(field, tokens.camera)
        return _finished(field, rate_hz or self.rate_hz, tokens.duration_s)

    def describe(self) -> dict[str, Any]:
        """What the sidecar says of the model: name, licence, weights, rates, device and arithmetic."""
        return {
            **self._description,
            "rate_hz": self.rate_hz,
            "field_frame": self.model.config.field_frame,
            "device": str(self.device),
            "kernel": self._engine.kernel,
        }

    def _frame_times_s(self, start: int, length: int, duration_s: float) -> np.ndarray:
        rate_hz = self.features.frame_rate_hz
        longest = min(self.model.config.max_source_length, round(self.longest_window_s * rate_hz))
        frames = math.ceil((length / self.rate_hz - FRAME_SLACK_S) * rate_hz)
        times_s = (start / self.rate_hz) + np.arange(min(max(frames, 1), longest)) / rate_hz
        return np.minimum(times_s, duration_s)

    def _codec_frames(self, conditions: ClipConditions, index: int) -> int:
        config = self.model.config
        frames = conditions.windows[index].frames.shape[1]
        made = timeline.token_frames(frames, config.clip_frame_rate, config.dac_frame_rate)
        needed = timeline.codec_frames(conditions.plan.lengths[index], self.codec.hop_samples)
        return max(1, min(made, needed))

    def _alike(self, conditions: ClipConditions) -> list[list[int]]:
        """Consecutive windows of one shape, a few at a time."""
        groups: list[list[int]] = []
        shapes = [
            (window.frames.shape[1], self._codec_frames(conditions, index))
            for index, window in enumerate(conditions.windows)
        ]
        for index, shape in enumerate(shapes):
            if groups and len(groups[-1]) < WINDOWS_AT_ONCE and shapes[groups[-1][-1]] == shape:
                groups[-1].append(index)
            else:
                groups.append([index])
        return groups

    def _network_direction(self, camera: CameraTrajectory, time_s: float) -> Tensor:
        facing = Direction(0.0)
        if self.model.config.field_frame == "world":
            facing = Direction.from_vector(camera.pose_at(time_s).matrix()[:, 0])
        return self._placed(torch.from_numpy(network_vector(facing))[None])

    def _placed(self, condition: Tensor) -> Tensor:
        return condition.to(self.device, self.model.null_embedding.dtype)

    def _refuse_misfits(self) -> None:
        config = self.model.config
        for name, ours, theirs, part in (
            ("clip_frame_rate", config.clip_frame_rate, self.features.frame_rate_hz, "visual encoder"),
            ("dac_sample_rate", config.dac_sample_rate, self.codec.rate_hz, "codec"),
            ("dac_downsample_rate", config.dac_downsample_rate, self.codec.hop_samples, "codec"),
            ("num_rvq", config.num_rvq, self.codec.levels, "codec"),
        ):
            if ours != theirs:
                raise ValueError(
                    f"config has {name} {ours}, but the {part} has {theirs}; use the files of one model"
                )


def clip_seed(seed: int, clip_id: str) -> int:
    """A seed for one clip from the seed of a run and the clip's name."""
    digest = hashlib.sha256(f"{seed}\n{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _stack(windows: list[VisageConditions]) -> VisageConditions:
    energy = [window.energy_map for window in windows if window.energy_map is not None]
    return VisageConditions(
        frames=torch.cat([window.frames for window in windows]),
        energy_map=torch.cat(energy) if energy else None,
        direction=torch.cat([window.direction for window in windows]),
    )


def _as_field(sound: np.ndarray) -> np.ndarray:
    """Four channels of what a codec made; a mono pre-training model sounds the same from everywhere."""
    if sound.shape[0] == 1:
        return np.concatenate([sound, np.zeros((3, sound.shape[1]), sound.dtype)])
    return sound


def _finished(field: SpatialAudio, rate_hz: int, duration_s: float) -> Generation:
    """The field at its final rate, length and level."""
    samples = resample(field.samples, field.rate_hz, rate_hz)
    samples = fit_length(samples, timeline.sample_count(duration_s, rate_hz))
    return Generation(*within_full_scale(SpatialAudio(samples, rate_hz, "foa")))
