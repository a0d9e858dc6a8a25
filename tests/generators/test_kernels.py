"""Fast products against `linear`, and which of them is chosen."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from spatialfoley.generators.visage import kernels
from spatialfoley.generators.visage.kernels import build_linear, choose_kernel, unavailable_reason

CPU = torch.device("cpu")
# Largest relative error of a product; the shorter the numbers, the larger.
TOLERANCES = {
    "plain": 1e-6,
    "split_float32": 2e-6,
    "packed_float32": 2e-6,
    "native_float32": 2e-6,
    "float16": 1e-3,
    "native_float16": 1e-3,
    "bfloat16": 1e-2,
    "int8": 4e-2,
}


def _available(kernel: str) -> None:
    reason = unavailable_reason(kernel)
    if reason:
        pytest.skip(f"{kernel}: {reason}")


@pytest.mark.parametrize("kernel", TOLERANCES)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 32])
@pytest.mark.parametrize("shape", [(1536, 512), (512, 1024), (40, 24)])
def test_a_product_equals_linear_within_the_precision_of_its_weights(kernel, rows, shape):
    _available(kernel)
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(shape, generator=generator) * 0.05
    bias = torch.randn(shape[0], generator=generator)
    x = torch.randn(rows, shape[1], generator=generator)
    expected = functional.linear(x.double(), weight.double(), bias.double())
    made = build_linear(kernel, weight, bias)(x)
    assert made.dtype == torch.float32
    assert made.shape == expected.shape
    assert (made - expected).norm() / expected.norm() < TOLERANCES[kernel]


@pytest.mark.parametrize(
    "kernel", ["packed_float32", "native_float32", "float16", "native_float16", "bfloat16"]
)
def test_rows_do_not_depend_on_how_many_are_computed_together(kernel):
    _available(kernel)
    generator = torch.Generator().manual_seed(5)
    apply = build_linear(kernel, torch.randn(1024, 512, generator=generator), torch.zeros(1024))
    x = torch.randn(16, 512, generator=generator)
    together = apply(x)
    for rows in (2, 4, 8):
        torch.testing.assert_close(apply(x[:rows].clone()), together[:rows], rtol=1e-5, atol=1e-4)


def test_auto_is_exact_and_fast_is_short_on_a_cpu():
    assert choose_kernel("auto", CPU, 1024) in kernels.EXACT_KERNELS
    _available("float16")
    assert choose_kernel("fast", CPU, 1024) in ("native_float16", "float16")


def test_networks_that_do_not_suit_the_c_code_take_packed_operators():
    _available("packed_float32")
    assert choose_kernel("auto", CPU, 1024, fits_native=False) == "packed_float32"
    assert choose_kernel("auto", CPU, 256, fits_native=False) == "split_float32"
    assert choose_kernel("auto", CPU, 64, fits_native=False) == "plain"
    with pytest.raises(ValueError, match="'native_float32' is not available: the widths of the network"):
        choose_kernel("native_float32", CPU, 1024, fits_native=False)


def test_without_private_operators_only_documented_ones_are_chosen():
    for requested in ("auto", "fast"):
        assert choose_kernel(requested, CPU, 1024, allow_private=False) == "split_float32"
        assert choose_kernel(requested, CPU, 64, allow_private=False) == "plain"


@pytest.mark.parametrize("requested", ["auto", "fast"])
def test_other_devices_take_the_plain_product(requested):
    assert choose_kernel(requested, torch.device("cuda"), 1024) == "plain"


def test_a_kernel_asked_for_by_name_must_be_available():
    with pytest.raises(ValueError, match="kernel 'int8' is not available: it uses undocumented operators"):
        choose_kernel("int8", CPU, 1024, allow_private=False)
    with pytest.raises(ValueError, match="runs on a CPU, and the model is on cuda"):
        choose_kernel("float16", torch.device("cuda"), 1024)


def test_an_unknown_kernel_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="kernel is 'quick', but must be one of auto, fast, plain"):
        choose_kernel("quick", CPU, 1024)


@pytest.mark.parametrize("kernel", ["float16", "native_float16"])
def test_weights_beyond_float16_are_refused(kernel):
    _available(kernel)
    with pytest.raises(ValueError, match="exceed the range of float16"):
        build_linear(kernel, torch.full((16, 512), 1e5), torch.zeros(16))
