"""Layers of the MMAudio flow networks, in the published key layout.

Tensors are (batch, token, channel) throughout. Normalisations inside the blocks have no weights of their own:
a condition gives shift, scale and gate (adaptive normalisation).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visaudio.config import MMAudioConfig

_ROTARY_BASE = 10000.0


class Rotation(NamedTuple):
    """Cosines and sines (L, head_dim / 2), float32, by which pairs of neighbouring channels are turned."""

    cosine: Tensor
    sine: Tensor


def rotary_table(
    length: int, head_dim: int, frequency_scale: float = 1.0, device: torch.device | str | None = None
) -> Rotation:
    """Rotations of the positions 0 to length - 1.

    Args:
        length: Number of positions.
        head_dim: Channels of one head, even.
        frequency_scale: How far apart two positions lie, so that streams of other rates share one time axis.
        device: Where the table is needed.
    """
    steps = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device)
    frequencies = 1.0 / _ROTARY_BASE ** (steps / head_dim) * frequency_scale
    positions = torch.arange(length, dtype=torch.float32, device=device)
    angles = positions[:, None] * frequencies
    return Rotation(angles.cos(), angles.sin())


def rotate_pairs(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the channel pairs (2i, 2i + 1) of x (..., L, head_dim) by the table, in float32."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = rotation
    turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class TimestepEmbedder(nn.Module):
    """Flow time in [0, 1] -> vector."""

    def __init__(self, dim: int, width: int, max_period: float) -> None:
        super().__init__()
        self.width = width
        self.max_period = max_period
        self.mlp = nn.Sequential(nn.Linear(width, dim), nn.SiLU(), nn.Linear(dim, dim))

    def frequencies(self, device: torch.device | None = None) -> Tensor:
        """Angular frequencies (width / 2,), float32: 10000 / max_period times 10000^(-2k / width)."""
        steps = torch.arange(0, self.width, 2, dtype=torch.float32, device=device)
        return 10000.0 / self.max_period * (1.0 / 10000.0 ** (steps / self.width))

    def sinusoid(self, t: Tensor) -> Tensor:
        """Cosines, then sines (B, width) of times t (B,).

        In float32 whatever the network computes in: arguments reach 10000, where bfloat16 has steps of 64.
        """
        angles = t[:, None].float() * self.frequencies(t.device)
        return torch.cat([angles.cos(), angles.sin()], dim=-1)

    def forward(self, t: Tensor) -> Tensor:
        """Times (B,) -> (B, dim)."""
        first = self.mlp[0]
        assert isinstance(first, nn.Linear)
        embedded: Tensor = self.mlp(self.sinusoid(t).to(first.weight.dtype))
        return embedded


class FrameConv1d(nn.Conv1d):
    """Convolution over the tokens of (B, L, C) that keeps their number."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, channels_in) -> (B, L, channels_out)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def frame_layer(channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> nn.Module:
    """A layer over each token (kernel 1) or over a neighbourhood of tokens."""
    if kernel == 1:
        return nn.Linear(channels_in, channels_out, bias=bias)
    return FrameConv1d(channels_in, channels_out, kernel, bias)


