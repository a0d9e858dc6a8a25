"""Ways to multiply a few rows by a large matrix quickly on a CPU, each probed before it is used.

Row-by-row decoding multiplies 2 to 32 rows by every weight of the network, so its time is the time of
reading the weights once. For such shapes `torch.nn.functional.linear` reads them at a fraction of what the
memory gives. The fast forms here lay the weights out anew ("packing"). Some are C code of ours that a compiler
on the machine translates (`native`); some use operators of torch whose names begin with an underscore or which
are meant for quantisation. Those are called once on a small matrix and compared with `linear`; where they fail,
a form made of documented operations takes their place.

Measured speeds are in `docs/results/visage_decode.md`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visage import native

LinearFunction = Callable[[Tensor], Tensor]
"""Rows (R, I) -> rows (R, O), bias included, same dtype as the input."""

Kernel = Literal[
    "plain",
    "split_float32",
    "packed_float32",
    "native_float32",
    "float16",
    "native_float16",
    "bfloat16",
    "int8",
]
"""How the products with the weights are computed:

* `plain`: `linear` in the dtype of the model. Best for small networks and on a GPU.
* `split_float32`: float32, documented operations only: a batched product over blocks of the inputs.
* `packed_float32`: float32, weights packed by oneDNN (private operator). Same results up to rounding.
* `native_float32`: float32, all layers in C code compiled on this machine. Same results up to rounding.
* `float16`: float16 weights, float32 inputs and sums (FBGEMM, x86). Logit error near 6e-4.
* `native_float16`: as `native_float32`, with weights, keys and values in float16. Logit error near 6e-4.
* `bfloat16`: bfloat16 weights and inputs, float32 sums (oneDNN, private operator). Logit error near 1e-2.
* `int8`: 8-bit weights and inputs (FBGEMM). Logit error near 5e-2: try it on trained weights before use.
"""

EXACT_KERNELS: tuple[Kernel, ...] = ("plain", "split_float32", "packed_float32", "native_float32")
"""Kernels whose results differ from `linear` in float32 by rounding only."""

NATIVE_DTYPES: dict[Kernel, torch.dtype] = {
    "native_float32": torch.float32,
    "native_float16": torch.float16,
}
"""Kernels that need a C compiler, and the type that they keep weights in."""

_PRIVATE_KERNELS = frozenset({"packed_float32", "float16", "bfloat16", "int8", *NATIVE_DTYPES})
_RELATIVE_TOLERANCE = {
    "plain": 1e-5,
    "split_float32": 1e-5,
    "packed_float32": 1e-5,
    "native_float32": 1e-5,
    "float16": 2e-3,
    "native_float16": 2e-3,
    "bfloat16": 2e-2,
    "int8": 6e-2,
}
_SPLIT_BLOCK = 512
_SPLIT_MAX_ROWS = 5
# Below these widths a product costs less than calling it, and a form that calls fewer operators is faster.
_SMALLEST_SPLIT_WIDTH = 128
_SMALLEST_PACKED_WIDTH = 512


def choose_kernel(
    requested: str,
    device: torch.device,
    width: int,
    *,
    allow_private: bool = True,
    fits_native: bool = True,
) -> Kernel:
    """The kernel to use on this machine.

    Args:
        requested: A `Kernel`; "auto" for the fastest exact one; "fast" for the fastest whose logit error
            stays near that of 16-bit weights.
        device: Where the model is; only a CPU has other kernels than "plain".
        width: Width of the network, `d_model`.
        allow_private: Whether C code and operators of torch that are not documented may be used.
        fits_native: Whether the sizes of the network suit the C code (`native.fits`).

    Raises:
        ValueError: If the kernel is unknown, or asked for by name and not available here.
    """
    named: tuple[Kernel, ...] = get_args(Kernel)
    if requested not in (*named, "auto", "fast"):
        raise ValueError(f"kernel is {requested!r}, but must be one of auto, fast, {', '.join(named)}")

    def why_not(kernel: Kernel) -> str | None:
        if kernel in NATIVE_DTYPES and not fits_native:
            return "the widths of the network are not multiples of 32, or those of its heads not of 16"
        return _why_not(kernel, device, allow_private)

    if requested in named:
        kernel = named[named.index(requested)]
        reason = why_not(kernel)
        if reason:
            raise ValueError(f"kernel {kernel!r} is not available: {reason}; use 'auto'")
        return kernel
    exact: list[Kernel] = ["native_float32"]
    short: list[Kernel] = ["native_float16"]
    if width >= _SMALLEST_PACKED_WIDTH:
        exact.append("packed_float32")
    if width >= _SMALLEST_SPLIT_WIDTH:
        exact.append("split_float32")
        short += ["float16", "bfloat16"]
    candidates = exact if requested == "auto" else [*short, *exact]
    if device.type != "cpu":
        candidates = []
    return next((kernel for kernel in candidates if why_not(kernel) is None), "plain")


def build_linear(kernel: Kernel, weight: Tensor, bias: Tensor) -> LinearFunction:
    """Pack one matrix.

    Args:
        kernel: From `choose_kernel`.
        weight: (O, I).
        bias: (O,).
    """
    with torch.inference_mode():
        return _BUILDERS[kernel](weight.detach(), bias.detach())


@cache
def unavailable_reason(kernel: Kernel) -> str | None:
    """Why a kernel cannot be used on this machine, or None if it can; the probe runs once."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(96, _SPLIT_BLOCK, generator=generator) * 0.05
    bias = torch.randn(96, generator=generator)
    try:
        for rows in (1, 2, 3, 8):
            x = torch.randn(rows, _SPLIT_BLOCK, generator=generator)
            expected = functional.linear(x, weight, bias)
            error = (build_linear(kernel, weight, bias)(x) - expected).norm() / expected.norm()
            if not error <= _RELATIVE_TOLERANCE[kernel]:
                return f"its result for {rows} rows is off by {error:.1e}"
    except (RuntimeError, AttributeError, NotImplementedError, TypeError) as problem:
        return f"it does not run here ({str(problem).splitlines()[0]})"
    return None


