"""UniCodec's encoder: strided convolutions (SEANet), then a transformer whose feed-forward is chosen by token.

Défossez et al., "High Fidelity Neural Audio Compression", 2022, for the convolutions; Jiang et al., "UniCodec",
ACL 2025, for the mixture of experts. Keys are the published ones, their misspelling included; weight norm is
multiplied out when weights are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.unicodec_config import UniCodecConfig

_LONGEST_PERIOD = 10000.0


class UniCodecEncoder(nn.Module):
    """Sound to one vector for every hop."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.model = nn.Sequential(*_convolutions(config))
        layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.transformer_enocoder = nn.ModuleDict({"transformer": nn.ModuleDict({"layers": layers})})
        self.head_width = config.width // config.heads

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) to (B, ceil(N / hop), width)."""
        return self.mix_times(self.convolve(samples))

    def convolve(self, samples: Tensor) -> Tensor:
        """What the convolutions alone make of (B, N): (B, ceil(N / hop), width)."""
        return self.model(samples[:, None]).mT

    def mix_times(self, hidden: Tensor) -> Tensor:
        """The transformer: (B, S, width) to the same shape."""
        turns = _rotary_turns(hidden.shape[1], self.head_width, hidden.device)
        transformer: nn.ModuleDict = self.transformer_enocoder["transformer"]  # type: ignore[assignment]
        layers: Iterable[nn.Module] = transformer["layers"]  # type: ignore[assignment]
        for layer in layers:
            hidden = layer(hidden, turns)
        return hidden


def _convolutions(config: UniCodecConfig) -> Iterable[nn.Module]:
    width = config.first_width
    yield _Convolution(1, width, 7)
    for stride in config.strides:
        yield _ResidualBlock(width)
        yield nn.ELU()
        yield _Convolution(width, 2 * width, 2 * stride, stride)
        width *= 2
    yield nn.ELU()
    yield _Convolution(width, config.width, 7)


class _Convolution(nn.Module):
    """A convolution over sound that is mirrored at both ends: N samples become ceil(N / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        # In a dictionary: the published keys are conv.conv.
        self.conv = nn.ModuleDict({"conv": nn.Conv1d(inputs, outputs, kernel, stride)})
        self.overlap, self.stride = kernel - stride, stride

    def forward(self, hidden: Tensor) -> Tensor:
        after = self.overlap // 2
        to_whole_stride = -hidden.shape[-1] % self.stride
        return self.conv["conv"](_mirrored(hidden, self.overlap - after, after + to_whole_stride))


def _mirrored(hidden: Tensor, before: int, after: int) -> Tensor:
    """Mirror (B, C, N) at its ends; what is shorter than its mirror image is first followed by silence."""
    missing = max(before, after) + 1 - hidden.shape[-1]
    if missing <= 0:
        return functional.pad(hidden, (before, after), mode="reflect") if before or after else hidden
    padded = functional.pad(functional.pad(hidden, (0, missing)), (before, after), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 2
        self.block = nn.Sequential(
            nn.ELU(), _Convolution(width, narrow, 3), nn.ELU(), _Convolution(narrow, width, 1)
        )
        self.shortcut = _Convolution(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.shortcut(hidden) + self.block(hidden)


class _Layer(nn.Module):
    """Attention over all times, scaled per channel, then the experts, unscaled."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.self_attn = _Attention(config)
        self.layer_scale_1 = _Scale(config.width)
        self.FFNMOE = _Experts(config)

    def forward(self, hidden: Tensor, turns: Tensor) -> Tensor:
        hidden = hidden + self.layer_scale_1.scale * self.self_attn(self.norm1(hidden), turns)
        return hidden + self.FFNMOE(self.norm2(hidden))


class _Scale(nn.Module):
    """Holder of the factors, so that their key is `layer_scale_1.scale`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), 0.01))


class _Attention(nn.Module):
    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * config.width, config.width))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.out_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, hidden: Tensor, turns: Tensor) -> Tensor:
        parts = functional.linear(hidden, self.in_proj_weight).unflatten(-1, (3, self.heads, -1))
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))  # (B, heads, S, head width)
        mixed = functional.scaled_dot_product_attention(_turned(query, turns), _turned(key, turns), value)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


def _rotary_turns(count: int, head_width: int, device: torch.device) -> Tensor:
    """Turns of `count` positions as complex numbers (S, head_width / 2)."""
    pairs = torch.arange(head_width // 2, dtype=torch.float32, device=device)
    speeds = torch.exp(pairs * (-2.0 * math.log(_LONGEST_PERIOD) / head_width))
    angles = torch.arange(count, dtype=torch.float32, device=device)[:, None] * speeds
    return torch.polar(torch.ones_like(angles), angles)


def _turned(vectors: Tensor, turns: Tensor) -> Tensor:
    """Turn (..., S, head width), whose neighbouring numbers are the pairs that turn."""
    pairs = torch.view_as_complex(vectors.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2).to(vectors.dtype)


class _Experts(nn.Module):
    """One expert per token, the most probable, weighed by its probability, beside one for all tokens."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.experts, bias=False)
        self.experts = nn.ModuleList(
            _FeedForward(config.width, config.expert_width) for _ in range(config.experts)
        )
        self.shared_experts = _FeedForward(config.width, config.expert_width)

    def forward(self, hidden: Tensor) -> Tensor:
        tokens = hidden.flatten(0, 1)
        probability, chosen = self.gate(tokens).softmax(-1, dtype=torch.float32).max(-1)
        made = torch.zeros_like(tokens)
        for index, expert in enumerate(self.experts):
            mine = (chosen == index).nonzero()[:, 0]
            if len(mine):
                weighed = expert(tokens[mine]) * probability[mine, None].to(tokens.dtype)
                made = made.index_copy(0, mine, weighed)
        return (made + self.shared_experts(tokens)).view_as(hidden)


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.w2(functional.silu(self.w1(hidden)) * self.w3(hidden))
