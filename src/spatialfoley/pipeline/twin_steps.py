"""What a tiny twin's chain does with one window of a clip: its features, its latents, its sound."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.features.tiny import TinyFeatures
from spatialfoley.generators.guidance import Branch, Guidance
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.forms import amplitudes, form_noise, pack, unpack
from spatialfoley.generators.visaudio.sampler import (
    BranchVelocity,
    FlowSettings,
    Known,
    branch_velocity,
    generate_latents,
)
from spatialfoley.generators.visaudio.spatial_head import SpatialHead
from spatialfoley.generators.visaudio.spectral_prior import SpectralPrior, colour
from spatialfoley.generators.visaudio.twin import TwinNetwork, twin_features
from spatialfoley.media.video import Video
from spatialfoley.media.view import network_frames
from spatialfoley.pipeline.window_steps import FRAME_SLACK_S, WINDOW_OVERLAP_S
from spatialfoley.pipeline.windows import Window, WindowPlan, plan_windows
from spatialfoley.spatial.interaural import shift_ears
from spatialfoley.spatial.parametric import apply_ear_parameters, apply_field_ratios


@dataclass(frozen=True)
class TwinSteps:
    """The parts of a twin that fit together, and what each makes of a window.

    Attributes:
        network: the flow, in evaluation mode.
        prior: what the flow starts from.
        head: where the sound is, for the parametric form; None for the other forms.
        features: frames to what is seen.
        codec: latents to sound.
        evenness: of the level from frame to frame, see `TinyCodec.channel_sound`.
    """

    network: TwinNetwork
    prior: SpectralPrior
    head: SpatialHead | None
    features: TinyFeatures
    codec: TinyCodec
    evenness: float = 0.0

    def plan(self, duration_s: float) -> WindowPlan:
        """The windows of a clip: whole tokens, as many as the network was trained on."""
        window_s = self.network.twin.window_s
        return plan_windows(
            timeline.sample_count(duration_s, self.codec.rate_hz),
            self.codec.rate_hz,
            window_s,
            WINDOW_OVERLAP_S,
            self.codec.hop_samples * self.network.twin.form.frames_per_token,
            window_s + FRAME_SLACK_S,
        )

    @torch.inference_mode()
    def seen(
        self, video: Video, window: Window, words: Tensor | None, panorama: bool | None = None
    ) -> ClipFeatures:
        """What is seen and said during a window, batch 1; its frames are read and not kept."""
        rate_hz, start_s = self.features.frame_rate_hz, window.start / self.codec.rate_hz
        count = self.network.twin.video_frames(self._codec_frames(window))
        times_s = np.minimum(start_s + np.arange(count) / rate_hz, video.duration_s)
        seen = self.features(network_frames(video, times_s, self.features.size_px, panorama))
        said = torch.zeros(len(self.network.twin.words)) if words is None else words
        return twin_features(seen.embedding[None], seen.energy_map[None], said[None])

    @torch.inference_mode()
    def latents(
        self,
        seen: ClipFeatures,
        window: Window,
        seed: int,
        guidance: Guidance,
        settings: FlowSettings,
        unwanted: Tensor | None = None,
        known: Known | None = None,
        temperature: float = 1.0,
        on_step: Callable[[int, int], None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Latents (1, N, L, C) of a window, and the noise they were made from.

        Levels, ratios and delays are not guided: that would make loud what is stressed.
        """
        network = self.network
        lengths = network.twin.lengths(self._codec_frames(window))
        full = network.prepare(seen, lengths.latent)
        null = network.null_conditions(lengths, None if unwanted is None else unwanted[None, None])
        noise = form_noise(network.twin.form, seed, [window.index], lengths.latent, temperature)
        if known is not None:
            noise = torch.cat([known.noise, noise[:, :, known.frames :]], dim=2)
        velocity = unguided(branch_velocity(network, full, null), network.twin.form.relation_mask())
        return generate_latents(velocity, noise, guidance, settings, on_step, known), noise

    @torch.inference_mode()
    def sound(self, latents: Tensor, seen: ClipFeatures, window: Window) -> NDArray[np.float32]:
        """The sound of latents (1, N, L, C), at the camera: (channels, window.length)."""
        form = self.network.twin.form
        frames, rate_hz = self._codec_frames(window), self.codec.rate_hz
        channels = unpack(latents, form, frames)
        channels = replace(channels, shape=colour(channels.shape, self.prior(seen, frames)))
        decoded = self.codec.channel_sound(channels.shape, amplitudes(channels), self.evenness)
        made = decoded[0, :, : window.length].numpy()
        # The codec's first frame is centred one hop after the start.
        if self.head is not None:
            where = self.head.read(self.head(pack(channels, form)[:, 0], seen)[:, :frames])
            if self.head.config.layout == "foa":
                return apply_field_ratios(made[0], _from_the_start(where.ratios[0]), rate_hz)
            gains, delays = _from_the_start(where.gains_db[0]), _from_the_start(where.delays_s[0])
            return apply_ear_parameters(made[0], gains, delays, rate_hz)
        if form.layout == "binaural" and form.form == "sign-factored":
            return shift_ears(made, rate_hz, -_from_the_start(channels.delay_s[0]))
        return made

    def _codec_frames(self, window: Window) -> int:
        return timeline.codec_frames(window.length, self.codec.hop_samples)


def unguided(velocity: BranchVelocity, mask: Tensor) -> BranchVelocity:
    """The same velocities, but every branch says what the first one says where the mask (C,) is True."""

    def kept(x: Tensor, t: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        found = velocity(x, t, branches)
        return torch.where(mask.to(found.device), found[:1], found)

    return kept


def _from_the_start(values: Tensor) -> NDArray[np.float32]:
    """Values (..., S) of codec frames as (..., S + 1) of short-time frames, the first of which is before them."""
    return torch.cat([values[..., :1], values], dim=-1).float().numpy()
