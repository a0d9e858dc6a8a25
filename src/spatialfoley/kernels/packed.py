"""Matrices and short convolutions over tokens with weights laid out for oneDNN once, not at every call.

Networks read a few hundred tokens at a time, so that their speed is that of the products. On a CPU
`torch.nn.functional.linear` multiplies float32 by MKL, which leaves a tenth of an AMD CPU unused, and bfloat16 by
oneDNN, which first brings the weights into its own layout, at every call. Packed once, both run at the rate of the
CPU's arithmetic. The operators are private to torch: they are tried on a small matrix first, see
`unavailable_reason`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Activation = Literal["none", "swish", "gelu"]

_ALGORITHM = {"none": "", "swish": "", "gelu": "none"}
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
_ONCE = [1, 1]
_USUAL_TOKENS = 345
"""Tokens that the layout is chosen for; it holds for any number."""


class PackedFrames:
    """A matrix, or a convolution that keeps the number of tokens, in oneDNN's layout.

    Not an `nn.Module`: its weights are neither saved nor moved.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, activation: Activation = "none"
    ) -> None:
        """Pack.

        Args:
            weight: (O, I), or (O, I, K) with odd K.
            bias: (O,) or None.
            dtype: float32 or bfloat16, of the weights, of what goes in and of what comes out.
            activation: Applied to the result within the product.
        """
        weight = weight.detach().to(dtype)
        self.outputs, self.inputs = weight.shape[:2]
        self.kernel = weight.shape[2] if weight.ndim == 3 else 1
        self.dtype, self.activation = dtype, activation
        self._sides = [0, self.kernel // 2]
        self._bias = None if bias is None else bias.detach().to(dtype)
        if self.kernel == 1:
            # Not as a convolution of width 1, which for some numbers of tokens takes twenty times as long.
            self._weight = torch.ops.mkldnn._reorder_linear_weight(
                weight.flatten(1).contiguous(), _USUAL_TOKENS
            )
        else:
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight[:, :, None].contiguous(),
                self._sides,
                _ONCE,
                _ONCE,
                1,
                [1, self.inputs, 1, _USUAL_TOKENS],
            )

    def __call__(self, x: Tensor) -> Tensor:
        """(B, L, I), or (R, I) with a kernel of 1, of the packed type, contiguous -> (B, L, O) or (R, O)."""
        after: tuple[Any, ...] = (self.activation, [], _ALGORITHM[self.activation])
        if self.kernel == 1:
            made: Tensor = torch.ops.mkldnn._linear_pointwise.default(
                x.reshape(-1, self.inputs), self._weight, self._bias, *after
            )
            return made.view(*x.shape[:-1], self.outputs)
        return _tokens(
            torch.ops.mkldnn._convolution_pointwise.default(
                _picture(x), self._weight, self._bias, self._sides, _ONCE, _ONCE, 1, *after
            )
        )

    def times(self, x: Tensor, factor: Tensor) -> Tensor:
        """The product with x, times a factor of the result's shape; `activation` is not applied."""
        if self.kernel == 1:
            made: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x.reshape(-1, self.inputs), factor.reshape(-1, self.outputs), self._weight, self._bias, "mul"
            )
            return made.view(*x.shape[:-1], self.outputs)
        multiply: tuple[Any, ...] = ("mul", None, None, [], None)
        return _tokens(
            torch.ops.mkldnn._convolution_pointwise.binary(
                _picture(x),
                _picture(factor),
                self._weight,
                self._bias,
                self._sides,
                _ONCE,
                _ONCE,
                1,
                *multiply,
            )
        )


def _picture(x: Tensor) -> Tensor:
    """Tokens (B, L, C) as pictures of one line, channels last: the same memory under other names."""
    clips, tokens, channels = x.shape
    size = tokens * channels
    return x.as_strided((clips, channels, 1, tokens), (size, 1, size, channels))


def _tokens(picture: Tensor) -> Tensor:
    return picture.squeeze(2).transpose(1, 2).contiguous()


class PackedFeedForward:
    """w2(SiLU(w1 x) * w3 x) with packed weights; what lies between the products stays in their type."""

    def __init__(self, w1: PackedFrames, w2: PackedFrames, w3: PackedFrames) -> None:
        """Join packed weights; w1 is packed with the activation "swish"."""
        self.w1, self.w2, self.w3 = w1, w2, w3

    def __call__(self, x: Tensor) -> Tensor:
        """(B, L, dim) -> (B, L, dim), contiguous, of the packed type."""
        return self.w2(self.w3.times(x, self.w1(x)))


@cache
def unavailable_reason(dtype: torch.dtype) -> str | None:
    """Why weights of a type cannot be packed on this machine, or None if they can; tried once."""
    if dtype not in _TOLERANCE:
        return f"weights of {dtype} are not packed"
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 32, generator=generator)
    try:
        with torch.inference_mode():
            for kernel in (1, 3):
                weight = torch.randn(48, 32, kernel, generator=generator) * 0.1
                plain = functional.conv1d(x.transpose(1, 2), weight, padding=kernel // 2).transpose(1, 2)
                packed = PackedFrames(weight, None, dtype)
                swish = PackedFrames(weight, None, dtype, "swish")
                rows = x.to(dtype)
                pairs = (
                    (packed(rows), plain),
                    (swish(rows), functional.silu(plain)),
                    (packed.times(rows, packed(rows)), plain.square()),
                    (PackedFrames(weight, None, dtype, "gelu")(rows), functional.gelu(plain)),
                )
                for made, expected in pairs:
                    error = float((made.float() - expected).norm() / expected.norm())
                    if not error <= _TOLERANCE[dtype]:
                        return f"its result is off by {error:.1e}"
    except (RuntimeError, AttributeError, NotImplementedError, TypeError) as problem:
        return f"it does not run here ({str(problem).splitlines()[0]})"
    return None
