"""The tiny codec: ambisonics <-> tokens that keep the direction where a small model can see it.

Two ideas, both measured in docs/results.md.

* A mono codec that is odd and scale-free by construction: MDCT, gain apart from shape, odd network, codebooks
  {e, -e}. For a plane wave the shapes of Y, Z, X are the shape of W, whatever the waveform error.
* Field tokens relative to W. Per frame W has a gain token and shape tokens; each of Y, Z, X has one token for
  its signed ratio to W (linear, through zero) and shape tokens written as the difference to W's (mod V). So 0 says
  "the same shape as W": a coherent field is the plainest string there is, not something to be learnt.

Codebooks are channel-major as ViSAGe orders them: channel (W, Y, Z, X), then level; level 0 is gain or ratio.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.mdct import Mdct
from spatialfoley.codecs.odd_network import OddBlock, OddQuantizer

SILENCE_DB = -90.0
GAIN_STEP_DB = 1.5
GAIN_TOKENS = 64
"""W's gain: token 0 is silence, token g is SILENCE_DB + g * GAIN_STEP_DB."""

RATIO_LIMIT = 1.25
RATIO_TOKENS = 101
"""Signed ratio of Y, Z or X to W: linear steps over [-RATIO_LIMIT, RATIO_LIMIT]; the middle token is zero."""


@dataclasses.dataclass(frozen=True)
class TinyCodecConfig:
    """Sizes of the tiny codec; `shape_levels` quantisers of `vocabulary_size` follow the gain token."""

    rate_hz: int = 16000
    hop_samples: int = 320
    width: int = 192
    blocks: int = 3
    latent_dim: int = 24
    shape_levels: int = 4
    vocabulary_size: int = 512
    steady_frames: int = 1
    """Ratios are the median over so many frames around each (odd; 1 for each by itself): nothing that sounds
    jumps about within a fifth of a second, but a generator's first guess at an onset may."""


