import pytest
import torch
from torch.nn import functional

from spatialfoley.kernels.packed import PackedFeedForward, PackedFrames, unavailable_reason

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
DTYPES = [
    pytest.param(
        dtype,
        marks=pytest.mark.skipif(unavailable_reason(dtype) is not None, reason=f"no packing of {dtype} here"),
    )
    for dtype in TOLERANCE
]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def deviation(made: torch.Tensor, expected: torch.Tensor) -> float:
    return float((made.float() - expected).norm() / expected.norm())


def convolved(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    return functional.conv1d(x.transpose(1, 2), weight, bias, padding=weight.shape[2] // 2).transpose(1, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [1, 18, 345, 363])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_packed_weights_compute_the_convolution(dtype: torch.dtype, tokens: int, kernel: int) -> None:
    weight, bias, x = normal(48, 32, kernel) * 0.1, normal(48, seed=1), normal(2, tokens, 32, seed=2)
    packed = PackedFrames(weight, bias, dtype)(x.to(dtype))
    assert packed.dtype == dtype
    assert packed.is_contiguous()
    assert deviation(packed, convolved(x, weight, bias)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_clips_go_through_a_matrix(dtype: torch.dtype) -> None:
    weight, x = normal(48, 32) * 0.1, normal(5, 32, seed=1)
    made = PackedFrames(weight, None, dtype, "gelu")(x.to(dtype))
    assert deviation(made, functional.gelu(functional.linear(x, weight))) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [1, 3])
def test_feed_forward_is_that_of_its_weights(dtype: torch.dtype, kernel: int) -> None:
    w1, w3 = (normal(64, 32, kernel, seed=seed) * 0.2 for seed in (1, 3))
    w2, x = normal(32, 64, kernel, seed=2) * 0.1, normal(2, 9, 32)
    expected = convolved(functional.silu(convolved(x, w1)) * convolved(x, w3), w2)
    parts = (
        PackedFrames(w1, None, dtype, "swish"),
        PackedFrames(w2, None, dtype),
        PackedFrames(w3, None, dtype),
    )
    assert deviation(PackedFeedForward(*parts)(x.to(dtype)), expected) < TOLERANCE[dtype]


def test_other_types_are_refused_with_a_reason() -> None:
    assert unavailable_reason(torch.float64) == "weights of torch.float64 are not packed"
