"""The decoder layers in C, for CPUs where a C compiler is at hand.

`native_decoder.c` is compiled on first use (half a second) for this very CPU and kept in the user's cache folder.
It reads each weight once at nearly the rate of the memory and calls nothing per operation, which the operators
of torch do not reach for a few rows. Without a compiler nothing is lost but speed: see `kernels`.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from spatialfoley.generators.visage.layers import DecoderLayer
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.errors import MediaError

_SOURCE = Path(__file__).with_name("native_decoder.c")
_BLOCK = 32
_LANES = 16
_COMPILE_TIMEOUT_S = 60
_POINTERS = (
    *("query_key_value", "out", "cross_query", "cross_out", "fc1", "fc2"),
    *("query_key_value_bias", "out_bias", "cross_query_bias", "cross_out_bias", "fc1_bias", "fc2_bias"),
    *("gain_0", "gain_1", "gain_2", "offset_0", "offset_1", "offset_2"),
    *("keys", "values", "cross_keys", "cross_values"),
)
"""Fields of `layer` in the C source, in order."""


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("rows", "width", "heads", "inner", "capacity", "context")]


class _Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _POINTERS]


def fits(width: int, heads: int, inner: int) -> bool:
    """Whether the C code can run layers of these sizes: it counts in vectors and blocks."""
    return width % _BLOCK == 0 and inner % _BLOCK == 0 and (width // heads) % _LANES == 0


def native_linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A product with a matrix (O, I), as a function from rows (R, I) to rows (R, O), float32.

    Args:
        weight: (O, I).
        bias: (O,).
        dtype: Type that the weights are kept in, float32 or float16.

    Raises:
        RuntimeError: If the C code cannot be compiled.
    """
    outputs, inputs = weight.shape
    missing = -outputs % _BLOCK
    packed = _pack(nn.functional.pad(weight, (0, 0, 0, missing)), dtype)
    padded_bias = nn.functional.pad(bias, (0, missing)).contiguous()
    product = _library(dtype).product

    def apply(x: Tensor) -> Tensor:
        x = x.contiguous()
        y = x.new_empty((len(x), outputs + missing))
        product(
            packed.data_ptr(),
            padded_bias.data_ptr(),
            x.data_ptr(),
            y.data_ptr(),
            len(x),
            inputs,
            outputs + missing,
        )
        return y[:, :outputs] if missing else y

    return apply


