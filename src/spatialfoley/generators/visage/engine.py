"""The fast way to run the decoder row by row; the same logits as `stepper.plain_stepper`.

All guidance branches of all clips go through the network in one batch. Keys and values are kept in a buffer
of the final length, those of the encoder states are computed once, the three projections of self-attention
are one product, and so are the heads of all codebooks that a row holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visage import native
from spatialfoley.generators.visage.kernels import (
    NATIVE_DTYPES,
    Kernel,
    LinearFunction,
    choose_kernel,
)
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.native import NativeLayers
from spatialfoley.generators.visage.token_layout import TokenLayout
from spatialfoley.generators.visage.torch_layers import TorchLayers, release_weight, stack_linears


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
        heads: For each phase of the layout, the product with the heads of its codebooks, stacked.
    """

    model: VisageModel
    layout: TokenLayout
    layers: TorchLayers | NativeLayers
    table: Tensor
    fed: Tensor | None
    table_offsets: Tensor
    heads: tuple[LinearFunction, ...]


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
        phase = row_index % packed.layout.period
        group = packed.layout.groups[phase]
        logits = packed.heads[phase](x).view(self._branches, self._batch, len(group), -1)
        if row_index in (0, self._last_row):
            # Only these two rows hold a part of what others of their phase hold.
            active = len(packed.layout.active_codebooks(row_index, self._last_row))
            logits = logits[:, :, :active] if row_index == 0 else logits[:, :, -active:]
        return logits


def _pack(model: VisageModel, kernel: Kernel, release: bool) -> _PackedDecoder:
    """Pack layer by layer, so that memory holds at most one layer twice when weights are released."""
    decoder, layout, config = model.model.decoder, model.layout, model.config
    device = decoder.bos.device
    fed = decoder.fed_codebooks
    layers: TorchLayers | NativeLayers
    if kernel in NATIVE_DTYPES:
        layers = NativeLayers(
            decoder.layers, NATIVE_DTYPES[kernel], release_weight if release else lambda linear: None
        )
    else:
        layers = TorchLayers(decoder.layers, kernel, release)
    packed = _PackedDecoder(
        model=model,
        layout=layout,
        layers=layers,
        table=torch.cat([decoder.embed_dac[k].weight.detach() for k in fed]),
        fed=None if len(fed) == config.codebooks else torch.tensor(fed, device=device),
        table_offsets=torch.arange(len(fed), device=device) * config.embedding_rows,
        heads=tuple(
            stack_linears([model.dac_heads[k] for k in group], kernel, release, layout.window)
            for group in layout.groups
        ),
    )
    if release:
        for embedding in decoder.embed_dac:
            release_weight(embedding)
    return packed
