"""The fast way to run the decoder row by row; the same logits as `stepper.plain_stepper`.

All guidance branches of all clips go through the network in one batch. Keys and values are kept in a buffer
of the final length, those of the encoder states are computed once, the three projections of self-attention
are one product, and so are the heads of all codebooks that a row holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visage import native
from spatialfoley.generators.visage.kernels import (
    NATIVE_DTYPES,
    Kernel,
    LinearFunction,
    build_linear,
    choose_kernel,
)
from spatialfoley.generators.visage.model import Attention, DecoderLayer, VisageModel
from spatialfoley.generators.visage.native import NativeLayers
from spatialfoley.generators.visage.token_layout import TokenLayout

# From here on two batched products outrun the fused attention, which costs fewer calls.
_WIDE = 512


class DecoderEngine:
    """Decodes rows with one network, whose weights are packed once, when the first clip starts."""

    def __init__(
        self,
        model: VisageModel,
        kernel: str = "auto",
        *,
        allow_private: bool = True,
        release_weights: bool = False,
    ) -> None:
        """Choose how products are computed.

        Args:
            model: The network, in evaluation mode. It is not changed unless `release_weights` is set, and
                later changes of its weights do not reach the engine.
            kernel: A name of `kernels.Kernel`, "auto" (fastest exact one) or "fast" (16-bit weights where
                this CPU has them).
            allow_private: Whether operators of torch that are not documented may be used.
            release_weights: Empty the parameters of the model's decoder once they are packed, so that memory
                holds them once. The model can then only encode.

        Raises:
            ValueError: If the kernel is unknown or not available.
        """
        parameter, config = model.model.decoder.bos, model.config
        if parameter.dtype != torch.float32 and kernel != "plain":
            if kernel not in ("auto", "fast"):
                raise ValueError(
                    f"kernel {kernel!r} needs a float32 model, but it is {parameter.dtype}: use 'auto'"
                )
            kernel = "plain"
        self.kernel: Kernel = choose_kernel(
            kernel,
            parameter.device,
            config.d_model,
            allow_private=allow_private,
            fits_native=native.fits(config.d_model, config.decoder_attention_heads, config.decoder_ffn_dim),
        )
        self._model = model
        self._release_weights = release_weights
        self._packed: _PackedDecoder | None = None

    @torch.inference_mode()
    def start(self, encoder_hidden: Tensor, rows: int) -> DecoderRun:
        """Start decoding a batch of clips.

        Args:
            encoder_hidden: Encoder states (branches, B, T + 2, D); every branch is fed the same tokens.
            rows: Decoder rows that the clips will have.

        Returns:
            A `StepFunction`: rows are asked for in order from 0.

        Raises:
            ValueError: If there are more rows than positions, or the states have another width or type.
        """
        self._model.check_row_count(rows)
        width = self._model.config.d_model
        if encoder_hidden.ndim != 4 or encoder_hidden.shape[3] != width:
            raise ValueError(
                f"encoder_hidden has the shape {tuple(encoder_hidden.shape)}, "
                f"not (branches, batch, T + 2, {width})"
            )
        if encoder_hidden.dtype != self._model.model.decoder.bos.dtype:
            raise ValueError(
                f"encoder_hidden is {encoder_hidden.dtype}, but the model is {self._model.model.decoder.bos.dtype}"
            )
        if self._packed is None:
            self._packed = _pack(self._model, self.kernel, self._release_weights)
        return DecoderRun(self._packed, encoder_hidden, rows)


@dataclass(frozen=True)
class _PackedDecoder:
    """The decoder and its heads, ready to run.

    Attributes:
        table: Token embeddings of all fed codebooks, one below the other.
        fed: Index of the fed codebooks, or None if all are.
        table_offsets: First row of each fed codebook in `table`.
        even_heads: Product with the heads of `layout.even`, stacked; likewise `odd_heads`.
    """

    model: VisageModel
    layout: TokenLayout
    layers: _TorchLayers | NativeLayers
    table: Tensor
    fed: Tensor | None
    table_offsets: Tensor
    even_heads: LinearFunction
    odd_heads: LinearFunction


class DecoderRun:
    """Decodes one batch of clips; call it with (row index, tokens (B, K) of the row before or None)."""

    def __init__(self, packed: _PackedDecoder, encoder_hidden: Tensor, rows: int) -> None:
        decoder = packed.model.model.decoder
        self._packed = packed
        self._branches, self._batch = encoder_hidden.shape[:2]
        self._last_row = rows - 1
        states = encoder_hidden.flatten(0, 1)
        self._layers = packed.layers.start(states, rows)
        positions = torch.arange(rows, device=states.device)
        self._offsets = decoder.position_offsets(positions, states).unbind(-2)

    @property
    def cache(self) -> Tensor:
        """Keys and values of self-attention (layers, 2, branches * B, heads, rows, D / heads)."""
        return self._layers.cache

    @torch.inference_mode()
    def __call__(self, row_index: int, previous_row: Tensor | None) -> Tensor:
        """Logits (branches, B, active codebooks, V) of one row.

        Raises:
            ValueError: If the clip has no such row, or the tokens are of another number of clips.
        """
        if not 0 <= row_index <= self._last_row:
            raise ValueError(f"row_index is {row_index}, but the clip has the rows 0 to {self._last_row}")
        if previous_row is not None and len(previous_row) != self._batch:
            raise ValueError(f"previous_row is of {len(previous_row)} clips, but {self._batch} were started")
        decoder = self._packed.model.model.decoder
        x = decoder.layernorm_embedding(self._tokens(previous_row) + self._offsets[row_index])
        return self._logits(self._layers(x, row_index), row_index)

    def _tokens(self, previous_row: Tensor | None) -> Tensor:
        packed = self._packed
        if previous_row is None:
            return packed.model.model.decoder.bos.expand(self._branches * self._batch, -1)
        if packed.fed is not None:
            previous_row = previous_row.index_select(1, packed.fed)
        summed = functional.embedding_bag(previous_row + packed.table_offsets, packed.table, mode="sum")
        return summed.repeat(self._branches, 1)

    def _logits(self, x: Tensor, row_index: int) -> Tensor:
        packed = self._packed
        heads = packed.odd_heads if row_index % 2 else packed.even_heads
        vocabulary = packed.model.config.dac_vocab_size
        logits = heads(x).view(self._branches, self._batch, -1, vocabulary)
        if row_index in (0, self._last_row):
            # Only these two rows hold a part of what others of their parity hold.
            active = len(packed.layout.active_codebooks(row_index, self._last_row))
            logits = logits[:, :, :active] if row_index == 0 else logits[:, :, -active:]
        return logits


@dataclass(frozen=True)
class _PackedLayer:
    """One decoder layer, ready to run."""

    query_key_value: LinearFunction
    out: LinearFunction
    cross: Attention
    cross_query: LinearFunction
    cross_out: LinearFunction
    fc1: LinearFunction
    fc2: LinearFunction
    norms: tuple[nn.LayerNorm, nn.LayerNorm, nn.LayerNorm]


class _TorchLayers:
    """All decoder layers as operators of torch."""

    def __init__(self, layers: Sequence[DecoderLayer], kernel: Kernel, release: bool) -> None:
        self.heads = layers[0].self_attn.heads
        self.packed = [_pack_layer(layer, kernel, release) for layer in layers]

    def start(self, states: Tensor, rows: int) -> _TorchLayersRun:
        """Start decoding: encoder states (R, T + 2, D), decoder rows of the clips."""
        return _TorchLayersRun(self, states, rows)


class _TorchLayersRun:
    """The layers with the keys and values of one batch of clips."""

    def __init__(self, layers: _TorchLayers, states: Tensor, rows: int) -> None:
        count, _, width = states.shape
        self._layers, self._heads = layers.packed, layers.heads
        self._cross = [layer.cross.keys_and_values(states) for layer in self._layers]
        self.cache = states.new_empty((len(self._layers), 2, count, self._heads, rows, width // self._heads))
        self._attend = _attend_by_products if width >= _WIDE else _attend_fused

    def __call__(self, x: Tensor, row_index: int) -> Tensor:
        """Hidden states (R, D) of one row from the inputs of the first layer (R, D)."""
        count, heads = len(x), self._heads
        slots = self.cache.select(4, row_index).unbind(0)
        past = self.cache.narrow(4, 0, row_index + 1).flatten(0, 1).unbind(0)
        for index, layer in enumerate(self._layers):
            first_norm, second_norm, third_norm = layer.norms
            projected = layer.query_key_value(x).view(count, 3, heads, -1)
            slots[index].copy_(projected[:, 1:].transpose(0, 1))
            mixed = self._attend(projected[:, 0], past[2 * index], past[2 * index + 1])
            x = first_norm(layer.out(mixed) + x)
            query = layer.cross_query(x).view(count, heads, -1)
            x = second_norm(layer.cross_out(_attend_fused(query, *self._cross[index])) + x)
            x = third_norm(layer.fc2(functional.gelu(layer.fc1(x))) + x)
        return x


def _attend_fused(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One query per row (R, heads, size) over keys and values (R, heads, L, size) -> (R, heads * size)."""
    mixed = functional.scaled_dot_product_attention(query.unsqueeze(2), keys, values)
    return mixed.reshape(len(query), -1)


