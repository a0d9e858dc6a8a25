"""Synchformer's sound branch: what is heard when, 6 tokens for every segment of 0.64 s.

Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", 2024: an Audio Spectrogram Transformer
(Gong et al., "AST", 2021) sees each segment alone; one more layer then sums up the frequencies of every moment.
Parameter names are those of the published checkpoint.

The order of operations, the epsilons of the norms (1e-12 in the AST, 1e-6 in the layer after it) and the exact
GELU are those of the published code, read and implemented anew; names and shapes alone would not tell them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.filter_bank import FilterBank
from spatialfoley.features.synchformer import TokenSummary

PUBLISHED_RATE_HZ = 16000
SEGMENT_SAMPLES = 10240
SEGMENT_STEP_SAMPLES = 5120

_FFT_SAMPLES, _WINDOW_SAMPLES, _HOP_SAMPLES = 1024, 400, 160
_POWER_OFFSET = 1e-6
_MEAN, _DEVIATION = -4.2677393, 4.5689974
"""Of AST's own training data, in which two deviations are scaled to 1."""
_AST_EPSILON = 1e-12


@dataclass(frozen=True)
class SoundConfig:
    """Sizes of the sound branch; the defaults are the published ones.

    Attributes:
        width: Channels of a token.
        layers: Blocks of the spectrogram transformer.
        heads: Heads of every attention.
        mlp_ratio: Inner width of the perceptrons over `width`.
        mel_bands: Rows of a spectrogram.
        frames: Columns of a spectrogram: what a segment has (65) is filled up to these.
        patch: Side of the square patches.
        patch_step: Distance of patches in both directions; they overlap.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    mel_bands: int = 128
    frames: int = 66
    patch: int = 16
    patch_step: int = 10

    @property
    def frequency_patches(self) -> int:
        """Patches from the lowest to the highest band."""
        return (self.mel_bands - self.patch) // self.patch_step + 1

    @property
    def segment_tokens(self) -> int:
        """Tokens in time that one segment becomes."""
        return (self.frames - self.patch) // self.patch_step + 1

    def __post_init__(self) -> None:
        """Check that the sizes fit each other."""
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads ({self.heads})")
        if min(self.mel_bands, self.frames) < self.patch:
            raise ValueError(
                f"a spectrogram of {self.mel_bands} bands and {self.frames} frames is smaller than one patch of "
                f"{self.patch}; give more bands and frames"
            )
        least = 1 + SEGMENT_SAMPLES // _HOP_SAMPLES
        if self.frames < least:
            raise ValueError(f"frames is {self.frames}, but a segment has {least}; give at least these")


class SoundBranch(nn.Module):
    """Spectrograms of segments in, tokens in time out."""

    def __init__(self, config: SoundConfig) -> None:
        super().__init__()
        self.config = config
        self.ast = _SpectrogramTransformer(config)
        self.freq_attn_agg = TokenSummary(config.width, config.heads, int(config.width * config.mlp_ratio))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Features (B, S, tokens, width) of S segments (B, S, mel_bands, frames) from `log_mel_segments`."""
        patches = self.ast(spectrograms.flatten(0, 1))[:, 2:]  # without class and distillation token
        patches = patches.unflatten(1, (self.config.frequency_patches, self.config.segment_tokens))
        moments = patches.transpose(1, 2)  # [B S, t, f, D]
        summaries = self.freq_attn_agg(moments.flatten(0, 1))
        return summaries.unflatten(0, (*spectrograms.shape[:2], -1))


