"""The plain codec: the published token layout on an ordinary codec, to measure ours against.

Every channel is coded by itself as mono sound at its absolute level. There is no token for gain, sign or ratio:
what a channel has to do with W is nowhere in its tokens, as with DAC and UniCodec. docs/results.md has what that
costs.

Quiet channels have a place in it all the same. The front end is the tiny codec's MDCT, with coefficients drawn
together by a square root that keeps their sign: what is 40 dB below is 20 dB below for the network. And the
decoder says, beside the shape of a frame, the logarithm of its level.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.mdct import Mdct
from spatialfoley.codecs.residual_quantizer import ResidualQuantizer

_COMMON_AMPLITUDE = 0.1
"""Coefficients of this size are 1 for the network: the loudness that training brings general sound to."""

_LARGEST_LOG_LEVEL = 4.0
"""Full scale and 15 dB more: a wrong weight may be loud, not infinite."""

_SMALLEST = 1e-8
"""Below it (-160 dB of full scale) the root is straight, so that its slope stays finite."""


@dataclasses.dataclass(frozen=True)
class PlainCodecConfig:
    """Sizes of the plain codec; one level is a single codebook."""

    kind: Literal["plain"] = "plain"
    rate_hz: int = 16000
    hop_samples: int = 320
    width: int = 192
    blocks: int = 3
    latent_dim: int = 24
    levels: int = 4
    vocabulary_size: int = 512

    def __post_init__(self) -> None:
        if self.hop_samples < 1 or self.rate_hz % self.hop_samples:
            raise ValueError(f"hop_samples is {self.hop_samples}; it must divide rate_hz {self.rate_hz}")
        for name, least in (("width", 1), ("latent_dim", 1), ("levels", 1), ("vocabulary_size", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")


class PlainCodec(nn.Module):
    """Four channels of sound <-> codes [B, S, 4 levels], channel-major: channel (W, Y, Z, X), then level.

    Attributes:
        rate_hz: Sample rate.
        hop_samples: Samples of one frame.
        frame_rate_hz: Frames per second.
        levels: Codebooks of one channel.
        vocabulary_size: Tokens of every level are below it.
    """

    def __init__(self, config: PlainCodecConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PlainCodecConfig()
        self.rate_hz, self.hop_samples = c.rate_hz, c.hop_samples
        self.frame_rate_hz = c.rate_hz // c.hop_samples
        self.levels, self.vocabulary_size = c.levels, c.vocabulary_size
        self.mdct = Mdct(c.hop_samples)
        self.enter = nn.Linear(c.hop_samples, c.width)
        self.encoder = nn.Sequential(*[_Block(c.width) for _ in range(c.blocks)])
        self.to_latent = nn.Linear(c.width, c.latent_dim)
        self.quantizer = ResidualQuantizer(c.levels, c.vocabulary_size, c.latent_dim)
        self.from_latent = nn.Linear(c.latent_dim, c.width)
        self.decoder = nn.Sequential(*[_Block(c.width) for _ in range(c.blocks)])
        self.leave = nn.Linear(c.width, c.hop_samples + 1)  # a shape, and the logarithm of its level

    @classmethod
    def load(cls, folder: Path) -> PlainCodec:
        """The codec stored in `folder` as codec.json and codec.safetensors."""
        codec = cls(PlainCodecConfig(**json.loads((folder / "codec.json").read_text(encoding="utf-8"))))
        weights = load_file(folder / "codec.safetensors")
        codec.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return codec.eval()

    # Shapes: MDCT frames [B, S, H] <-> latents [B, S, latent_dim], of one channel each

    def latents(self, frames: Tensor) -> Tensor:
        """Latents [B, S, latent_dim] of frames [B, S, H]."""
        return self.to_latent(self.encoder(self.enter(_drawn_together(frames / _COMMON_AMPLITUDE))))

    def frames(self, latents: Tensor) -> Tensor:
        """Frames [B, S, H] of latents [B, S, latent_dim]."""
        made = self.leave(self.decoder(self.from_latent(latents)))
        level = made[..., :1].clamp(max=_LARGEST_LOG_LEVEL).exp() * _COMMON_AMPLITUDE
        return level * made[..., 1:]

    # Sound <-> tokens

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Codes [B, S, 4 levels] of ambisonics [B, 4, N] at `rate_hz`; S = ceil(N / hop)."""
        if samples.ndim != 3 or samples.shape[1] != 4:
            raise ValueError(
                f"samples has the shape {tuple(samples.shape)}; tokens need [batch, 4, time] in W, Y, Z, X"
            )
        frames = self.mdct(samples)[:, :, 1:]  # [B, 4, S, H]; the frame before the start is not kept
        codes = self.quantizer.encode(self.latents(frames.flatten(0, 1))).unflatten(0, (-1, 4))
        return codes.permute(0, 2, 1, 3).flatten(2)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Ambisonics [B, 4, S hop] of codes [B, S, 4 levels]."""
        if codes.ndim != 3 or codes.shape[2] != 4 * self.levels:
            raise ValueError(
                f"codes has the shape {tuple(codes.shape)}; it must be [batch, frames, {4 * self.levels}]"
            )
        largest = self.vocabulary_size - 1
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) > largest):
            raise ValueError(
                f"codes must lie in 0 to {largest}, but span {int(codes.min())} to {int(codes.max())}"
            )
        per_channel = codes.unflatten(2, (4, self.levels)).permute(0, 2, 1, 3)  # [B, 4, S, L]
        frames = self.frames(self.quantizer.decode(per_channel.flatten(0, 1))).unflatten(0, (-1, 4))
        return self.mdct.inverse(functional.pad(frames, (0, 0, 1, 0)))

    def reconstruct(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Training pass on mono sound [B, N]: its reconstruction [B, S hop] and the commitment loss."""
        latents = self.latents(self.mdct(samples)[:, 1:])
        quantised, commitment = self.quantizer.train_step(latents.flatten(0, 1))
        frames = self.frames(quantised.unflatten(0, latents.shape[:2]))
        return self.mdct.inverse(functional.pad(frames, (0, 0, 1, 0))), commitment


class _Block(nn.Module):
    """Residual block over [B, S, D]: depth-wise mixing in time, then a feed-forward layer, both with biases."""

    def __init__(self, width: int, kernel: int = 5) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x [B, S, D]."""
        mixed = self.norm(x + self.mix(x.transpose(1, 2)).transpose(1, 2))
        return x + self.narrow(functional.gelu(self.widen(mixed)))


def _drawn_together(coefficients: Tensor) -> Tensor:
    """Signed square root."""
    return coefficients / coefficients.abs().clamp_min(_SMALLEST).sqrt()
