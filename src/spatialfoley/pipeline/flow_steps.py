"""What the chain of MMAudio and ViSAudio does with one window of a clip: its features, its latents, its sound."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import timeline
from spatialfoley.codecs.mel_vae_codec import MelVaeCodec
from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import SequenceLengths
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.sampler import (
    FlowSettings,
    Known,
    branch_velocity,
    generate_latents,
    seeded_noise,
)
from spatialfoley.generators.visaudio.spatial_head import FieldNumbers, SpatialHead
from spatialfoley.media.video import Video
from spatialfoley.pipeline.flow_clip import FlowEncoders
from spatialfoley.pipeline.flow_encoding import window_features
from spatialfoley.pipeline.placing import place_of, placed
from spatialfoley.pipeline.window_steps import FRAME_SLACK_S, WINDOW_OVERLAP_S
from spatialfoley.pipeline.windows import WindowPlan, plan_windows
from spatialfoley.spatial.foa import as_world
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

WINDOW_S = 8.0
"""What the published networks are trained on."""

_AFTER_WINDOW_S = 1.0
"""A frame that appears this long after a window may still be the nearest to its last tick."""


@dataclass(frozen=True)
class FlowSteps:
    """The parts of a model that fit together, and what each makes of a window.

    Attributes:
        network: the generator, in evaluation mode.
        encoders: of frames and texts.
        codec: latents to sound.
        branches: names of the channels.
        device: where the generator computes.
        encode_empty: whether the empty text is read like any other; its features lie in the weights, too.
        head: where the sound of one channel is; None leaves the channels as the network makes them.
    """

    network: MMAudioNetwork | VisaudioNetwork
    encoders: FlowEncoders
    codec: MelVaeCodec
    branches: tuple[str, ...]
    device: torch.device
    encode_empty: bool = False
    head: SpatialHead | None = None

    def plan(self, duration_s: float) -> WindowPlan:
        """The windows of a clip of some length: whole latents, as many as the network is trained on.

        Raises:
            ValueError: if the clip is shorter than one segment of frames.
        """
        rate_hz, hop_samples = self.codec.rate_hz, self.codec.hop_samples
        plan = plan_windows(
            timeline.sample_count(duration_s, rate_hz),
            rate_hz,
            self.network.sizes.lengths(WINDOW_S).latent * hop_samples / rate_hz,
            WINDOW_OVERLAP_S,
            hop_samples,
            WINDOW_S + FRAME_SLACK_S,
        )
        self.lengths(plan)
        return plan

    def lengths(self, plan: WindowPlan) -> SequenceLengths:
        """Tokens of each window of a clip.

        Raises:
            ValueError: if the clip is shorter than one segment of frames.
        """
        return self.network.sizes.lengths(self._window_s(plan))

    def text(self, text: str) -> Tensor | None:
        """Features (1, W, d) of a text; None for the empty one, whose features the network has stored."""
        return self.encoders.clip.text([text]).cpu() if text.strip() or self.encode_empty else None

    def features(
        self, video: Video, plan: WindowPlan, index: int, text: Tensor | None, panorama: bool | None = None
    ) -> ClipFeatures:
        """Features of a window, batch 1, on the CPU; its frames are read and not kept."""
        start_s, length_s = plan.starts[index] / self.codec.rate_hz, self._window_s(plan)
        frame_times_s = video.frame_times_s(start_s, start_s + length_s + _AFTER_WINDOW_S)
        window_s = (start_s, length_s)
        return window_features(
            self.encoders, self.network.sizes, video, frame_times_s, window_s, text, panorama
        )

    @torch.inference_mode()
    def latents(
        self,
        features: ClipFeatures,
        negative_text: Tensor | None,
        plan: WindowPlan,
        noise: Tensor,
        guidance: Guidance,
        settings: FlowSettings,
        known: Known | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Normalised latents (1, ..., L, d) of a window that begins with the known ones."""
        lengths = self.lengths(plan)
        full = self.network.prepare(features.to(self.device), lengths.latent)
        negative = None if negative_text is None else negative_text.to(self.device)
        null = self.network.null_conditions(lengths, negative)
        velocity = branch_velocity(self.network, full, null)
        return generate_latents(velocity, noise, guidance, settings, on_step, known)

    def noise(self, plan: WindowPlan, index: int, seed: int, known: Known | None = None) -> Tensor:
        """What the latents of a window start from (1, ..., L, d): known latents keep the noise they had."""
        network, frames = self.network, self.lengths(plan).latent
        channels = network.sizes.latent_dim
        if isinstance(network, VisaudioNetwork):
            rule = network.config.branch_noise
            noise = seeded_noise(seed, [index], frames, channels, len(self.branches), rule, self.device)
        else:
            noise = seeded_noise(seed, [index], frames, channels, device=self.device)[:, 0]
        return noise if known is None else known.begin(noise)

    def end_of(self, latents: Tensor, noise: Tensor, plan: WindowPlan, index: int) -> Known | None:
        """What the next window begins with; None after the last."""
        shared = plan.shared_with_next(index) // self.codec.hop_samples
        return None if shared == 0 else Known(latents[..., -shared:, :], noise[..., -shared:, :])

    @torch.inference_mode()
    def channels(self, latents: Tensor) -> Tensor:
        """Latents (channels, L, d) as the codec wants them, of normalised ones (1, ..., L, d)."""
        plain = self.network.unnormalise(latents.float()).float()
        return plain[0].reshape(len(self.branches), *plain.shape[-2:])

    def place(self, latents: Tensor, features: ClipFeatures) -> FieldNumbers | None:
        """Where the sound of a window's normalised latents (1, L, d) is; None without a head."""
        return None if self.head is None else place_of(self.head, latents, features.to(self.device))

    def sound(
        self,
        channels: Tensor,
        plan: WindowPlan,
        index: int,
        place: FieldNumbers | None = None,
        camera: CameraTrajectory | None = None,
    ) -> NDArray[np.float32]:
        """The sound (channels, length) of a window's latents (channels, L, d).

        Args:
            channels: the latents.
            plan: the windows.
            index: which of them.
            place: where a sound of one channel is; it then becomes a field in world axes, or two ears.
            camera: where the picture's centre points, seconds counted from the start of the clip; a field is
                turned by it.
        """
        rate_hz, window = self.codec.rate_hz, plan.window(index)
        decoded = self.codec.decode(channels[None])[0, :, : window.length]
        made: NDArray[np.float32] = decoded.float().cpu().numpy()
        if place is None:
            return made
        made = placed(made[0], place, rate_hz, self.codec.hop_samples)
        if camera is None or len(made) != len(FOA_CHANNELS):
            return made
        return as_world(SpatialAudio(made, rate_hz, "foa"), camera.seen_from(window.start / rate_hz)).samples

    def _window_s(self, plan: WindowPlan) -> float:
        # A window of whole latents is a little longer than what it was trained on, and would get a frame more.
        return plan.clip_samples / plan.rate_hz if len(plan.starts) == 1 else WINDOW_S
