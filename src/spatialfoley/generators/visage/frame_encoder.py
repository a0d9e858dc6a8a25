"""The encoder: video frames (embedding, patch energy map, position, direction) to states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visage.conditions import PATCHES
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.layers import EncoderLayer, empty_table


class FrameEncoder(nn.Module):
    """Video frames and a direction to encoder states: BOS, one state per frame, EOS."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width = config.d_model
        self.dropout = config.dropout
        self.bos = nn.Parameter(torch.zeros(1, width))
        self.eos = nn.Parameter(torch.zeros(1, width))
        self.clip_projection = nn.Linear(config.d_clip, width)
        self.embed_positions = empty_table(config.max_source_length, width)
        # Part of the published layout; the published network never reads it.
        self.embed_spatial = empty_table(4, width)
        self.layers = cast(
            Sequence[EncoderLayer], nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        )
        self.layernorm_embedding = nn.LayerNorm(width)
        self.direction_embedding = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.energy_map_projection = nn.Sequential(
            nn.Linear(PATCHES, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, frames: Tensor, energy: Tensor | None, direction: Tensor) -> Tensor:
        """(B, T, d_clip), projected energy maps (B, T, D), (B, 3) -> (B, T + 2, D)."""
        x = self.clip_projection(frames)
        if energy is not None:
            x = x + energy
        x = x + self.embed_positions.weight[: frames.shape[1]] + self.direction_embedding(direction)[:, None]
        first, last = self.bos.expand(len(x), 1, -1), self.eos.expand(len(x), 1, -1)
        x = self.layernorm_embedding(torch.cat([first, x, last], dim=1))
        x = functional.dropout(x, self.dropout, self.training)
        for layer in self.layers:
            x = layer(x)
        return x
