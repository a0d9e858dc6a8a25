"""Attention and row-wise work in bfloat16, in C, for CPUs with AVX512-BF16 where a C compiler is at hand.

`bfloat16_rows.c` is compiled on first use for this very CPU and kept in the user's cache folder. It shares the
threads of torch. Without compiler or instructions the networks run as torch computes them.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.kernels.native_code import load_compiled

_SOURCE = Path(__file__).with_suffix(".c")
_OPTIONS = ("-O3", "-march=native", "-fPIC", "-fopenmp", "-Wno-psabi")
_LANES = 16
_WIDEST_HEAD = 80
_TOLERANCE = 2e-2

LOG2_E = math.log2(math.e)


class _Attention(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "out")),
        *((name, ctypes.c_int64) for name in ("stride", "out_stride", "heads", "width", "groups")),
        *((name, ctypes.c_void_p) for name in ("query_start", "key_start", "extra")),
        *((name, ctypes.c_int64) for name in ("queries", "query_step", "keys", "key_step")),
    ]


class Groups:
    """Which rows attend to which: in every group `queries` rows to `keys` rows, and to one more if there is one."""

    def __init__(
        self,
        query_start: Tensor,
        queries: int,
        key_start: Tensor | None = None,
        keys: int | None = None,
        step: int = 1,
        extra: Tensor | None = None,
    ) -> None:
        """Describe them.

        Args:
            query_start: First query row of each group (G,).
            queries: Query rows of each group.
            key_start: First key row of each group; None for that of the queries.
            keys: Key rows of each group; None for as many as queries.
            step: From one row of a group to its next.
            extra: One more key row of each group (G,).
        """
        self.query_start = query_start.long().contiguous()
        self.key_start = self.query_start if key_start is None else key_start.long().contiguous()
        self.extra = None if extra is None else extra.long().contiguous()
        self.queries, self.keys, self.step = queries, queries if keys is None else keys, step

    @classmethod
    def clips(cls, clips: int, tokens: int, queries: int | None = None) -> Groups:
        """The tokens of each clip among themselves; of each only the first `queries` ask."""
        start = torch.arange(clips) * tokens
        return cls(start, tokens if queries is None else queries, start, tokens)


def attend(qkv: Tensor, heads: int, groups: Groups, out: Tensor) -> None:
    """Let rows attend to each other.

    Args:
        qkv: Queries, keys and values of all heads (R, 3 D), bfloat16; the queries carry the scale and log2(e).
        heads: Heads in D.
        groups: Who attends to whom.
        out: (R, D), bfloat16: the rows of the queries are written.
    """
    dim = qkv.shape[1] // 3
    first, size = qkv.data_ptr(), qkv.element_size()
    task = _Attention(
        first,
        first + dim * size,
        first + 2 * dim * size,
        out.data_ptr(),
        qkv.stride(0),
        out.stride(0),
        heads,
        dim // heads,
        len(groups.query_start),
        groups.query_start.data_ptr(),
        groups.key_start.data_ptr(),
        None if groups.extra is None else groups.extra.data_ptr(),
        groups.queries,
        groups.step,
        groups.keys,
        groups.step,
    )
    _library().attend(ctypes.byref(task))


def prepare_heads(
    qkv: Tensor,
    heads: int,
    scale: float,
    gains: tuple[Tensor, Tensor] | None = None,
    epsilon: float = 0.0,
    angles: tuple[Tensor, Tensor] | None = None,
) -> None:
    """Norm, turn and scale queries and keys, in place.

    Args:
        qkv: (R, 3 D), bfloat16; in each head of queries and keys the even channels of the pairs, then the odd.
        heads: Heads in D.
        scale: Of the queries, log2(e) included.
        gains: Of the root mean square norm of queries and keys (width,), float32; None without norm.
        epsilon: Of the norm.
        angles: Cosines and sines (positions, width / 2), float32; positions repeat from row to row.
    """
    rows, stride = qkv.shape[0], qkv.stride(0)
    width = qkv.shape[1] // 3 // heads
    query_gain, key_gain = (None, None) if gains is None else (gain.data_ptr() for gain in gains)
    cosine, sine = (None, None) if angles is None else (table.data_ptr() for table in angles)
    positions = 1 if angles is None else len(angles[0])
    _library().prepare_heads(
        qkv.data_ptr(),
        rows,
        stride,
        heads,
        width,
        query_gain,
        key_gain,
        epsilon,
        cosine,
        sine,
        positions,
        scale,
    )


def modulate(
    x: Tensor, table: Tensor, index: Tensor, shift: int, scale: int, epsilon: float = 1e-5
) -> Tensor:
    """Normalise rows (R, D), float32, and scale and shift them by columns of a table: bfloat16 (R, D).

    Args:
        x: Rows.
        table: bfloat16 (U, columns).
        index: Row of the table for each row (R,), int64.
        shift: First column of the shift.
        scale: First column of the scale; 1 is added to it.
        epsilon: Of the norm.
    """
    out = x.new_empty(x.shape, dtype=torch.bfloat16)
    stride = table.stride(0)
    _library().modulate(
        x.data_ptr(),
        len(x),
        x.shape[1],
        table.data_ptr(),
        stride,
        index.data_ptr(),
        shift,
        scale,
        None,
        None,
        epsilon,
        out.data_ptr(),
    )
    return out


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    """Normalised rows (R, D) of float32, with weight and bias of float32, as bfloat16."""
    out = x.new_empty(x.shape, dtype=torch.bfloat16)
    _library().modulate(
        x.data_ptr(),
        len(x),
        x.shape[1],
        None,
        0,
        None,
        0,
        0,
        weight.data_ptr(),
        bias.data_ptr(),
        epsilon,
        out.data_ptr(),
    )
    return out


def add_rows(
    x: Tensor, part: Tensor, table: Tensor | None = None, index: Tensor | None = None, gate: int = 0
) -> None:
    """x += part, times the columns from `gate` on of the table's rows; x (R, D) float32, part (R, D) bfloat16."""
    _library().add_gated(
        x.data_ptr(),
        part.data_ptr(),
        len(x),
        x.shape[1],
        None if table is None else table.data_ptr(),
        0 if table is None else table.stride(0),
        None if index is None else index.data_ptr(),
        gate,
    )