class _SpectrogramTransformer(nn.Module):
    def __init__(self, config: SoundConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(config) for _ in range(config.layers))})
        self.layernorm = nn.LayerNorm(config.width, eps=_AST_EPSILON)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Normed tokens [N, 2 + f t, D] of spectrograms [N, F, T]: two of its own, then patches by frequency."""
        x = self.embeddings(spectrograms)
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            x = layer(x)
        return self.layernorm(x)


class _Embeddings(nn.Module):
    def __init__(self, config: SoundConfig) -> None:
        super().__init__()
        width, patches = config.width, config.frequency_patches * config.segment_tokens
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 2 + patches, width))
        self.patch_embeddings = nn.ModuleDict(
            {"projection": nn.Conv2d(1, width, config.patch, stride=config.patch_step)}
        )

    def forward(self, spectrograms: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](spectrograms[:, None]).flatten(2).transpose(1, 2)
        own = torch.cat([self.cls_token, self.distillation_token], dim=1).expand(len(patches), -1, -1)
        return torch.cat([own, patches], dim=1) + self.position_embeddings


class _Layer(nn.Module):
    """Attention, then a perceptron, each on normed input and added."""

    def __init__(self, config: SoundConfig) -> None:
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.heads = config.heads
        self.layernorm_before = nn.LayerNorm(width, eps=_AST_EPSILON)
        self.layernorm_after = nn.LayerNorm(width, eps=_AST_EPSILON)
        parts = nn.ModuleDict({part: nn.Linear(width, width) for part in ("query", "key", "value")})
        self.attention = nn.ModuleDict(
            {"attention": parts, "output": nn.ModuleDict({"dense": nn.Linear(width, width)})}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = nn.ModuleDict({"dense": nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attended(self.layernorm_before(x))
        inner = functional.gelu(self.intermediate["dense"](self.layernorm_after(x)))
        return x + self.output["dense"](inner)

    def _attended(self, x: Tensor) -> Tensor:
        parts, output = self.attention["attention"], self.attention["output"]
        assert isinstance(parts, nn.ModuleDict)
        assert isinstance(output, nn.ModuleDict)
        return output["dense"](attend(parts["query"](x), parts["key"](x), parts["value"](x), self.heads))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Plain attention of all tokens to all: (B, L, D) each, in `heads` parts of the width."""
    split = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    return functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)


def segment_count(samples: int) -> int:
    """Full segments in so many samples at 16 kHz; the rest after the last one is not heard."""
    return max(0, (samples - SEGMENT_SAMPLES) // SEGMENT_STEP_SAMPLES + 1)


def log_mel_segments(mono: Tensor, config: SoundConfig | None = None) -> Tensor:
    """Scaled log-mel spectrograms of overlapping segments, each mirrored at its own ends.

    Power of a 400-sample Hann window in a transform of 1024 samples every 160, triangular filters of height 1 on
    O'Shaughnessy's mel scale (2595 log10(1 + f/700)) from 0 to 8 kHz, log(power + 1e-6). The 66th frame is 0
    before the scaling, as published.

    Args:
        mono: (N,) waveform at 16 kHz.
        config: Sizes; the published ones by default.

    Returns:
        (S, mel_bands, frames), float32.

    Raises:
        ValueError: If the sound is no waveform (N,) of at least one segment.
    """
    sizes = config or SoundConfig()
    if mono.ndim != 1 or len(mono) < SEGMENT_SAMPLES:
        raise ValueError(
            f"mono has shape {tuple(mono.shape)}; give one waveform (N,) of at least {SEGMENT_SAMPLES} samples, "
            f"the {SEGMENT_SAMPLES / PUBLISHED_RATE_HZ:.2f} s of one Synchformer segment at 16 kHz"
        )
    segments = mono.float().unfold(0, SEGMENT_SAMPLES, SEGMENT_STEP_SAMPLES)
    spectrum = torch.stft(
        segments,
        _FFT_SAMPLES,
        _HOP_SAMPLES,
        _WINDOW_SAMPLES,
        window=torch.hann_window(_WINDOW_SAMPLES, device=mono.device),
        return_complex=True,
    )
    power = mel_filters(sizes.mel_bands).to(mono.device) @ spectrum.abs().square()
    filled = functional.pad((power + _POWER_OFFSET).log(), (0, sizes.frames - power.shape[-1]))
    return (filled - _MEAN) / (2 * _DEVIATION)


def mel_filters(bands: int) -> Tensor:
    """Triangles (bands, 513) of height 1 over the bins of the transform, equally far in mel from 0 to 8 kHz."""
    bank = FilterBank(
        PUBLISHED_RATE_HZ, _FFT_SAMPLES, bands, 0.0, PUBLISHED_RATE_HZ / 2, scale="htk", unit_area=False
    )
    return bank.filters()
