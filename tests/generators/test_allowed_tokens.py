"""Ranges of tokens that may be drawn, from the settings to the loss and the sampler."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.generators.visage.checkpoint import load_visage, save_visage
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.objective import codebook_loss, sparse_codebook_loss
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, sample_rows
from spatialfoley.generators.visage.stepper import plain_stepper
from tests.generators.random_checkpoints import random_codes, random_conditions, random_model

ONE = VisageConfig.tiny(pattern="delay", num_rvq=1, token_ranges=((32, 64),))
GAIN_AND_SHAPE = VisageConfig.tiny(
    pattern="delay", num_rvq=2, token_ranges=((0, 20), (4, 64), *[(0, 12), (4, 64)] * 3)
)


def draw(config: VisageConfig, sampling: SamplingSettings, frames: int = 6) -> torch.Tensor:
    model = random_model(config)
    states = torch.randn(2, 3, 6, config.d_model, generator=torch.Generator().manual_seed(0))
    step = DecoderEngine(model).start(states, model.layout.row_count(frames))
    noise = SeededNoise(3, range(3))
    return sample_rows(step, model.layout, frames, (3.5, -2.5), sampling, noise)


def test_a_range_for_all_or_per_level_or_per_codebook() -> None:
    def ranges(*given: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        allowed = VisageConfig.tiny(pattern="delay", num_rvq=2, token_ranges=given).layout.allowed
        assert allowed is not None
        return allowed.ranges

    assert ranges((32, 64)) == ((32, 64),) * 8
    assert ranges((0, 20), (4, 64)) == ((0, 20), (4, 64)) * 4
    each = tuple((k, k + 2) for k in range(8))
    assert ranges(*each) == each
    assert VisageConfig.tiny().layout.allowed is None


def test_the_window_spans_all_ranges_and_only_shorter_ones_need_a_mask() -> None:
    even = AllowedTokens(((8192, 16384),) * 4)
    assert even.window == range(8192, 16384)
    assert even.forbidden((0, 3), torch.device("cpu")) is None
    uneven = AllowedTokens(((2, 4), (3, 6)))
    assert uneven.window == range(2, 6)
    forbidden = uneven.forbidden((0, 1), torch.device("cpu"))
    assert forbidden is not None
    assert forbidden.tolist() == [[False, False, True, True], [True, False, False, False]]


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingSettings(top_k=64, temperature=50.0),
        SamplingSettings(top_k=4),
        SamplingSettings.greedy(),
        SamplingSettings(top_k=64, temperature=50.0, spatial_temperature=0.0),
    ],
    ids=["flat", "top-k", "greedy", "greedy space"],
)
@pytest.mark.parametrize("config", [ONE, GAIN_AND_SHAPE], ids=["one code", "gain and shape"])
def test_no_other_token_is_ever_drawn(config: VisageConfig, sampling: SamplingSettings) -> None:
    codes = draw(config, sampling, frames=40)
    allowed = config.layout.allowed
    assert allowed is not None
    for codebook, (first, end) in enumerate(allowed.ranges):
        assert first <= int(codes[..., codebook].min()) <= int(codes[..., codebook].max()) < end
    if sampling.temperature == 50.0:
        assert len(codes[..., 0].unique()) > 15, "all that is allowed does occur"


def test_a_mean_of_ratios_stays_in_the_range() -> None:
    sampling = SamplingSettings(top_k=64, temperature=50.0, expected_ratios=True)
    codes = draw(GAIN_AND_SHAPE, sampling, frames=20)
    assert int(codes[..., [2, 4, 6]].max()) < 12
    with pytest.raises(
        ValueError, match="expected_ratios is set, but needs a codec whose first level is a scale"
    ):
        draw(ONE, sampling)


@settings(deadline=None, max_examples=10)
@given(first=st.integers(0, 60), size=st.integers(1, 64))
def test_masked_probabilities_are_those_of_all_tokens_renormalised(first: int, size: int) -> None:
    end = min(64, first + size)
    config = VisageConfig.tiny(pattern="parallel", num_rvq=1, token_ranges=((first, end),))
    free = VisageConfig.tiny(pattern="parallel", num_rvq=1)
    states = torch.randn(1, 1, 6, config.d_model, generator=torch.Generator().manual_seed(0))
    windowed = plain_stepper(random_model(config), states, 2)(0, None)
    whole = plain_stepper(random_model(free), states, 2)(0, None)
    expected = whole.softmax(-1)[..., first:end]
    torch.testing.assert_close(windowed.softmax(-1), expected / expected.sum(-1, keepdim=True))


@pytest.mark.parametrize("kernel", ["plain", "auto"])
@pytest.mark.parametrize("config", [ONE, GAIN_AND_SHAPE], ids=["one code", "gain and shape"])
def test_engines_compute_the_window_only(config: VisageConfig, kernel: str) -> None:
    model = random_model(config)
    states = torch.randn(2, 2, 6, config.d_model, generator=torch.Generator().manual_seed(0))
    rows = model.layout.row_count(4)
    fed = model.layout.interleave(random_codes(config, frames=4))
    step, expected_step = DecoderEngine(model, kernel).start(states, rows), plain_stepper(model, states, rows)
    window = model.layout.window
    assert window is not None
    for row in range(rows):
        previous = fed[:, row - 1] if row else None
        made, expected = step(row, previous), expected_step(row, previous)
        assert made.shape[-1] == len(window)
        torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("config", [ONE, GAIN_AND_SHAPE], ids=["one code", "gain and shape"])
def test_the_masked_loss_is_the_entropy_over_what_is_allowed(config: VisageConfig) -> None:
    """With heads of zero, the logarithm of the number of tokens that may be drawn."""
    model = random_model(config)
    allowed = config.layout.allowed
    assert allowed is not None
    for head in model.dac_heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    starts = torch.tensor([first for first, _ in allowed.ranges])
    codes = starts.expand(2, 5, -1)
    rows = model.layout.interleave(codes)
    hidden = model.decode_teacher(rows[:, :-1], model.encode(random_conditions(config)))
    labels = model.layout.labels(rows)
    loss = codebook_loss(model.row_logits(hidden, allowed.window), labels, model.layout, 0.0, allowed)
    expected = torch.tensor([math.log(end - first) for first, end in allowed.ranges])
    torch.testing.assert_close(loss.per_codebook, expected)
    sparse = sparse_codebook_loss(model, hidden, labels, torch.arange(5), 0.0, allowed)
    torch.testing.assert_close(sparse.per_codebook, expected)
    plain = codebook_loss(model.row_logits(hidden), labels, model.layout)
    torch.testing.assert_close(plain.per_codebook, torch.full_like(expected, math.log(64)))


def test_smoothing_over_a_mask_is_refused() -> None:
    model = random_model(GAIN_AND_SHAPE)
    rows = model.layout.interleave(torch.full((1, 3, 8), 5))
    logits = model(random_conditions(GAIN_AND_SHAPE, batch=1), rows)
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.1, but must be 0 where codebooks may take"):
        codebook_loss(logits, model.layout.labels(rows), model.layout, 0.1, model.layout.allowed)


def test_codes_of_another_domain_are_refused() -> None:
    model = random_model(ONE)
    step = plain_stepper(model, torch.zeros(1, 1, 6, ONE.d_model), 6)
    prefix = torch.full((1, 2, 4), 40)
    prefix[0, 1, 2] = 3
    with pytest.raises(
        ValueError, match="codebook 2 holds the token 3, but may take 32 to 63: encode the sound"
    ):
        sample_rows(step, model.layout, 5, (1.0,), SamplingSettings.greedy(), None, prefix=prefix)
    allowed = ONE.layout.allowed
    assert allowed is not None
    allowed.refuse(torch.full((1, 2, 4), ONE.dac_pad_token_id), ONE.dac_pad_token_id)


def test_settings_go_through_a_checkpoint(tmp_path: Path) -> None:
    save_visage(random_model(GAIN_AND_SHAPE), tmp_path)
    assert load_visage(tmp_path).config == GAIN_AND_SHAPE
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["pattern"] == "delay"
    assert written["token_ranges"][0] == [0, 20]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "flat"}, "pattern is 'flat', but must be one of residual, delay, parallel, interleave"),
        ({"num_rvq": 0, "pattern": "delay"}, "num_rvq is 0, but the pattern 'delay' needs at least 1"),
        ({"token_ranges": ((0, 9),) * 5}, r"token_ranges has 5 ranges, but must have none, 1, 3 .* or 12"),
        ({"token_ranges": ((0, 65),)}, "must be .first, end. within 0 to dac_vocab_size 64"),
        ({"token_ranges": ((9, 9),)}, "each with a token"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisageConfig.tiny(**changes)


def test_ranges_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"token_ranges is \[8192\], but must be a list of pairs"):
        VisageConfig.from_dict({"token_ranges": [8192]})