class TinyCodec(nn.Module):
    """Four channels of sound <-> codes [B, S, 4 (1 + shape_levels)].

    Attributes:
        rate_hz: Sample rate.
        hop_samples: Samples of one frame.
        frame_rate_hz: Frames per second.
        levels: Codebooks of one channel.
        vocabulary_size: Tokens of every level are below it.
    """

    def __init__(self, config: TinyCodecConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or TinyCodecConfig()
        if c.steady_frames < 1 or c.steady_frames % 2 == 0:
            raise ValueError(f"steady_frames is {c.steady_frames}; it must be odd and at least 1")
        if c.rate_hz % c.hop_samples:
            raise ValueError(f"hop_samples is {c.hop_samples}; it must divide rate_hz {c.rate_hz}")
        self.rate_hz, self.hop_samples = c.rate_hz, c.hop_samples
        self.frame_rate_hz = c.rate_hz // c.hop_samples
        self.levels = 1 + c.shape_levels
        self.vocabulary_size = max(c.vocabulary_size, RATIO_TOKENS, GAIN_TOKENS)
        self.mdct = Mdct(c.hop_samples)
        self.enter = nn.Linear(c.hop_samples, c.width, bias=False)
        self.encoder = nn.Sequential(*[OddBlock(c.width) for _ in range(c.blocks)])
        self.to_latent = nn.Linear(c.width, c.latent_dim, bias=False)
        self.quantizer = OddQuantizer(c.shape_levels, c.vocabulary_size, c.latent_dim)
        self.from_latent = nn.Linear(c.latent_dim, c.width, bias=False)
        self.decoder = nn.Sequential(*[OddBlock(c.width) for _ in range(c.blocks)])
        self.leave = nn.Linear(c.width, c.hop_samples, bias=False)

    @classmethod
    def load(cls, folder: Path) -> TinyCodec:
        """The codec stored in `folder` as codec.json and codec.safetensors.

        Raises:
            ValueError: Another kind of codec is stored there; `codecs.stored` reads every kind.
        """
        stored = json.loads((folder / "codec.json").read_text(encoding="utf-8"))
        if "kind" in stored:
            raise ValueError(
                f"{folder} holds a codec of the kind {stored['kind']!r}, but a tiny codec is needed here; "
                "give the folder of one, whose codec.json names no kind"
            )
        config = TinyCodecConfig(**stored)
        codec = cls(config)
        weights = load_file(folder / "codec.safetensors")
        codec.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return codec.eval()

    # Shapes: normalised MDCT frames [B, S, H] <-> latents [B, S, latent_dim]

    def latents(self, shapes: Tensor) -> Tensor:
        """Latents [B, S, latent_dim] of gain-free frames [B, S, H]; odd."""
        return self.to_latent(self.encoder(self.enter(shapes)))

    def shapes(self, latents: Tensor) -> Tensor:
        """Gain-free frames [B, S, H] of latents [B, S, latent_dim]; odd."""
        return self.leave(self.decoder(self.from_latent(latents)))

    # Sound <-> tokens

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Codes [B, S, 4 (1 + shape_levels)] of ambisonics [B, 4, N] at `rate_hz`; S = ceil(N / hop)."""
        if samples.ndim != 3 or samples.shape[1] != 4:
            raise ValueError(
                f"samples has the shape {tuple(samples.shape)}; tokens need [batch, 4, time] in W, Y, Z, X"
            )
        frames = self.mdct(samples)[:, :, 1:]  # [B, 4, S, H]; the frame before the start is not kept
        gains = frame_gains(frames)  # [B, 4, S]
        gain_tokens = gain_to_token(gains[:, 0])
        sounding = gain_tokens > 0
        ratios = signed_ratios(frames, gains)  # [B, 3, S]
        signs = torch.cat([torch.ones_like(ratios[:, :1]), torch.where(ratios < 0, -1.0, 1.0)], dim=1)
        shapes = frames * (signs / gains.clamp_min(1e-9))[..., None]
        codes = self.quantizer.encode(self.latents(shapes.flatten(0, 1))).unflatten(
            0, (-1, 4)
        )  # [B, 4, S, L]
        V = self.config.vocabulary_size
        w_codes = codes[:, :1] * sounding[:, None, :, None]
        # A channel too weak to be heard beside W says nothing about its shape: it repeats W's.
        heard = (sounding[:, None] & (ratios.abs() > 0.05))[..., None]
        others = torch.where(heard, (codes[:, 1:] - w_codes) % V, 0)
        ratio_tokens = torch.where(sounding[:, None], ratio_to_token(ratios), RATIO_TOKENS // 2)
        first = torch.cat([gain_tokens[:, None], ratio_tokens], dim=1)[..., None]
        per_channel = torch.cat([first, torch.cat([w_codes, others], dim=1)], dim=-1)  # [B, 4, S, 1 + L]
        return per_channel.permute(0, 2, 1, 3).flatten(2)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Ambisonics [B, 4, S hop] of codes [B, S, 4 (1 + shape_levels)]."""
        if codes.ndim != 3 or codes.shape[2] != 4 * self.levels:
            raise ValueError(
                f"codes has the shape {tuple(codes.shape)}; it must be [batch, frames, {4 * self.levels}]"
            )
        V = self.config.vocabulary_size
        per_channel = codes.unflatten(2, (4, self.levels)).permute(0, 2, 1, 3)  # [B, 4, S, 1 + L]
        w_codes = per_channel[:, :1, :, 1:]
        absolute = torch.cat([w_codes, (per_channel[:, 1:, :, 1:] + w_codes) % V], dim=1)
        shapes = self.shapes(self.quantizer.decode(absolute.flatten(0, 1))).unflatten(0, (-1, 4))
        # What the network is unsure of it makes quiet; the coded gain knows better.
        shapes = shapes / frame_gains(shapes).clamp_min(0.05)[..., None]
        w_gain = token_to_gain(per_channel[:, :1, :, 0])
        ratios = steady_ratios(
            token_to_ratio(per_channel[:, 1:, :, 0]), w_gain > 0, self.config.steady_frames
        )
        amplitude = torch.cat([w_gain, w_gain * ratios], dim=1)
        frames = functional.pad(shapes * amplitude[..., None], (0, 0, 1, 0))
        return self.mdct.inverse(frames)

    # Sound <-> continuous latents, for generators that need no tokens

    @torch.inference_mode()
    def channel_latents(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [..., S, latent_dim] of channels [..., N], each by itself, and their gains [..., S]."""
        frames = self.mdct(samples)[..., 1:, :]
        gains = frame_gains(frames)
        return self.latents((frames / gains.clamp_min(1e-9)[..., None]).flatten(0, -3)).reshape(
            *frames.shape[:-1], -1
        ), gains

    @torch.inference_mode()
    def channel_sound(self, latents: Tensor, gains: Tensor, evenness: float = 0.0) -> Tensor:
        """Channels [..., S hop] of latents [..., S, latent_dim] and gains [..., S], which may be negative.

        Gains are of three frames. How their energy is shared among the three is in the latents of a recording, and
        by chance in drawn ones: `evenness` 1 gives every frame its gain, 0 believes the latents.
        """
        shapes = self.shapes(latents.flatten(0, -3)).reshape(*latents.shape[:-1], -1)
        three, own = frame_gains(shapes), shapes.square().mean(dim=-1).sqrt()
        shapes = shapes / (three ** (1 - evenness) * own**evenness).clamp_min(0.05)[..., None]
        return self.mdct.inverse(functional.pad(shapes * gains[..., None], (0, 0, 1, 0)))

    def reconstruct(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Training pass on mono sound [B, N]: its reconstruction [B, N] and the commitment loss."""
        frames = self.mdct(samples)[:, 1:]
        gains = frame_gains(frames)
        latents = self.latents(frames / gains.clamp_min(1e-6)[..., None])
        quantised, commitment = self.quantizer.train_step(latents.flatten(0, 1))
        shapes = self.shapes(quantised.unflatten(0, latents.shape[:2]))
        return self.mdct.inverse(functional.pad(shapes * gains[..., None], (0, 0, 1, 0))), commitment


def frame_gains(frames: Tensor) -> Tensor:
    """RMS [..., S] of MDCT frames [..., S, H] over three frames, so that the gain moves smoothly."""
    energy = frames.square().mean(-1)
    flat = energy.reshape(-1, 1, energy.shape[-1])
    smooth = functional.avg_pool1d(functional.pad(flat, (1, 1), mode="replicate"), 3, 1)
    return smooth.reshape(energy.shape).sqrt()


def signed_ratios(frames: Tensor, gains: Tensor) -> Tensor:
    """Signed gain [B, 3, S] of Y, Z, X relative to W; the sign is that of the three-frame correlation with W.

    Args:
        frames: MDCT frames [B, 4, S, H] in the order W, Y, Z, X.
        gains: Their `frame_gains` [B, 4, S].
    """
    products = (frames[:, 1:] * frames[:, :1]).mean(-1)  # [B, 3, S]
    smooth = functional.avg_pool1d(functional.pad(products, (1, 1), mode="replicate"), 3, 1)
    return torch.where(smooth < 0, -1.0, 1.0) * gains[:, 1:] / gains[:, :1].clamp_min(1e-9)


def gain_to_token(gain: Tensor) -> Tensor:
    """Token in [0, GAIN_TOKENS) of a linear gain."""
    level_db = 20 * torch.log10(gain.clamp_min(1e-9))
    return ((level_db - SILENCE_DB) / GAIN_STEP_DB).round().clamp(0, GAIN_TOKENS - 1).long()


def token_to_gain(token: Tensor) -> Tensor:
    """Linear gain of a token; token 0 is silence."""
    token = token.clamp(max=GAIN_TOKENS - 1)
    gain = torch.exp((SILENCE_DB + GAIN_STEP_DB * token.float()) * (math.log(10) / 20))
    return torch.where(token > 0, gain, 0.0)


def ratio_to_token(ratio: Tensor) -> Tensor:
    """Token in [0, RATIO_TOKENS) of a signed ratio, clipped to RATIO_LIMIT."""
    half = RATIO_TOKENS // 2
    return (ratio / RATIO_LIMIT * half).round().clamp(-half, half).long() + half


def token_to_ratio(token: Tensor) -> Tensor:
    """Signed ratio of a token."""
    half = RATIO_TOKENS // 2
    return (token.clamp(max=RATIO_TOKENS - 1) - half).float() * (RATIO_LIMIT / half)


def steady_ratios(ratios: Tensor, sounding: Tensor, frames: int) -> Tensor:
    """Median of ratios [B, 3, S] over the sounding [B, 1, S] of `frames` frames around each; 1 changes nothing."""
    if frames == 1:
        return ratios
    half = frames // 2
    heard = torch.where(sounding, ratios, torch.nan)
    around = functional.pad(heard, (half, half), value=torch.nan).unfold(-1, frames, 1)
    return around.nanmedian(-1).values.nan_to_num(0.0)


def mirror_left_right(codes: Tensor, levels: int) -> Tensor:
    """Codes [B, S, 4 levels] of the field mirrored left to right: exact, only Y's ratio changes its sign."""
    mirrored = codes.clone()
    mirrored[..., levels] = RATIO_TOKENS - 1 - codes[..., levels]
    return mirrored


def turn_quarter(codes: Tensor, levels: int) -> Tensor:
    """Codes [B, S, 4 levels] of the field turned left by 90 degrees: Y' = X, X' = -Y; exact in tokens."""
    w, y, z, x = codes.split(levels, dim=-1)
    x_turned = y.clone()
    x_turned[..., 0] = RATIO_TOKENS - 1 - y[..., 0]
    return torch.cat([w, x, z, x_turned], dim=-1)
