"""The decoder: reads decoder rows of `token_layout` and the encoder's states, and predicts the next row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.layers import DecoderLayer, empty_table

_POSITION_OFFSET = 2
"""Rows of the position table before that of position 0, as in BART."""


class RowDecoder(nn.Module):
    """Decoder rows to hidden states; position p sees rows 0 to p - 1 and predicts row p."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width = config.d_model
        self.config = config
        self.fed_codebooks = tuple(k for k in range(config.codebooks) if k not in config.unfed_codebooks)
        self.bos = nn.Parameter(torch.zeros(1, width))
        self.embed_dac = cast(
            Sequence[nn.Embedding],
            nn.ModuleList(
                empty_table(config.embedding_rows, width, config.dac_pad_token_id)
                for _ in range(config.codebooks)
            ),
        )
        positions = config.max_target_length + _POSITION_OFFSET
        self.embed_positions = empty_table(positions, width)
        self.layers = cast(
            Sequence[DecoderLayer], nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        )
        self.layernorm_embedding = nn.LayerNorm(width)
        if config.aligned_conditions:
            self.aligned_projection = nn.Linear(width, width)

    def embed_tokens(self, rows: Tensor) -> Tensor:
        """Sum of the token embeddings of rows (B, R, K) -> (B, R, D)."""
        pad_id = self.config.dac_pad_token_id
        total = torch.zeros((), dtype=self.bos.dtype, device=rows.device)
        for codebook in self.fed_codebooks:
            # The pad row counts, as published, though it is zero in any trained network.
            table = self.embed_dac[codebook].weight
            total = total + functional.embedding(rows[..., codebook], table, padding_idx=pad_id)
        return total

    def embed(self, tokens: Tensor, first_position: int, encoder_hidden: Tensor) -> Tensor:
        """Inputs of the first layer.

        Args:
            tokens: BOS or summed token embeddings (B, L, D) of positions first_position, ...
            first_position: Position of the first of them.
            encoder_hidden: (B, T + 2, D).
        """
        positions = torch.arange(first_position, first_position + tokens.shape[1], device=tokens.device)
        x = self.layernorm_embedding(tokens + self.position_offsets(positions, encoder_hidden))
        return functional.dropout(x, self.config.dropout, self.training)

    def position_offsets(self, positions: Tensor, encoder_hidden: Tensor) -> Tensor:
        """What is added to the tokens at positions (L,): (L, D), or (B, L, D) with aligned conditions."""
        offsets = self.embed_positions.weight[positions + _POSITION_OFFSET]
        if self.config.aligned_conditions:
            aligned = encoder_hidden[:, self.aligned_states(positions, encoder_hidden)]
            offsets = offsets + self.aligned_projection(aligned)
        return offsets

    def aligned_states(self, positions: Tensor, encoder_hidden: Tensor) -> Tensor:
        """Index of the encoder state (BOS is 0) of the video frame on screen at each position."""
        frames = encoder_hidden.shape[1] - 2
        on_screen = (
            (positions // self.config.layout.period)
            * self.config.clip_frame_rate
            // self.config.dac_frame_rate
        )
        return on_screen.clamp(max=frames - 1) + 1

    def forward(self, rows: Tensor, encoder_hidden: Tensor) -> Tensor:
        """Rows (B, R, K) and encoder states (B, T + 2, D) -> hidden (B, R + 1, D)."""
        bos = self.bos.expand(len(rows), 1, -1)
        x = self.embed(torch.cat([bos, self.embed_tokens(rows)], dim=1), 0, encoder_hidden)
        for layer in self.layers:
            x = layer(x, encoder_hidden)
        return x
