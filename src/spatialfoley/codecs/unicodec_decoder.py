"""UniCodec's decoder: a backbone of convolutions at the token rate, then one inverse Fourier transform.

Siuzdak, "Vocos", ICLR 2024, for backbone and head; Ji et al., "WavTokenizer", ICLR 2025, for what goes before.
Keys are the published ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.unicodec_config import UniCodecConfig

_GROUPS = 32
_NORM_EPSILON = 1e-6
_LARGEST_MAGNITUDE = 100.0


class UniCodecBackbone(nn.Module):
    """Vectors of tokens to what the head reads."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        width = config.backbone_width
        if width % _GROUPS:
            raise ValueError(f"backbone_width is {width}; it must be a multiple of {_GROUPS}")
        self.embed = nn.Conv1d(config.width, width, 7, padding=3)
        self.pos_net = nn.Sequential(
            _ResidualBlock(width),
            _ResidualBlock(width),
            _AttentionBlock(width),
            _ResidualBlock(width),
            _ResidualBlock(width),
            _group_norm(width),
        )
        self.norm = _ChosenNorm(config)
        self.convnext = nn.ModuleList(_ConvNextBlock(config) for _ in range(config.backbone_layers))
        self.final_layer_norm = nn.LayerNorm(width, eps=_NORM_EPSILON)

    def forward(self, vectors: Tensor, bandwidth: Tensor) -> Tensor:
        """(B, S, width) and the numbers of the bandwidths (B,) or (1,) to (B, S, backbone_width)."""
        hidden = self.norm(self.pos_net(self.embed(vectors.mT)).mT, bandwidth)
        for block in self.convnext:
            hidden = block(hidden, bandwidth)
        return self.final_layer_norm(hidden)


def _group_norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, width, eps=_NORM_EPSILON)


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _group_norm(width), _group_norm(width)
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        change = self.conv1(functional.silu(self.norm1(hidden)))
        return hidden + self.conv2(functional.silu(self.norm2(change)))


class _AttentionBlock(nn.Module):
    """Attention over all times with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _group_norm(width)
        self.q = nn.Conv1d(width, width, 1)
        self.k = nn.Conv1d(width, width, 1)
        self.v = nn.Conv1d(width, width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        normed = self.norm(hidden)
        query, key, value = (layer(normed).mT[:, None] for layer in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(query, key, value)[:, 0].mT
        return hidden + self.proj_out(mixed)


class _ChosenNorm(nn.Module):
    """Layer norm whose scale and shift belong to a bandwidth."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.scale = nn.Embedding(config.bandwidths, config.backbone_width)
        self.shift = nn.Embedding(config.bandwidths, config.backbone_width)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, hidden: Tensor, bandwidth: Tensor) -> Tensor:
        normed = functional.layer_norm(hidden, hidden.shape[-1:], eps=_NORM_EPSILON)
        return normed * self.scale(bandwidth)[:, None] + self.shift(bandwidth)[:, None]


class _ConvNextBlock(nn.Module):
    """Mixing in time per channel, then a feed-forward, scaled per channel."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        width = config.backbone_width
        self.dwconv = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = _ChosenNorm(config)
        self.pwconv1 = nn.Linear(width, config.backbone_inner_width)
        self.pwconv2 = nn.Linear(config.backbone_inner_width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1.0 / config.backbone_layers))

    def forward(self, hidden: Tensor, bandwidth: Tensor) -> Tensor:
        mixed = self.norm(self.dwconv(hidden.mT).mT, bandwidth)
        return hidden + self.gamma * self.pwconv2(functional.gelu(self.pwconv1(mixed)))


class UniCodecHead(nn.Module):
    """Magnitude and phase of every frame, and the sound that they overlap to."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.out = nn.Linear(config.backbone_width, config.fourier_samples + 2)
        self.istft = _InverseFourier(config)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, S, backbone_width) to (B, S · hop)."""
        logarithm, phase = self.out(hidden).chunk(2, dim=-1)
        magnitude = logarithm.float().exp().clamp(max=_LARGEST_MAGNITUDE)
        return self.istft(torch.polar(magnitude, phase.float()))


class _InverseFourier(nn.Module):
    """Frames that overlap around the middle of their hop, so that S frames are exactly S · hop samples."""

    window: Tensor

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.hop_samples = config.hop_samples
        self.register_buffer("window", torch.hann_window(config.fourier_samples))

    def forward(self, spectrum: Tensor) -> Tensor:
        """Complex (B, S, bins) to (B, S · hop)."""
        size, hop, frames = len(self.window), self.hop_samples, spectrum.shape[1]
        blocks = torch.fft.irfft(spectrum, size) * self.window
        weight = self.window.square().expand(1, frames, -1)
        side = (size - hop) // 2
        total, overlap = (
            functional.fold(part.mT, (1, (frames - 1) * hop + size), (1, size), stride=(1, hop))[:, 0, 0]
            for part in (blocks, weight)
        )
        return total[:, side : side + frames * hop] / overlap[:, side : side + frames * hop]
