"""PaSST: 768 numbers and 527 AudioSet classes for ten seconds of sound.

Koutini et al., "Efficient training of audio transformers with patchout", 2022: a vision transformer over patches
of a mel spectrogram that overlap, under the parameter names of passt-s-f128-p16-s10-ap.476-swa. The embedding is
the mean of its class and its distillation token; the logits come before the sigmoid it was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.evaluation.networks.spectra import PASST_RATE_HZ, PasstSpectrum

_EPSILON = 1e-6
_HEAD_WIDTH = 64
_LEAST_S = 0.2


@dataclass(frozen=True)
class PasstConfig:
    """Sizes; the defaults are the published ones.

    Attributes:
        width: Numbers of a token and of the embedding.
        layers: Transformer blocks.
        heads: Heads of their attention.
        mlp_ratio: Inner width of their perceptrons over `width`.
        classes: Logits.
        bands: Mel bands.
        patch: Side of a patch, in bands and frames.
        stride: Distance of patches, in bands and frames.
        duration_s: Length that every sound is cut or padded to.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    classes: int = 527
    bands: int = 128
    patch: int = 16
    stride: int = 10
    duration_s: float = 10.0

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads ({self.heads})")

    @property
    def samples(self) -> int:
        """Samples of `duration_s`."""
        return round(self.duration_s * PASST_RATE_HZ)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches over bands and over `duration_s`; a frame is 10 ms."""
        frames = round(self.duration_s * 100)
        return (self.bands - self.patch) // self.stride + 1, (frames - self.patch) // self.stride + 1

    @classmethod
    def of_weights(cls, state: Mapping[str, Tensor]) -> PasstConfig:
        """Sizes read off weights in the published layout.

        Raises:
            ValueError: If these are no weights of PaSST, or those for another length or stride.
        """
        token, last = state.get("cls_token"), state.get("head.1.weight")
        rows, columns = state.get("freq_new_pos_embed"), state.get("time_new_pos_embed")
        if token is None or last is None or rows is None or columns is None or last.ndim != 2:
            raise ValueError(
                "these are no weights of PaSST: cls_token, freq_new_pos_embed, time_new_pos_embed or "
                "head.1.weight is missing; give passt-s-f128-p16-s10-ap.476-swa.pt"
            )
        found = (rows.shape[2], columns.shape[3])
        if found != cls().grid:
            raise ValueError(
                f"these weights of PaSST have {found[0]} x {found[1]} patches; the network for 10 s with stride 10 "
                f"has {cls().grid[0]} x {cls().grid[1]}: give passt-s-f128-p16-s10-ap.476-swa.pt"
            )
        layers = {match[1] for key in state if (match := re.match(r"blocks\.(\d+)\.", key))}
        inner = state.get("blocks.0.mlp.fc1.bias", torch.empty(4 * token.shape[2]))
        width = token.shape[2]
        return cls(width, len(layers), max(1, width // _HEAD_WIDTH), len(inner) / width, len(last))


class Passt(nn.Module):
    """The network and its front end; only the network is in the state dict.

    Attributes:
        rate_hz: Rate of the samples that it takes.
        least_samples: Fewest samples that make a patch.
        embedding_size: Numbers for a sound.
        classes: Logits.
    """

    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        self.config = config
        self.rate_hz = PASST_RATE_HZ
        self.least_samples = round(_LEAST_S * PASST_RATE_HZ)
        self.embedding_size = config.width
        self.classes: int | None = config.classes
        self.spectrum = PasstSpectrum(config.bands)
        width, (rows, columns) = config.width, config.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, columns))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, config.patch, stride=config.stride)})
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.classes))
        # Stored in the published file, used only by its training.
        self.head_dist = nn.Linear(width, config.classes)

    def forward(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, width) and logits (B, classes) of spectra (B, bands, frames) of `duration_s`."""
        patches = self.patch_embed["proj"](bands[:, None])  # [B, width, rows, columns]
        patches = patches + self.time_new_pos_embed + self.freq_new_pos_embed
        first = (torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed).expand(
            len(bands), -1, -1
        )
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        # Only the two first tokens of the last block are read, so only they are computed.
        embeddings = self.norm(self.blocks[-1](tokens, read=2)).mean(1)
        return embeddings, self.head(embeddings)

    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (C, 1, width) and logits (C, classes) of samples (C, N), cut or padded to `duration_s`."""
        missing = self.config.samples - samples.shape[1]
        whole = functional.pad(samples, (0, missing)) if missing > 0 else samples[:, : self.config.samples]
        embeddings, logits = self(self.spectrum(whole))
        return embeddings[:, None], logits


class _Block(nn.Module):
    """Attention, then a perceptron, each on normed input and added."""

    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=_EPSILON) for _ in range(2))
        self.attn = _Attention(config)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, x: Tensor, read: int | None = None) -> Tensor:
        x = x[:, :read] + self.attn(self.norm1(x), read)
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, read: int | None) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heads = functional.scaled_dot_product_attention(query[:, :, :read], key, value)
        return self.proj(heads.transpose(1, 2).flatten(2))