class GatedFeedForward(nn.Module):
    """w2(SiLU(w1 x) * w3 x), without biases; each w over single tokens or over neighbours."""

    def __init__(self, dim: int, inner_dim: int, kernel: int = 1) -> None:
        super().__init__()
        self.w1 = frame_layer(dim, inner_dim, kernel, bias=False)
        self.w2 = frame_layer(inner_dim, dim, kernel, bias=False)
        self.w3 = frame_layer(dim, inner_dim, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, dim) -> (B, L, dim)."""
        mixed: Tensor = self.w2(functional.silu(self.w1(x)) * self.w3(x))
        return mixed


class AttentionInput(NamedTuple):
    """Queries, keys and values of one stream, each (B, heads, L, head_dim)."""

    query: Tensor
    key: Tensor
    value: Tensor


class AttentionProjection(nn.Module):
    """Queries, keys and values of one stream; the attention itself has no weights."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        # No epsilon given: torch's own for the type, as published (1.19e-7 in float32).
        self.q_norm = nn.RMSNorm(dim // heads)
        self.k_norm = nn.RMSNorm(dim // heads)

    def forward(self, x: Tensor, rotation: Rotation | None) -> AttentionInput:
        """(B, L, dim) -> heads; without a rotation the tokens have no position."""
        # The published rows are ordered (head, channel, {q, k, v}), the innermost last.
        heads = self.qkv(x).unflatten(-1, (self.heads, -1, 3)).transpose(1, 2)
        query, key, value = heads.unbind(-1)
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotate_pairs(query, rotation), rotate_pairs(key, rotation)
        return AttentionInput(query, key, value)


def attend(*streams: AttentionInput) -> tuple[Tensor, ...]:
    """Let the tokens of all streams attend to each other.

    Returns:
        One (B, L, dim) per stream.
    """
    query, key, value = (torch.cat(parts, dim=2) for parts in zip(*streams, strict=True))
    mixed = functional.scaled_dot_product_attention(query, key, value)
    merged = mixed.transpose(1, 2).flatten(2)
    return merged.split([stream.query.shape[2] for stream in streams], dim=1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise the channels of x (B, L, dim), then scale and shift by a condition (B, 1 or L, dim)."""
    return functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class StreamBlock(nn.Module):
    """One stream's part of a transformer block: what goes into the attention and what follows it."""

    def __init__(self, config: MMAudioConfig, kernel: int, attention_only: bool = False) -> None:
        """Build it.

        Args:
            config: Sizes.
            kernel: Tokens that the layers after the attention see at once.
            attention_only: Whether the stream itself ends here (the last joint block's frames and words).
        """
        super().__init__()
        dim = config.hidden_dim
        self.attention_only = attention_only
        self.attn = AttentionProjection(dim, config.num_heads)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, (2 if attention_only else 6) * dim))
        if not attention_only:
            self.linear1 = frame_layer(dim, dim, kernel)
            self.ffn = GatedFeedForward(dim, config.ffn_dim, kernel)

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Shifts, scales and gates for a condition (B, 1 or L, dim): two or six of the same shape."""
        parts: Tensor = self.adaLN_modulation(condition)
        return parts.chunk(2 if self.attention_only else 6, dim=-1)

    def before(self, x: Tensor, modulation: tuple[Tensor, ...], rotation: Rotation | None) -> AttentionInput:
        """What the stream (B, L, dim) sends into the attention."""
        heads: AttentionInput = self.attn(modulate(x, modulation[0], modulation[1]), rotation)
        return heads

    def after(self, x: Tensor, attended: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The stream after the attention's result (B, L, dim) came back."""
        if self.attention_only:
            return x
        _, _, attention_gate, shift, scale, gate = modulation
        x = x + self.linear1(attended) * attention_gate
        fed: Tensor = self.ffn(modulate(x, shift, scale))
        return x + fed * gate

    def forward(self, x: Tensor, condition: Tensor, rotation: Rotation | None) -> Tensor:
        """A block of this stream alone: (B, L, dim) -> (B, L, dim)."""
        modulation = self.modulation(condition)
        (attended,) = attend(self.before(x, modulation, rotation))
        return self.after(x, attended, modulation)


class JointModulation(NamedTuple):
    """Shifts, scales and gates of the three streams of a joint block."""

    latent: tuple[Tensor, ...]
    clip: tuple[Tensor, ...]
    text: tuple[Tensor, ...]


class Streams(NamedTuple):
    """Sound (B, L, dim), frames (B, T, dim) and words (B, W, dim)."""

    latent: Tensor
    clip: Tensor
    text: Tensor


class JointBlock(nn.Module):
    """Sound, frames and words, each with weights of its own, in one attention."""

    def __init__(self, config: MMAudioConfig, last: bool) -> None:
        super().__init__()
        self.latent_block = StreamBlock(config, kernel=3)
        self.clip_block = StreamBlock(config, kernel=3, attention_only=last)
        self.text_block = StreamBlock(config, kernel=1, attention_only=last)

    def modulation(self, global_condition: Tensor, frame_condition: Tensor) -> JointModulation:
        """What conditions (B, 1, dim) and (B, L, dim) do to the streams; the same for every branch."""
        return JointModulation(
            self.latent_block.modulation(frame_condition),
            self.clip_block.modulation(global_condition),
            self.text_block.modulation(global_condition),
        )

    def forward(
        self,
        streams: Streams,
        modulation: JointModulation,
        latent_rotation: Rotation,
        clip_rotation: Rotation,
    ) -> Streams:
        """Update the streams; words have no rotation."""
        latent, clip, text = attend(
            self.latent_block.before(streams.latent, modulation.latent, latent_rotation),
            self.clip_block.before(streams.clip, modulation.clip, clip_rotation),
            self.text_block.before(streams.text, modulation.text, None),
        )
        return Streams(
            self.latent_block.after(streams.latent, latent, modulation.latent),
            self.clip_block.after(streams.clip, clip, modulation.clip),
            self.text_block.after(streams.text, text, modulation.text),
        )


class FinalLayer(nn.Module):
    """Hidden states -> velocity of the latents."""

    def __init__(self, config: MMAudioConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))
        self.conv = FrameConv1d(dim, config.latent_dim, kernel=7)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, L, dim) -> (B, L, latent_dim), for a condition (B, 1 or L, dim)."""
        modulation: Tensor = self.adaLN_modulation(condition)
        shift, scale = modulation.chunk(2, dim=-1)
        velocity: Tensor = self.conv(modulate(x, shift, scale))
        return velocity


def start_weights(network: nn.Module) -> None:
    """Published start: Xavier for every `nn.Linear`, and blocks that begin as no change at all.

    Modulations begin at zero (so every gate is shut), and so does the last layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, TimestepEmbedder):
            for layer in (module.mlp[0], module.mlp[2]):
                assert isinstance(layer, nn.Linear)
                nn.init.normal_(layer.weight, std=0.02)
        if isinstance(module, StreamBlock | FinalLayer):
            shut = module.adaLN_modulation[1]
            assert isinstance(shut, nn.Linear)
            nn.init.zeros_(shut.weight)
        if isinstance(module, FinalLayer):
            nn.init.zeros_(module.conv.weight)
            assert module.conv.bias is not None
            nn.init.zeros_(module.conv.bias)