def fits(dim: int, heads: int, turned: bool) -> bool:
    """Whether the C code can run layers of this width: it counts in vectors of 16."""
    width = dim // heads
    return width % (2 * _LANES if turned else _LANES) == 0 and width <= _WIDEST_HEAD


@cache
def unavailable_reason() -> str | None:
    """Why the C code cannot be used on this machine, or None if it can; compiled and tried once."""
    try:
        if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
            return "this CPU has no AVX512-BF16"
        _library()
    except (RuntimeError, OSError) as problem:
        return str(problem)
    error = _probe()
    return None if error <= _TOLERANCE else f"its attention is off by {error:.1e}"


def _probe() -> float:
    generator = torch.Generator().manual_seed(0)
    heads, width, tokens = 2, 32, 21
    qkv = torch.randn(2 * tokens, 3 * heads * width, generator=generator)
    query, key, value = qkv.bfloat16().float().view(2, tokens, 3, heads, width).permute(2, 0, 3, 1, 4)
    expected = (
        functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(2 * tokens, -1)
    )
    given = qkv.bfloat16()
    prepare_heads(given, heads, width**-0.5 * LOG2_E)
    out = torch.empty(2 * tokens, heads * width, dtype=torch.bfloat16)
    attend(given, heads, Groups.clips(2, tokens), out)
    return float((out.float() - expected).norm() / expected.norm())


@cache
def _library() -> ctypes.CDLL:
    library = load_compiled(_SOURCE, _OPTIONS)
    pointer, integer, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    library.attend.argtypes = [pointer]
    library.prepare_heads.argtypes = [
        pointer, *[integer] * 4, pointer, pointer, real, pointer, pointer, integer, real
    ]  # fmt: skip
    library.modulate.argtypes = [
        pointer, integer, integer, pointer, integer, pointer, integer, integer, pointer, pointer, real, pointer
    ]  # fmt: skip
    library.add_gated.argtypes = [
        pointer, pointer, integer, integer, pointer, integer, pointer, integer
    ]  # fmt: skip
    for function in (library.attend, library.prepare_heads, library.modulate, library.add_gated):
        function.restype = None
    return library
