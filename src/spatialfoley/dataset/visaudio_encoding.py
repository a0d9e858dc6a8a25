"""One stretch of a video with its binaural sound -> what ViSAudio trains on; with one channel, MMAudio.

For a spatial head, a field or two ears become one channel, and numbers that say where it is. The frozen encoders
and the autoencoder are given: the same that the pipeline uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.codecs.mel_vae import LatentPosterior
from spatialfoley.dataset.sound_places import (
    PLACE_CHANNELS,
    Place,
    band_levels_db,
    place_numbers,
    placed_channel,
)
from spatialfoley.dataset.visaudio_features import FlowItem, Preparation
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig
from spatialfoley.media.audio import fit_length
from spatialfoley.media.video import Video
from spatialfoley.timeline import sample_count

TRAINING_PEAK = 0.95
"""MMAudio's level of training sound."""

_DIFFERENCE_OFFSET = 1e-9


class WindowEncoder(Protocol):
    """Features of a window (start and length in seconds) of a video whose frames appear at given times."""

    def __call__(
        self,
        video: Video,
        frame_times_s: NDArray[np.float64],
        window_s: tuple[float, float],
        text: Tensor | None,
        panorama: bool | None,
    ) -> ClipFeatures:
        """Features, batch 1."""
        ...


class SoundPosterior(Protocol):
    """Sound (B, C, N) to the distribution of its latents (B, C, L, latent_dim)."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop_samples(self) -> int:
        """Samples of one latent."""
        ...

    def encode(self, samples: Tensor) -> LatentPosterior:
        """Distribution of the latents."""
        ...


@dataclass(frozen=True)
class FlowClipEncoder:
    """What a model of MMAudio's family sees, reads and hears of a clip.

    Attributes:
        see: Encoders of the picture.
        read: Encoder of texts: (1, W, D) of one.
        codec: Autoencoder of the sound.
        sizes: Of the generator: rates and lengths.
        channels: Names of its channels: ("left", "right"), or ("mono",) for MMAudio.
        description: Name and weights, to tell prepared clips of two models apart.
        preparation: Lengths, level and filter.
        panorama: Whether pictures are equirectangular; None asks the shape of each.
        place: For a spatial head, what is recorded, of which the generator makes one channel.
    """

    see: WindowEncoder
    read: Callable[[str], Tensor]
    codec: SoundPosterior
    sizes: MMAudioConfig
    channels: tuple[str, ...]
    description: Mapping[str, Any]
    preparation: Preparation
    panorama: bool | None = None
    place: Place | None = None

    def __post_init__(self) -> None:
        """Check that a clip is long enough.

        Raises:
            ValueError: If a clip holds no whole segment of frames, or the codec is of another rate.
        """
        try:
            self.sizes.lengths(self.preparation.clip_s)
        except ValueError as problem:
            raise ValueError(str(problem).replace("duration_s", "clip_s")) from problem
        if self.codec.rate_hz != self.sizes.sample_rate_hz:
            raise ValueError(
                f"the generator has {self.sizes.sample_rate_hz} Hz, but the codec {self.codec.rate_hz} Hz; use "
                "files that belong together"
            )

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the channels that a recording must have."""
        return self.channels if self.place is None else PLACE_CHANNELS[self.place]

    @property
    def sound_samples(self) -> int:
        """Samples that the latents of a clip cover: 353,280 for eight seconds at 44.1 kHz, 480 beyond them."""
        return self.sizes.lengths(self.preparation.clip_s).latent * self.codec.hop_samples

    def describe(self) -> dict[str, Any]:
        """What clips that are trained on together must have in common."""
        return {
            "model": dict(self.description),
            "channels": list(self.channels),
            "rate_hz": self.codec.rate_hz,
            "panorama": self.panorama,
            **({} if self.place is None else {"place": self.place}),
        }

    def empty_text(self) -> Tensor:
        """Features of the empty text (W, D)."""
        return self.read("")[0].half().cpu()

    def encode(
        self,
        video: Video,
        frame_times_s: NDArray[np.float64],
        start_s: float,
        sound: np.ndarray,
        text: str = "",
    ) -> FlowItem:
        """Features of one clip.

        Args:
            video: The picture.
            frame_times_s: Of all its frames, from `video.frame_times_s()`.
            start_s: Where the clip starts in it.
            sound: The recording from there on (channels, N), a field as heard from the camera, at the codec's rate;
                what lies behind the clip may be looked at, see `Preparation.padding`.
            text: Its caption; empty for none.

        Raises:
            ValueError: If the sound has other channels, is silent, or its channels differ too little.
        """
        prepared = self.sound(sound)
        places: dict[str, Tensor] = {}
        if self.place is not None:
            prepared, places = self._placed(prepared)
        posterior = self.codec.encode(torch.from_numpy(prepared)[None])
        words = self.read(text) if text else None
        seen = self.see(video, frame_times_s, (start_s, self.preparation.clip_s), words, self.panorama)
        patches = None
        if seen.patches is not None:
            patches = seen.patches[0].to(getattr(torch, self.preparation.patch_type))
        return FlowItem(
            mean=posterior.mean[0].float().cpu(),
            std=posterior.std[0].float().cpu(),
            clip=seen.clip[0].half(),
            sync=seen.sync[0].half(),
            text=None if words is None else words[0].half().cpu(),
            patches=patches,
            **places,
        )

    def sound(self, sound: np.ndarray) -> np.ndarray:
        """The sound of a clip as the autoencoder gets it (channels, sound_samples), from the recording (C, N).

        Raises:
            ValueError: As `encode`.
        """
        if sound.ndim != 2 or len(sound) != len(self.recorded):
            raise ValueError(
                f"the sound has the shape {sound.shape}, but must be ({len(self.recorded)}, samples): "
                f"{', '.join(self.recorded)}"
            )
        clip = sound[:, : sample_count(self.preparation.clip_s, self.codec.rate_hz)]
        least = self.preparation.min_difference
        if least is not None and len(sound) == 2 and (found := channel_difference(clip)) <= least:
            raise ValueError(
                f"the two channels differ by {found:.4f}, but must by more than {least:g}; nothing spatial is to "
                "be learnt here"
            )
        whole = sound if self.preparation.padding == "recording" else clip
        return leveled(fit_length(whole, self.sound_samples), self.preparation.loudness)

    def _placed(self, recording: np.ndarray) -> tuple[np.ndarray, dict[str, Tensor]]:
        """The one channel (1, N) of a recording (C, N), at its level of training, and where it is."""
        assert self.place is not None
        rate_hz, hop_samples = self.codec.rate_hz, self.codec.hop_samples
        latents = self.sound_samples // hop_samples
        channel = placed_channel(recording, self.place, rate_hz)
        numbers = place_numbers(recording, channel, self.place, rate_hz, hop_samples, latents)
        made = leveled(channel[None], self.preparation.loudness)
        numbers["levels_db"] = band_levels_db(made[0], rate_hz, hop_samples, latents)
        stored = {name: torch.from_numpy(values) for name, values in numbers.items()}
        # A delay of microseconds would be lost in 16 bits.
        return made, {name: value if name == "delay_s" else value.half() for name, value in stored.items()}


def channel_difference(ears: np.ndarray) -> float:
    """How much two channels (2, N) differ in shape: eq. 39 and 40 of ViSAudio's appendix A, from 0 to 2.

    Each channel loses its mean and is scaled by its own peak; a difference in level alone is none.
    """
    centred = ears.astype(np.float64) - ears.mean(axis=1, keepdims=True, dtype=np.float64)
    scaled = centred / (np.abs(centred).max(axis=1, keepdims=True) + _DIFFERENCE_OFFSET)
    return float(np.abs(scaled[0] - scaled[1]).mean())


def leveled(sound: np.ndarray, loudness: str) -> np.ndarray:
    """Sound (C, N) at the level of training: see `Preparation.loudness`."""
    sound = np.asarray(sound, np.float32)
    if loudness == "none":
        return sound
    peak = np.abs(sound).max() if loudness == "joint" else np.abs(sound).max(axis=1, keepdims=True)
    # A channel without sound stays as it is.
    return sound * (TRAINING_PEAK / np.where(peak > 0, peak, TRAINING_PEAK)).astype(np.float32)
