"""The ViSAGe network: a frame encoder and a token decoder, in the published key layout.

Post-norm BART layers without a final norm. The encoder reads video frames (embedding, patch energy map,
position, direction); the decoder reads decoder rows of `token_layout` and predicts the next one. One file on
purpose: the whole network can be read here beside its configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.config import VisageConfig

PATCHES = 49
_DECODER_POSITION_OFFSET = 2


@dataclass(frozen=True)
class VisageConditions:
    """What the sound is made from.

    Attributes:
        frames: Frame embeddings (B, T, d_clip).
        energy_map: Patch energy maps (B, T, 49), or None where there are none.
        direction: Unit vectors to where the camera looks (B, 3), as (right, down, forward).
        visual_dropped: Samples (B,) whose frames and energy map are replaced by the learned null ones.
        direction_dropped: Samples (B,) whose direction is replaced by the learned null one.
    """

    frames: Tensor
    energy_map: Tensor | None
    direction: Tensor
    visual_dropped: Tensor | None = None
    direction_dropped: Tensor | None = None

    def to(self, device: torch.device | str) -> VisageConditions:
        """The same conditions on a device."""

        def moved(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(device)

        return VisageConditions(
            frames=self.frames.to(device),
            energy_map=moved(self.energy_map),
            direction=self.direction.to(device),
            visual_dropped=moved(self.visual_dropped),
            direction_dropped=moved(self.direction_dropped),
        )

    def without(self, *, visual: bool = False, direction: bool = False) -> VisageConditions:
        """The same conditions with the visual part, the direction or both replaced by the learned null."""
        every = torch.ones(len(self.frames), dtype=torch.bool, device=self.frames.device)
        return replace(
            self,
            visual_dropped=every if visual else self.visual_dropped,
            direction_dropped=every if direction else self.direction_dropped,
        )


RowLogits = tuple[Tensor, ...]
"""Logits of the codebooks that can be active, for each phase of the layout: (B, rows of the phase, codebooks of
`TokenLayout.groups[phase]`, V). The first and the last row of a clip hold only a part of them."""


class Attention(nn.Module):
    """Multi-head attention with biased projections."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, projected: Tensor) -> Tensor:
        """(B, L, D) -> (B, heads, L, D / heads)."""
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Split keys and values (B, heads, L, D / heads) of source (B, L, D)."""
        return self.split(self.k_proj(source)), self.split(self.v_proj(source))

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, *, causal: bool = False) -> Tensor:
        """Attend from x (B, L, D) to split keys and values (B, heads, L', D / heads)."""
        dropout = self.dropout if self.training else 0.0
        queries = self.split(self.q_proj(x))
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, is_causal=causal
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, source: Tensor, *, causal: bool = False) -> Tensor:
        """Attend from x (B, L, D) to source (B, L', D)."""
        return self.attend(x, *self.keys_and_values(source), causal=causal)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by its norm."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width = config.d_model
        self.dropout, self.activation_dropout = config.dropout, config.activation_dropout
        self.self_attn = Attention(width, config.encoder_attention_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        x = self.self_attn_layer_norm(x + self._drop(self.self_attn(x, x)))
        return self.final_layer_norm(x + self.feed_forward(x))

    def feed_forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D), without the residual."""
        hidden = functional.dropout(functional.gelu(self.fc1(x)), self.activation_dropout, self.training)
        return self._drop(self.fc2(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder and feed-forward, each followed by its norm."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width, heads = config.d_model, config.decoder_attention_heads
        self.dropout, self.activation_dropout = config.dropout, config.activation_dropout
        self.self_attn = Attention(width, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = Attention(width, heads, config.attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.decoder_ffn_dim)
        self.fc2 = nn.Linear(config.decoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, encoder_hidden: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D), all positions at once."""
        attended = self.self_attn(x, x, causal=True)
        return self.after_self_attention(x, attended, *self.encoder_attn.keys_and_values(encoder_hidden))

    def after_self_attention(self, x: Tensor, attended: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The rest of the layer, given the self-attention's output and the encoder's keys and values."""
        x = self.self_attn_layer_norm(x + self._drop(attended))
        x = self.encoder_attn_layer_norm(x + self._drop(self.encoder_attn.attend(x, keys, values)))
        hidden = functional.dropout(functional.gelu(self.fc1(x)), self.activation_dropout, self.training)
        return self.final_layer_norm(x + self._drop(self.fc2(hidden)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


def _table(rows: int, width: int, padding_idx: int | None = None) -> nn.Embedding:
    """An embedding that `VisageModel` initialises, and nobody before it.

    The initialisation inside `nn.Embedding`, on the meta device on which checkpoints are loaded, would import
    torch's compiler: seconds, for nothing.
    """
    return nn.Embedding(rows, width, padding_idx, _weight=torch.empty(rows, width))


class FrameEncoder(nn.Module):
    """Video frames and a direction to encoder states: BOS, one state per frame, EOS."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width = config.d_model
        self.dropout = config.dropout
        self.bos = nn.Parameter(torch.zeros(1, width))
        self.eos = nn.Parameter(torch.zeros(1, width))
        self.clip_projection = nn.Linear(config.d_clip, width)
        self.embed_positions = _table(config.max_source_length, width)
        # Part of the published layout; the published network never reads it.
        self.embed_spatial = _table(4, width)
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
                _table(config.embedding_rows, width, config.dac_pad_token_id) for _ in range(config.codebooks)
            ),
        )
        positions = config.max_target_length + _DECODER_POSITION_OFFSET
        self.embed_positions = _table(positions, width)
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
        offsets = self.embed_positions.weight[positions + _DECODER_POSITION_OFFSET]
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
        self._check_conditions(conditions)
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
        copies = len(guidance.branches)
        batch = len(conditions.frames)
        unseen = [not branch.visual for branch in guidance.branches]
        undirected = [not branch.direction for branch in guidance.branches]
        energy_map, device = conditions.energy_map, conditions.frames.device
        stacked = VisageConditions(
            frames=conditions.frames.repeat(copies, 1, 1),
            energy_map=None if energy_map is None else energy_map.repeat(copies, 1, 1),
            direction=conditions.direction.repeat(copies, 1),
            visual_dropped=torch.tensor(unseen, device=device).repeat_interleave(batch),
            direction_dropped=torch.tensor(undirected, device=device).repeat_interleave(batch),
        )
        return self.encode(stacked).unflatten(0, (copies, batch))

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
        """Logits (..., len(codebooks), V) of several codebooks in one product; V is a window of tokens if given."""
        tokens = slice(None) if window is None else slice(window.start, window.stop)
        weight = torch.cat([self.dac_heads[k].weight[tokens] for k in codebooks])
        bias = torch.cat([self.dac_heads[k].bias[tokens] for k in codebooks])
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

    def _check_conditions(self, conditions: VisageConditions) -> None:
        frames, energy_map = conditions.frames, conditions.energy_map
        if frames.ndim != 3 or frames.shape[2] != self.config.d_clip:
            raise ValueError(
                f"frames has the shape {tuple(frames.shape)}, not (batch, T, {self.config.d_clip})"
            )
        if not 1 <= frames.shape[1] <= self.config.max_source_length:
            raise ValueError(
                f"frames has {frames.shape[1]} video frames, but the network has positions for 1 to "
                f"{self.config.max_source_length}"
            )
        if energy_map is not None and energy_map.shape != (*frames.shape[:2], PATCHES):
            raise ValueError(
                f"energy_map has the shape {tuple(energy_map.shape)}, not {(*frames.shape[:2], PATCHES)}"
            )
        if conditions.direction.shape != (len(frames), 3):
            raise ValueError(
                f"direction has the shape {tuple(conditions.direction.shape)}, not {(len(frames), 3)}"
            )
