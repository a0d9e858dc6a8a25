"""The decoder layers as operators of torch: on a CPU with any kernel, on a GPU recorded once and replayed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visage.kernels import Kernel, LinearFunction, build_linear
from spatialfoley.generators.visage.layers import Attention, DecoderLayer

# From here on two batched products outrun the fused attention, which costs fewer calls.
_WIDE = 512
_WARM_UP_STEPS = 3


@dataclass(frozen=True)
class PackedLayer:
    """One decoder layer, ready to run."""

    query_key_value: LinearFunction
    out: LinearFunction
    cross: Attention
    cross_query: LinearFunction
    cross_out: LinearFunction
    fc1: LinearFunction
    fc2: LinearFunction
    norms: tuple[nn.LayerNorm, nn.LayerNorm, nn.LayerNorm]


class TorchLayers:
    """All decoder layers as operators of torch."""

    def __init__(self, layers: Sequence[DecoderLayer], kernel: Kernel, release: bool) -> None:
        """Pack layer by layer.

        Args:
            layers: Of the model.
            kernel: How products are computed.
            release: Whether to empty the weights of the model once they are packed.
        """
        self.heads = layers[0].self_attn.heads
        self.packed = [_pack_layer(layer, kernel, release) for layer in layers]

    def start(
        self, states: Tensor, rows: int, *, recorded: bool | None = None
    ) -> TorchLayersRun | RecordedLayersRun:
        """Start decoding.

        Args:
            states: Encoder states (R, T + 2, D).
            rows: Decoder rows of the clips.
            recorded: Whether every step runs the same operations on the same memory, which is what a GPU can
                replay at once; None for yes on a GPU and no on a CPU.
        """
        if states.is_cuda if recorded is None else recorded:
            return RecordedLayersRun(self, states, rows)
        return TorchLayersRun(self, states, rows)


class TorchLayersRun:
    """The layers with the keys and values of one batch of clips."""

    def __init__(self, layers: TorchLayers, states: Tensor, rows: int) -> None:
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


class RecordedLayersRun:
    """As `TorchLayersRun`, with the row index in memory and attention over all rows, those to come masked.

    On a GPU the operations of a step are recorded as a CUDA graph in the first step, and replayed in the others.
    """

    def __init__(self, layers: TorchLayers, states: Tensor, rows: int) -> None:
        count, _, width = states.shape
        self._layers, self._heads = layers.packed, layers.heads
        self._cross = [layer.cross.keys_and_values(states) for layer in self._layers]
        # Zeros, since a masked row counts 0 times, which must not be 0 times infinity.
        self.cache = states.new_zeros((len(self._layers), 2, count, self._heads, rows, width // self._heads))
        self._inputs = states.new_zeros((count, width))
        self._row_index = torch.zeros(1, dtype=torch.int64, device=states.device)
        self._every_row = torch.arange(rows, device=states.device)
        self._recordable = self.cache.is_cuda
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: Tensor | None = None

    def __call__(self, x: Tensor, row_index: int) -> Tensor:
        """Hidden states (R, D) of one row from the inputs of the first layer (R, D)."""
        self._inputs.copy_(x)
        self._row_index.fill_(row_index)
        if self._graph is None and self._recordable:
            self._record()
        if self._graph is None or self._outputs is None:
            return self._step()
        self._graph.replay()
        return self._outputs

    def _record(self) -> None:
        stream = torch.cuda.Stream(self.cache.device)
        stream.wait_stream(torch.cuda.current_stream(self.cache.device))
        with torch.cuda.stream(stream):
            # Libraries allocate their work space in the first calls, which a recording may not hold. Steps of
            # the same row write the same keys and values again.
            for _ in range(_WARM_UP_STEPS):
                self._step()
        torch.cuda.current_stream(self.cache.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._outputs = self._step()
            self._graph = graph
        except RuntimeError as problem:
            self._recordable = False
            warnings.warn(f"the decoder step is not recorded, which makes it slower: {problem}", stacklevel=2)

    def _step(self) -> Tensor:
        x = self._inputs
        to_come = self._every_row > self._row_index
        mask = torch.zeros_like(to_come, dtype=x.dtype).masked_fill(to_come, -torch.inf)
        for index, layer in enumerate(self._layers):
            first_norm, second_norm, third_norm = layer.norms
            projected = layer.query_key_value(x).view(len(x), 3, self._heads, -1)
            own = self.cache[index]
            own.index_copy_(3, self._row_index, projected[:, 1:].transpose(0, 1).unsqueeze(3))
            scores = (
                projected[:, 0].unsqueeze(2) @ own[0].transpose(2, 3) * projected.shape[-1] ** -0.5 + mask
            )
            x = first_norm(layer.out((scores.softmax(-1) @ own[1]).flatten(1)) + x)
            query = layer.cross_query(x).view(len(x), self._heads, -1)
            x = second_norm(layer.cross_out(_attend_fused(query, *self._cross[index])) + x)
            x = third_norm(layer.fc2(functional.gelu(layer.fc1(x))) + x)
        return x


def stack_linears(
    linears: Sequence[nn.Linear], kernel: Kernel, release: bool, window: range | None = None
) -> LinearFunction:
    """One product that gives the outputs of several, side by side; of each only a window of outputs if given."""
    kept = slice(None) if window is None else slice(window.start, window.stop)
    weight: Tensor = linears[0].weight[kept]
    bias: Tensor = linears[0].bias[kept]
    if len(linears) > 1:
        weight = torch.cat([linear.weight[kept] for linear in linears])
        bias = torch.cat([linear.bias[kept] for linear in linears])
    packed = build_linear(kernel, weight, bias)
    if release:
        for linear in linears:
            release_weight(linear)
    return packed


def release_weight(module: nn.Linear | nn.Embedding) -> None:
    """Empty the weight of a module whose numbers live on elsewhere."""
    module.weight.data = module.weight.new_empty(0)


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


def _pack_layer(layer: DecoderLayer, kernel: Kernel, release: bool) -> PackedLayer:
    own, cross = layer.self_attn, layer.encoder_attn
    return PackedLayer(
        query_key_value=stack_linears([own.q_proj, own.k_proj, own.v_proj], kernel, release),
        out=stack_linears([own.out_proj], kernel, release),
        cross=cross,
        cross_query=stack_linears([cross.q_proj], kernel, release),
        cross_out=stack_linears([cross.out_proj], kernel, release),
        fc1=stack_linears([layer.fc1], kernel, release),
        fc2=stack_linears([layer.fc2], kernel, release),
        norms=(layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm),
    )