def _why_not(kernel: Kernel, device: torch.device, allow_private: bool) -> str | None:
    if kernel == "plain":
        return None
    if device.type != "cpu":
        return f"it runs on a CPU, and the model is on {device.type}"
    if kernel in _PRIVATE_KERNELS and not allow_private:
        return "it uses undocumented operators, and allow_private is off"
    return unavailable_reason(kernel)


def _plain(weight: Tensor, bias: Tensor) -> LinearFunction:
    return lambda x: functional.linear(x, weight, bias)


def _split_float32(weight: Tensor, bias: Tensor) -> LinearFunction:
    outputs, inputs = weight.shape
    size = inputs if inputs % _SPLIT_BLOCK else _SPLIT_BLOCK
    blocks = inputs // size
    split = weight.view(outputs, blocks, size).transpose(0, 1).contiguous()
    column = bias[:, None]

    def apply(x: Tensor) -> Tensor:
        rows = len(x)
        if rows > _SPLIT_MAX_ROWS:
            # The batched product is slower than `linear` from here on.
            total = functional.linear(x[:, :size], split[0], bias)
            for block in range(1, blocks):
                total += functional.linear(x[:, block * size : (block + 1) * size], split[block])
            return total
        parts = torch.bmm(split, x.view(rows, blocks, size).permute(1, 2, 0))
        # Row by row in memory: the next product would read the other order at half the speed.
        return (parts.sum(0) + column).t().contiguous()

    return apply


def _packed_float32(weight: Tensor, bias: Tensor) -> LinearFunction:
    return _one_dnn(weight, bias)


def _native_float32(weight: Tensor, bias: Tensor) -> LinearFunction:
    return native.native_linear(weight, bias, torch.float32)


def _native_float16(weight: Tensor, bias: Tensor) -> LinearFunction:
    return native.native_linear(weight, bias, torch.float16)


def _bfloat16(weight: Tensor, bias: Tensor) -> LinearFunction:
    packed = _one_dnn(weight.bfloat16(), bias.bfloat16())
    return lambda x: packed(x.bfloat16()).float()


def _one_dnn(weight: Tensor, bias: Tensor) -> LinearFunction:
    # As a convolution of width 1 over a picture of one line, R pixels wide: oneDNN has kernels for few pixels
    # that read the weights 5 to 25 % faster than its product of few rows, and the layouts cost no copy.
    outputs, inputs = weight.shape
    nothing, once, scalars = [0, 0], [1, 1], []  # type: ignore[var-annotated]
    pack = torch.ops.mkldnn._reorder_convolution_weight
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    # The layout is chosen for two pixels, and holds for any number of them.
    packed = pack(weight.reshape(outputs, inputs, 1, 1), nothing, once, once, 1, [1, inputs, 1, 2])

    def apply(x: Tensor) -> Tensor:
        picture = x.as_strided((1, inputs, 1, len(x)), (x.numel(), 1, x.numel(), inputs))
        made: Tensor = convolve(picture, packed, bias, nothing, once, once, 1, "none", scalars, "")
        return made.as_strided((len(x), outputs), (outputs, 1))

    return apply


def _float16(weight: Tensor, bias: Tensor) -> LinearFunction:
    if weight.abs().max() > torch.finfo(torch.float16).max:
        raise ValueError("the weights exceed the range of float16: use kernel 'bfloat16' or 'auto'")
    packed = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias)
    apply = torch.ops.quantized.linear_dynamic_fp16.default
    return lambda x: apply(x, packed)


def _int8(weight: Tensor, bias: Tensor) -> LinearFunction:
    scales = weight.abs().amax(1).clamp(min=1e-12).double() / 127.0
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    with warnings.catch_warnings():
        # Quantised tensors are announced for removal; the probe notices when they are gone.
        warnings.simplefilter("ignore", UserWarning)
        quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, bias)
    apply = torch.ops.quantized.linear_dynamic.default
    return lambda x: apply(x, packed)


_BUILDERS: dict[Kernel, Callable[[Tensor, Tensor], LinearFunction]] = {
    "plain": _plain,
    "split_float32": _split_float32,
    "packed_float32": _packed_float32,
    "native_float32": _native_float32,
    "float16": _float16,
    "native_float16": _native_float16,
    "bfloat16": _bfloat16,
    "int8": _int8,
}
