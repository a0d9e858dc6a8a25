"""Waveform to the latents of the MMAudio family and back: mel front end, autoencoder, vocoder.

Every channel goes through by itself, and the spectrogram forgets its sign (see `codecs.mel`): levels between
channels survive, polarity and fine time differences do not. Good for mono and, in level, for two ears; no codec
for ambisonics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.codecs.bigvgan import BigVgan, BigVganConfig
from spatialfoley.codecs.mel import MelConfig, MelSpectrogram
from spatialfoley.codecs.mel_vae import LatentPosterior, MelVae, MelVaeConfig
from spatialfoley.timeline import codec_frames
from spatialfoley.weights import load_state_dict


@dataclass(frozen=True)
class MelVaeCodecConfig:
    """Front end, autoencoder and vocoder that belong together: the same bands, the same hop."""

    mel: MelConfig
    vae: MelVaeConfig
    vocoder: BigVganConfig

    def __post_init__(self) -> None:
        bands = (self.mel.mel_bands, self.vae.mel_bands, self.vocoder.num_mels)
        if len(set(bands)) > 1:
            raise ValueError(
                f"front end, autoencoder and vocoder have {bands[0]}, {bands[1]} and {bands[2]} mel bands; "
                "take three that belong together"
            )
        if self.mel.hop_samples != self.vocoder.hop_samples:
            raise ValueError(
                f"the front end takes {self.mel.hop_samples} samples a frame and the vocoder makes "
                f"{self.vocoder.hop_samples}; take two that belong together"
            )

    @classmethod
    def mmaudio_16k(cls) -> MelVaeCodecConfig:
        """The published codec of the 16 kHz models: v1-16.pth and best_netG.pt."""
        return cls(MelConfig.mmaudio_16k(), MelVaeConfig.mmaudio_16k(), BigVganConfig.mmaudio_16k())

    @classmethod
    def mmaudio_44k(cls) -> MelVaeCodecConfig:
        """The published codec of the 44.1 kHz models: v1-44.pth and bigvgan_v2_44khz_128band_512x."""
        return cls(MelConfig.mmaudio_44k(), MelVaeConfig.mmaudio_44k(), BigVganConfig.v2_44k())

    @property
    def hop_samples(self) -> int:
        """Samples that one latent covers."""
        return self.mel.hop_samples * self.vae.frames_per_latent


class MelVaeEncoder:
    """Latents of audio channels: what a codec needs no vocoder for.

    Attributes:
        rate_hz: Sample rate.
        hop_samples: Samples that one latent covers.
        latent_rate_hz: Latents per second, exact (31.25 and 43.07 for the published codecs).
        latent_dim: Width of a latent.
    """

    def __init__(self, mel: MelConfig, vae: MelVae) -> None:
        """Join a front end and an autoencoder of the same bands."""
        self.mel, self.vae = MelSpectrogram(mel), vae.eval()
        self.rate_hz = mel.rate_hz
        self.hop_samples = mel.hop_samples * vae.config.frames_per_latent
        self.latent_rate_hz = self.rate_hz / self.hop_samples
        self.latent_dim = vae.config.latent_dim

    def to(self, device: str | torch.device) -> Self:
        """Move the networks; returns this codec."""
        self.mel.to(device)
        self.vae.to(device)
        return self

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> LatentPosterior:
        """Distribution of the latents of audio.

        Args:
            samples: (B, C, N), at `rate_hz`, within -1 to 1 (clipped beyond). Filled with silence up to a
                whole latent.

        Returns:
            Mean and log variance, each (B, C, S, latent_dim), S = ceil(N / hop_samples).

        Raises:
            ValueError: If the shape is not (B, C, N) or a sample is not finite.
        """
        if samples.ndim != 3 or 0 in samples.shape:
            raise ValueError(
                f"samples has the shape {tuple(samples.shape)}, but must be (batch, channels, N), none empty"
            )
        if not torch.isfinite(samples).all():
            raise ValueError("samples holds NaN or infinite values; repair the audio before encoding")
        count = codec_frames(samples.shape[-1], self.hop_samples)
        padded = functional.pad(samples, (0, count * self.hop_samples - samples.shape[-1])).flatten(0, 1)
        found = [self.vae.encode(self.mel(part.to(self._device))) for part in self._parts(padded)]
        shape = (*samples.shape[:2], self.latent_dim, count)
        return LatentPosterior(
            torch.cat([part.mean for part in found]).view(shape).mT,
            torch.cat([part.log_variance for part in found]).view(shape).mT,
        )

    @property
    def _device(self) -> torch.device:
        return self.vae.data_mean.device

    def _parts(self, channels: Tensor) -> tuple[Tensor, ...]:
        """One channel at a time on a CPU (same speed, a fraction of the memory), all at once elsewhere."""
        return channels.split(1 if self._device.type == "cpu" else len(channels))


class MelVaeCodec(MelVaeEncoder):
    """Latents of audio channels and back; attributes as `MelVaeEncoder`'s."""

    def __init__(self, config: MelVaeCodecConfig, vae: MelVae, vocoder: BigVgan) -> None:
        """Join networks that were built from `config.vae` and `config.vocoder`."""
        super().__init__(config.mel, vae)
        self.config = config
        self.vocoder = vocoder.eval()

    @classmethod
    def load(
        cls, config: MelVaeCodecConfig, vae_path: Path, vocoder_path: Path, device: str = "cpu"
    ) -> MelVaeCodec:
        """Read checkpoints in the published layouts.

        Args:
            config: Sizes, e.g. `MelVaeCodecConfig.mmaudio_44k()`.
            vae_path: File or folder of the autoencoder, weights raw as published.
            vocoder_path: File or folder of the vocoder, in any spelling of its weight norm.
            device: Where to run.

        Raises:
            ValueError: If keys or shapes do not fit; they are listed.
        """
        vae = MelVae.from_state(load_state_dict(vae_path), config.vae, str(vae_path))
        vocoder = BigVgan.from_state(load_state_dict(vocoder_path), config.vocoder, str(vocoder_path))
        return cls(config, vae, vocoder).to(device)

    def to(self, device: str | torch.device) -> Self:
        """Move the networks; returns this codec."""
        self.vocoder.to(device)
        return super().to(device)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Audio of latents.

        Args:
            latents: (B, C, S, latent_dim): means or samples of `encode`, before any normalisation that a
                generator applies.

        Returns:
            Samples (B, C, S · hop_samples), float32, within -1 to 1.

        Raises:
            ValueError: If the shape is another one or a latent is not finite.
        """
        if latents.ndim != 4 or 0 in latents.shape or latents.shape[-1] != self.latent_dim:
            raise ValueError(
                f"latents has the shape {tuple(latents.shape)}, but must be (batch, channels, at least 1 step, "
                f"{self.latent_dim})"
            )
        if not torch.isfinite(latents).all():
            raise ValueError(
                "latents holds NaN or infinite values; the generator that made them has diverged"
            )
        channels = self._parts(latents.flatten(0, 1).mT)
        audio = torch.cat([self.vocoder(self.vae.decode(part.to(self._device))) for part in channels])
        return audio.view(*latents.shape[:2], -1)