def _attend_by_products(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """As `_attend_fused`, for keys and values whose first two axes lie together in memory."""
    rows, heads, size = query.shape
    scores = torch.baddbmm(
        query.new_empty(()),
        query.reshape(rows * heads, 1, size),
        keys.flatten(0, 1).transpose(1, 2),
        beta=0,
        alpha=size**-0.5,
    )
    return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(rows, heads * size)


def _pack(model: VisageModel, kernel: Kernel, release: bool) -> _PackedDecoder:
    """Pack layer by layer, so that memory holds at most one layer twice when weights are released."""
    decoder, layout, config = model.model.decoder, model.layout, model.config
    device = decoder.bos.device
    fed = decoder.fed_codebooks
    layers: _TorchLayers | NativeLayers
    if kernel in NATIVE_DTYPES:
        layers = NativeLayers(
            decoder.layers, NATIVE_DTYPES[kernel], _release if release else lambda linear: None
        )
    else:
        layers = _TorchLayers(decoder.layers, kernel, release)
    packed = _PackedDecoder(
        model=model,
        layout=layout,
        layers=layers,
        table=torch.cat([decoder.embed_dac[k].weight.detach() for k in fed]),
        fed=None if len(fed) == config.codebooks else torch.tensor(fed, device=device),
        table_offsets=torch.arange(len(fed), device=device) * config.embedding_rows,
        even_heads=_stack([model.dac_heads[k] for k in layout.even], kernel, release),
        odd_heads=_stack([model.dac_heads[k] for k in layout.odd], kernel, release),
    )
    if release:
        for embedding in decoder.embed_dac:
            _release(embedding)
    return packed


def _pack_layer(layer: DecoderLayer, kernel: Kernel, release: bool) -> _PackedLayer:
    own, cross = layer.self_attn, layer.encoder_attn
    return _PackedLayer(
        query_key_value=_stack([own.q_proj, own.k_proj, own.v_proj], kernel, release),
        out=_stack([own.out_proj], kernel, release),
        cross=cross,
        cross_query=_stack([cross.q_proj], kernel, release),
        cross_out=_stack([cross.out_proj], kernel, release),
        fc1=_stack([layer.fc1], kernel, release),
        fc2=_stack([layer.fc2], kernel, release),
        norms=(layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm),
    )


def _stack(linears: Sequence[nn.Linear], kernel: Kernel, release: bool) -> LinearFunction:
    """One product that gives the outputs of several, side by side."""
    weight: Tensor = linears[0].weight
    bias: Tensor = linears[0].bias
    if len(linears) > 1:
        weight = torch.cat([linear.weight for linear in linears])
        bias = torch.cat([linear.bias for linear in linears])
    packed = build_linear(kernel, weight, bias)
    if release:
        for linear in linears:
            _release(linear)
    return packed


def _release(module: nn.Linear | nn.Embedding) -> None:
    module.weight.data = module.weight.new_empty(0)
