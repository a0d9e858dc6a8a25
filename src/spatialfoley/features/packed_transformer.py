"""Blocks of the frozen vision transformers on a CPU with bfloat16 arithmetic.

Matrices are bfloat16 and laid out once, see `kernels`; sums, norms, softmax and what passes from block to block are
float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spatialfoley.kernels import bfloat16_rows as rows_code
from spatialfoley.kernels.bfloat16_rows import Groups
from spatialfoley.kernels.packed import PackedFrames, unavailable_reason

MlpActivation = Literal["gelu", "quick_gelu"]

_DTYPE = torch.bfloat16
_QUICK = 1.702
"""quick_gelu(x) = x sigmoid(1.702 x), which is swish(1.702 x) / 1.702."""


@dataclass(frozen=True)
class Matrix:
    """Weight (O, I) and bias (O,)."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, linear: nn.Module) -> Matrix:
        """Those of a layer."""
        assert isinstance(linear, nn.Linear)
        return cls(linear.weight.detach(), linear.bias.detach())

    def times(self, factor: float | Tensor) -> Matrix:
        """The result times a factor, or one for each output."""
        rows = factor[:, None] if isinstance(factor, Tensor) else factor
        return Matrix(self.weight.float() * rows, self.bias.float() * factor)

    def packed(self, activation: Literal["none", "swish", "gelu"] = "none") -> PackedFrames:
        """In the layout of this CPU."""
        return PackedFrames(self.weight, self.bias, _DTYPE, activation)


class PackedAttention:
    """Norm, attention and sum: x + out(attend(qkv(norm(x))))."""

    def __init__(
        self,
        norm: nn.LayerNorm,
        query: Matrix,
        key: Matrix,
        value: Matrix,
        out: Matrix,
        heads: int,
        turned: bool,
    ) -> None:
        """Pack.

        Args:
            norm: Before it.
            query: Weights of the queries, key and value likewise.
            key: See above.
            value: See above.
            out: Weights after the attention.
            heads: Number of heads.
            turned: Whether pairs of neighbouring channels are turned by angles that are given at every call.
        """
        self.heads, self.turned = heads, turned
        self._norm = _Norm(norm)
        width = query.weight.shape[0] // heads
        self._scale = width**-0.5 * rows_code.LOG2_E
        if turned:
            query, key = _pairs_apart(query, heads), _pairs_apart(key, heads)
        else:
            query = query.times(self._scale)
        parts = (query, key, value)
        joined = Matrix(
            torch.cat([part.weight.float() for part in parts]),
            torch.cat([part.bias.float() for part in parts]),
        )
        self._qkv, self._out = joined.packed(), out.packed()

    def __call__(self, x: Tensor, groups: list[Groups], angles: tuple[Tensor, Tensor] | None = None) -> None:
        """Change rows x (R, D), float32, in place; every row asks in one of the groups."""
        attended = self._attended(x, groups, angles)
        rows_code.add_rows(x, self._out(attended))

    def of_rows(self, x: Tensor, groups: Groups) -> Tensor:
        """Only the rows that ask (G, D), each with what it has attended to."""
        asking = groups.query_start
        made = x[asking]
        rows_code.add_rows(made, self._out(self._attended(x, [groups], None)[asking]))
        return made

    def _attended(self, x: Tensor, groups: list[Groups], angles: tuple[Tensor, Tensor] | None) -> Tensor:
        qkv = self._qkv(self._norm(x))
        if self.turned:
            rows_code.prepare_heads(qkv, self.heads, self._scale, angles=angles)
        out = torch.empty(x.shape, dtype=_DTYPE)
        for each in groups:
            rows_code.attend(qkv, self.heads, each, out)
        return out


class PackedMlp:
    """Norm, perceptron and sum: x + fc2(activation(fc1(norm(x))))."""

    def __init__(self, norm: nn.LayerNorm, fc1: Matrix, fc2: Matrix, activation: MlpActivation) -> None:
        self._norm = _Norm(norm)
        if activation == "quick_gelu":
            self._fc1 = fc1.times(_QUICK).packed("swish")
            self._fc2 = Matrix(fc2.weight.float() / _QUICK, fc2.bias).packed()
        else:
            self._fc1, self._fc2 = fc1.packed("gelu"), fc2.packed()

    def __call__(self, x: Tensor) -> None:
        """Change rows x (R, D), float32, in place."""
        rows_code.add_rows(x, self._fc2(self._fc1(self._norm(x))))


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight = norm.weight.detach().float().contiguous()
        self._bias = norm.bias.detach().float().contiguous()
        self._epsilon = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return rows_code.layer_norm(x, self._weight, self._bias, self._epsilon)


def packing_refused(model: nn.Module, dim: int, heads: int, turned: bool) -> str | None:
    """Why the blocks of an encoder cannot be packed, or None if they can."""
    if next(model.parameters()).device.type != "cpu":
        return "it is not on a CPU"
    if not rows_code.fits(dim, heads, turned) or dim % 16:
        return f"{heads} heads in a width of {dim} do not fit the vectors of a CPU"
    return rows_code.unavailable_reason() or unavailable_reason(_DTYPE)


def release(module: nn.Module) -> None:
    """Drop the weights of a module whose packed form is used instead."""
    for name, parameter in list(module.named_parameters()):
        owner, _, last = name.rpartition(".")
        nothing = nn.Parameter(torch.empty(0, dtype=parameter.dtype), requires_grad=False)
        setattr(module.get_submodule(owner), last, nothing)


def _pairs_apart(matrix: Matrix, heads: int) -> Matrix:
    """Outputs of each head in another order: the even ones, then the odd ones."""

    def ordered(values: Tensor) -> Tensor:
        even, odd = values.unflatten(0, (heads, -1, 2)).unbind(2)
        return torch.cat([even, odd], dim=1).flatten(0, 1)

    return Matrix(ordered(matrix.weight), ordered(matrix.bias))
