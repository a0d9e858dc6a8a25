import pytest
import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.kernels import bfloat16_rows as rows

pytestmark = pytest.mark.skipif(rows.unavailable_reason() is not None, reason=str(rows.unavailable_reason()))

TOLERANCE = 5e-3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def deviation(made: Tensor, expected: Tensor) -> float:
    return float((made.float() - expected).norm() / expected.norm())


def expected_attention(qkv: Tensor, heads: int, queries: list[int], keys: list[int]) -> Tensor:
    """Rows (queries, D) by the definition."""
    query, key, value = (
        part.unflatten(1, (heads, -1)).transpose(0, 1) for part in qkv.float().chunk(3, dim=1)
    )
    shares = (query[:, queries] @ key[:, keys].transpose(1, 2)).softmax(-1)
    return (shares @ value[:, keys]).transpose(0, 1).flatten(1)


def scaled(qkv: Tensor, width: int) -> Tensor:
    """Queries of a size that softmax can tell apart."""
    dim = qkv.shape[1] // 3
    return torch.cat([qkv[:, :dim] * width**-0.5, qkv[:, dim:]], dim=1)


@pytest.mark.parametrize("width", [16, 32, 48, 64, 80])
@pytest.mark.parametrize("tokens", [1, 7, 16, 33, 130])
def test_attention_is_that_of_the_definition(width: int, tokens: int) -> None:
    heads, clips = 2, 2
    qkv = scaled(normal(clips * tokens, 3 * heads * width), width)
    given = qkv.clone()
    given[:, : heads * width] = (given[:, : heads * width].float() * rows.LOG2_E).bfloat16()
    out = torch.zeros(clips * tokens, heads * width, dtype=torch.bfloat16)
    rows.attend(given, heads, rows.Groups.clips(clips, tokens), out)
    for clip in range(clips):
        own = list(range(clip * tokens, (clip + 1) * tokens))
        assert deviation(out[own], expected_attention(qkv, heads, own, own)) < 2 * TOLERANCE


def test_groups_take_rows_apart_and_one_more_key() -> None:
    heads, width, groups, members = 2, 32, 5, 4
    qkv = scaled(normal(1 + groups * members, 3 * heads * width), width)
    given = qkv.clone()
    given[:, : heads * width] = (given[:, : heads * width].float() * rows.LOG2_E).bfloat16()
    out = torch.zeros(len(qkv), heads * width, dtype=torch.bfloat16)
    start = 1 + torch.arange(groups)
    described = rows.Groups(start, members, step=groups, extra=torch.zeros(groups))
    rows.attend(given, heads, described, out)
    for group in range(groups):
        own = [1 + group + groups * member for member in range(members)]
        assert deviation(out[own], expected_attention(qkv, heads, own, [0, *own])) < 2 * TOLERANCE
    assert not out[0].any()


def test_only_the_first_tokens_ask_when_told_so() -> None:
    qkv = normal(10, 3 * 32)
    out = torch.full((10, 32), 7.0).bfloat16()
    rows.attend(qkv, 1, rows.Groups.clips(2, 5, queries=2), out)
    assert (out[[2, 3, 4, 7, 8, 9]] == 7).all()
    assert not (out[[0, 1, 5, 6]] == 7).any(dim=1).any()


def test_very_unequal_scores_pick_one_value() -> None:
    qkv = torch.zeros(3, 96).bfloat16()
    qkv[:, 0], qkv[0, 32], qkv[1:, 32] = 100.0, 20.0, -20.0
    qkv[0, 64:], qkv[1:, 64:] = 3.0, -1.0
    out = torch.empty(3, 32).bfloat16()
    rows.attend(qkv, 1, rows.Groups.clips(1, 3), out)
    assert (out == 3).all()


def test_heads_are_normed_turned_and_scaled() -> None:
    tokens, heads, width, scale = 6, 2, 32, 0.3
    qkv = normal(2 * tokens, 3 * heads * width)
    gains = (1 + 0.1 * normal(width, seed=1).float(), 1 + 0.1 * normal(width, seed=2).float())
    angles = normal(tokens, width // 2, seed=3).float()
    parts = qkv.float().view(2, tokens, 3, heads, width)
    expected = []
    for part, gain, by in ((parts[:, :, 0], gains[0], scale), (parts[:, :, 1], gains[1], 1.0)):
        even, odd = functional.rms_norm(part, (width,), gain, 1e-6).chunk(2, dim=-1)
        cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
        expected.append(by * torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1))
    rows.prepare_heads(qkv, heads, scale, gains, 1e-6, (angles.cos(), angles.sin()))
    made = qkv.view(2, tokens, 3, heads, width)
    assert deviation(made[:, :, 0], expected[0]) < TOLERANCE
    assert deviation(made[:, :, 1], expected[1]) < TOLERANCE
    assert torch.equal(made[:, :, 2].float(), parts[:, :, 2])


def test_rows_are_modulated_and_gated_by_their_entry() -> None:
    width, index = 32, torch.tensor([2, 0, 2, 1])
    x, table, part = 3 + normal(4, width).float(), normal(3, 3 * width, seed=1), normal(4, width, seed=2)
    shift, scale, gate = table.float()[index].chunk(3, dim=1)
    made = rows.modulate(x, table, index, 0, width)
    assert deviation(made, functional.layer_norm(x, (width,)) * (1 + scale) + shift) < TOLERANCE
    expected = x + part.float() * gate
    rows.add_rows(x, part, table, index, 2 * width)
    assert deviation(x, expected) < 1e-6
    rows.add_rows(x, part)
    assert deviation(x, expected + part.float()) < 1e-6


def test_layer_norm_has_weights_of_its_own() -> None:
    x, weight, bias = normal(3, 48).float(), normal(48, seed=1).float(), normal(48, seed=2).float()
    made = rows.layer_norm(x, weight, bias, 1e-5)
    assert deviation(made, functional.layer_norm(x, (48,), weight, bias, 1e-5)) < TOLERANCE


def test_widths_that_are_no_vectors_do_not_fit() -> None:
    assert rows.fits(896, 14, turned=True)
    assert rows.fits(1280, 16, turned=False)
    assert not rows.fits(1280, 16, turned=True)
    assert not rows.fits(16, 2, turned=False)
