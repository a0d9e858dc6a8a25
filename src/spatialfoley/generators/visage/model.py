"""The ViSAGe network in the published key layout: conditions to states, states and rows to logits.

`frame_encoder` reads the video, `row_decoder` the rows of tokens; both are made of `layers`. What goes in is in
`conditions`; here are the learned nulls that stand for what is left out, and the heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.conditions import PATCHES, VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.frame_encoder import FrameEncoder
from spatialfoley.generators.visage.row_decoder import RowDecoder

RowLogits = tuple[Tensor, ...]
"""Logits of the codebooks that can be active, for each phase of the layout: (B, rows of the phase, codebooks of
`TokenLayout.groups[phase]`, V). The first and the last row of a clip hold only a part of them."""


class _Core(nn.Module):
    """Holds both halves under the published prefix `model.`."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        self.encoder = FrameEncoder(config)
        self.decoder = RowDecoder(config)


class VisageModel(nn.Module):
    """The whole network. Randomly initialised; `checkpoint.load_visage` reads trained weights."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = config.layout
        self.null_embedding = nn.Parameter(torch.zeros(config.d_clip))
        self.dir_null_embedding = nn.Parameter(torch.zeros(3))
        self.energy_null_embedding = nn.Parameter(torch.zeros(PATCHES))
        self.model = _Core(config)
        self.dac_heads = cast(
            Sequence[nn.Linear],
            nn.ModuleList(nn.Linear(config.d_model, config.dac_vocab_size) for _ in range(config.codebooks)),
        )
        self.apply(self._initialise)
        if config.unit_direction and not self.null_embedding.is_meta:
            for module in self.model.encoder.direction_embedding:
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=module.in_features**-0.5)

    def _initialise(self, module: nn.Module) -> None:
        if self.null_embedding.is_meta:
            return
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.init_std)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
            if module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])

    def encode(self, conditions: VisageConditions) -> Tensor:
        """Encoder states of the conditions.

        Returns:
            (B, T + 2, D): BOS, one state per video frame, EOS.

        Raises:
            ValueError: If a shape does not fit the configuration.
        """
        conditions.check(self.config)
        frames, energy_map, direction = conditions.frames, conditions.energy_map, conditions.direction
        project = self.model.encoder.energy_map_projection
        energy = None if energy_map is None else project(energy_map)
        if conditions.visual_dropped is not None:
            dropped = conditions.visual_dropped[:, None, None]
            frames = torch.where(dropped, self.null_embedding, frames)
            # Published behaviour: the null branch has an energy map even where the clip has none.
            kept = torch.zeros_like(frames[..., :1]) if energy is None else energy
            energy = torch.where(dropped, project(self.energy_null_embedding), kept)
        if conditions.direction_dropped is not None:
            direction = torch.where(conditions.direction_dropped[:, None], self.dir_null_embedding, direction)
        encoded: Tensor = self.model.encoder(frames, energy, direction)
        return encoded

    def encode_branches(self, conditions: VisageConditions, guidance: Guidance) -> Tensor:
        """Encoder states of every branch of a guidance, in one pass.

        Returns:
            (branches, B, T + 2, D).
        """
        states = self.encode(conditions.branches(guidance))
        return states.unflatten(0, (len(guidance.branches), len(conditions.frames)))

    def decode_teacher(self, rows: Tensor, encoder_hidden: Tensor) -> Tensor:
        """Hidden states of all positions, given the true rows before each.

        Args:
            rows: Tokens (B, R, K) of rows 0 to R - 1.
            encoder_hidden: (B, T + 2, D).

        Returns:
            (B, R + 1, D); position p predicts row p.

        Raises:
            ValueError: If there are more rows than positions.
        """
        if rows.ndim != 3 or rows.shape[2] != self.config.codebooks:
            raise ValueError(
                f"rows has the shape {tuple(rows.shape)}, not (batch, rows, {self.config.codebooks})"
            )
        self.check_row_count(rows.shape[1] + 1)
        hidden: Tensor = self.model.decoder(rows, encoder_hidden)
        return hidden

    def logits(self, hidden: Tensor, codebook: int) -> Tensor:
        """Logits (..., V) of one codebook from hidden states (..., D)."""
        head: Tensor = self.dac_heads[codebook](hidden)
        return head

    def stacked_logits(
        self, hidden: Tensor, codebooks: tuple[int, ...], window: range | None = None
    ) -> Tensor:
        """Logits (..., len(codebooks), V) of several codebooks; V is a window of tokens if given.

        In one product, unless there are so few rows that joining the weights moves more memory than joining logits.
        """
        tokens = slice(None) if window is None else slice(window.start, window.stop)
        weights = [self.dac_heads[k].weight[tokens] for k in codebooks]
        biases = [self.dac_heads[k].bias[tokens] for k in codebooks]
        if hidden[..., 0].numel() < hidden.shape[-1]:
            products = [functional.linear(hidden, *head) for head in zip(weights, biases, strict=True)]
            return torch.stack(products, dim=-2)
        weight, bias = torch.cat(weights), torch.cat(biases)
        return functional.linear(hidden, weight, bias).unflatten(-1, (len(codebooks), -1))

    def row_logits(self, hidden: Tensor, window: range | None = None) -> RowLogits:
        """Logits of the codebooks that can be active, from hidden states (B, R, D) of rows 0 to R - 1."""
        period = self.layout.period
        return tuple(
            self.stacked_logits(hidden[:, phase::period], group, window)
            for phase, group in enumerate(self.layout.groups)
        )

    def forward(self, conditions: VisageConditions, rows: Tensor) -> RowLogits:
        """Predict every row of a clip from the conditions and the rows before it.

        Args:
            conditions: Of B clips.
            rows: All rows (B, R, K) of the clips; the last one is only predicted, never read.
        """
        return self.row_logits(self.decode_teacher(rows[:, :-1], self.encode(conditions)))

    def check_row_count(self, rows: int) -> None:
        """Raise ValueError if a clip of this many decoder rows has no positions."""
        limit = self.config.max_target_length
        if rows > limit:
            raise ValueError(f"{rows} decoder rows exceed max_target_length {limit}: use shorter clips")