class NativeLayers:
    """All decoder layers, packed."""

    def __init__(
        self, layers: Sequence[DecoderLayer], dtype: torch.dtype, release: Callable[[nn.Linear], None]
    ) -> None:
        """Pack layer by layer.

        Args:
            layers: Of the model, float32.
            dtype: Type that weights, keys and values are kept in, float32 or float16.
            release: Called with each linear layer once it is packed.

        Raises:
            RuntimeError: If the C code cannot be compiled.
        """
        self._library = _library(dtype)
        self._dtype = dtype
        self._layers = layers
        self._heads = layers[0].self_attn.heads
        self._width, self._inner = layers[0].fc1.in_features, layers[0].fc1.out_features
        self._packed = [self._pack_layer(layer, release) for layer in layers]

    def _pack_layer(self, layer: DecoderLayer, release: Callable[[nn.Linear], None]) -> list[Tensor]:
        own, cross = layer.self_attn, layer.encoder_attn
        groups = (
            (own.q_proj, own.k_proj, own.v_proj),
            *((own.out_proj,), (cross.q_proj,), (cross.out_proj,), (layer.fc1,), (layer.fc2,)),
        )
        weights, biases = [], []
        for group in groups:
            weights.append(_pack(torch.cat([linear.weight.detach() for linear in group]), self._dtype))
            biases.append(torch.cat([linear.bias.detach() for linear in group]))
            for linear in group:
                release(linear)
        norms = (layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm)
        gains = [norm.weight.detach().contiguous() for norm in norms]
        return [*weights, *biases, *gains, *(norm.bias.detach().contiguous() for norm in norms)]

    def start(self, states: Tensor, rows: int) -> NativeLayersRun:
        """Start decoding: encoder states (R, T + 2, D), decoder rows of the clips."""
        count, context = states.shape[:2]
        past = torch.empty(
            (len(self._layers), 2, count, self._heads, rows, self._width // self._heads), dtype=self._dtype
        )
        cross = [
            tuple(part.to(self._dtype).contiguous() for part in layer.encoder_attn.keys_and_values(states))
            for layer in self._layers
        ]
        table = (_Layer * len(self._layers))()
        for index, (packed, encoded) in enumerate(zip(self._packed, cross, strict=True)):
            for name, tensor in zip(_POINTERS, (*packed, *past[index], *encoded), strict=True):
                setattr(table[index], name, tensor.data_ptr())
        sizes = _Sizes(count, self._width, self._heads, self._inner, rows, context)
        room = count * (5 * self._width + self._inner) + max(rows, context) + _LANES
        return NativeLayersRun(self, sizes, table, past, cross, torch.empty(room))

    def step(
        self, sizes: _Sizes, table: ctypes.Array[_Layer], position: int, x: Tensor, work: Tensor
    ) -> None:
        """Run all layers for one position; x (R, D) is replaced."""
        self._library.decoder_step(
            ctypes.byref(sizes), table, len(table), position, x.data_ptr(), work.data_ptr()
        )


class NativeLayersRun:
    """The layers with the keys and values of one batch of clips.

    Attributes:
        cache: Keys and values of self-attention (layers, 2, R, heads, rows, D / heads).
    """

    def __init__(
        self,
        layers: NativeLayers,
        sizes: _Sizes,
        table: ctypes.Array[_Layer],
        cache: Tensor,
        cross: Sequence[tuple[Tensor, ...]],
        work: Tensor,
    ) -> None:
        self.cache = cache
        self._layers, self._sizes, self._table, self._work = layers, sizes, table, work
        self._cross = cross  # the table holds their addresses

    def __call__(self, x: Tensor, row_index: int) -> Tensor:
        """Hidden states (R, D) of one row from the inputs of the first layer (R, D)."""
        x = x.contiguous().clone()
        self._layers.step(self._sizes, self._table, row_index, x, self._work)
        return x


def _pack(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(O, I) -> (O / block, I, block), the order in which the C code reads."""
    if dtype == torch.float16 and weight.abs().max() > torch.finfo(dtype).max:
        raise ValueError("the weights exceed the range of float16: use an exact kernel ('auto')")
    return weight.unflatten(0, (-1, _BLOCK)).transpose(1, 2).to(dtype).contiguous()


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    """Compile and load the C code.

    Raises:
        RuntimeError: If there is no compiler or it fails.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("no C compiler (cc, gcc or clang) is installed")
    tune = "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"
    options = ["-O3", tune, "-shared", "-fPIC", "-Wno-psabi"]
    if dtype == torch.float16:
        options.append("-DWEIGHT_IS_HALF")
    source = _SOURCE.read_text()
    key = hashlib.sha256("\n".join([source, compiler, *options, _cpu()]).encode()).hexdigest()[:16]
    cache_folder = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spatialfoley" / "native"
    )
    path = cache_folder / f"decoder-{key}.so"
    try:
        if not path.exists():
            cache_folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as unfinished:
                subprocess.run(
                    [compiler, *options, "-o", str(unfinished), str(_SOURCE)],
                    check=True,
                    capture_output=True,
                    timeout=_COMPILE_TIMEOUT_S,
                )
        library = ctypes.CDLL(str(path))
    except (OSError, MediaError, subprocess.SubprocessError) as problem:
        raise RuntimeError(f"{_SOURCE.name} could not be compiled and loaded: {problem}") from problem
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    library.product.argtypes = [*[pointer] * 4, *[integer] * 3]
    library.decoder_step.argtypes = [pointer, pointer, integer, integer, pointer, pointer]
    library.product.restype = library.decoder_step.restype = None
    return library


def _cpu() -> str:
    """What tells CPUs apart, so that a home folder shared by machines keeps one library for each."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return f"{platform.machine()} {platform.processor()}"
    lines = info.read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
