from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.sampler import (
    SamplingSettings,
    SeededNoise,
    StoredNoise,
    draw_tokens,
    repeat_last_frame,
    sample_rows,
)
from spatialfoley.generators.visage.stepper import StepFunction, plain_stepper
from spatialfoley.generators.visage.token_layout import TokenLayout
from tests.generators.random_checkpoints import random_conditions, random_model

VOCABULARY = 16
LAYOUT = TokenLayout(levels=3, channels=4, pad_id=VOCABULARY)
GREEDY = SamplingSettings.greedy()
ALONE = (1.0,)


def scripted(
    token_of: Callable[[int, int], int], layout: TokenLayout = LAYOUT, rows: int = 11
) -> StepFunction:
    """A decoder that is sure of token_of(row, codebook)."""

    def step(row_index: int, previous_row: Tensor | None) -> Tensor:
        active = layout.active_codebooks(row_index, rows - 1)
        logits = torch.zeros(1, 2, len(active), VOCABULARY)
        for place, codebook in enumerate(active):
            logits[..., place, token_of(row_index, codebook)] = 50.0
        return logits

    return step


def flat(
    logits_of_token: Tensor, layout: TokenLayout = LAYOUT, rows: int = 201, batch: int = 8
) -> StepFunction:
    """A decoder with the same logits everywhere."""

    def step(row_index: int, previous_row: Tensor | None) -> Tensor:
        active = layout.active_codebooks(row_index, rows - 1)
        return logits_of_token.expand(1, batch, len(active), VOCABULARY)

    return step


def test_tokens_land_in_their_frames() -> None:
    def token_of(row: int, codebook: int) -> int:
        frame = (row - 1) // 2 if codebook in LAYOUT.spatial_fine else row // 2
        return (frame + codebook) % VOCABULARY

    codes = sample_rows(scripted(token_of), LAYOUT, 5, ALONE, GREEDY, None)
    expected = (torch.arange(5)[:, None] + torch.arange(12)[None]) % VOCABULARY
    assert torch.equal(codes, expected.expand(2, 5, 12))


def test_each_row_is_fed_back_with_padding() -> None:
    fed: list[Tensor | None] = []
    inner = scripted(lambda row, codebook: 3)

    def step(row_index: int, previous_row: Tensor | None) -> Tensor:
        fed.append(previous_row)
        return inner(row_index, previous_row)

    sample_rows(step, LAYOUT, 5, ALONE, GREEDY, None)
    assert fed[0] is None
    for index, row in enumerate(fed[1:]):
        assert row is not None
        expected = torch.full((2, 12), VOCABULARY)
        expected[:, list(LAYOUT.active_codebooks(index, 10))] = 3
        assert torch.equal(row, expected)


def test_mono_rows() -> None:
    layout = TokenLayout(levels=3, channels=1, pad_id=VOCABULARY)
    codes = sample_rows(scripted(lambda row, k: row // 2 + k, layout, 10), layout, 5, ALONE, GREEDY, None)
    assert torch.equal(codes[0], torch.arange(5)[:, None] + torch.arange(3)[None])


def test_guidance_mixes_the_branches() -> None:
    def step(row_index: int, previous_row: Tensor | None) -> Tensor:
        logits = torch.zeros(2, 1, len(LAYOUT.active_codebooks(row_index, 4)), VOCABULARY)
        logits[0, ..., 5], logits[0, ..., 7] = 2.0, 1.9
        logits[1, ..., 5] = 1.0
        return logits

    assert set(sample_rows(step, LAYOUT, 2, (1.0, 0.0), GREEDY, None).flatten().tolist()) == {5}
    assert set(sample_rows(step, LAYOUT, 2, (2.0, -1.0), GREEDY, None).flatten().tolist()) == {7}


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.2] + [0.0] * 13)
    codes = sample_rows(
        flat(probabilities.log()), LAYOUT, 100, ALONE, SamplingSettings(top_k=16), SeededNoise(4, range(8))
    )
    found = torch.bincount(codes.flatten(), minlength=VOCABULARY) / codes.numel()
    torch.testing.assert_close(found, probabilities, atol=0.02, rtol=0)


def test_temperature_sharpens() -> None:
    logits = torch.tensor([0.6, 0.4] + [0.0] * 14).log()
    settings = SamplingSettings(top_k=16, temperature=0.5)
    codes = sample_rows(flat(logits), LAYOUT, 100, ALONE, settings, SeededNoise(4, range(8)))
    expected = 0.36 / (0.36 + 0.16)
    assert float((codes == 0).float().mean()) == pytest.approx(expected, abs=0.02)


def test_top_k_keeps_ties_with_the_kth() -> None:
    logits = torch.tensor([3.0, 2.0, 2.0, 1.0] + [0.0] * 12).expand(4000, 1, VOCABULARY)
    noise = torch.empty(4000, 1, VOCABULARY).exponential_(generator=torch.Generator().manual_seed(0))
    assert set(draw_tokens(logits, 1.0, 1, noise).flatten().tolist()) == {0}
    assert set(draw_tokens(logits, 1.0, 2, noise).flatten().tolist()) == {0, 1, 2}


@pytest.mark.parametrize("vocabulary", [64, 16384])
def test_top_k_is_the_same_in_small_and_large_vocabularies(vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 4, vocabulary, generator=generator)
    noise = torch.empty_like(logits).exponential_(generator=generator)
    drawn = draw_tokens(logits, 1.0, 20, noise)
    kept = logits >= logits.sort(dim=-1, descending=True).values[..., 19:20]
    expected = (torch.where(kept, logits, -torch.inf).softmax(-1) / noise).argmax(-1)
    assert torch.equal(drawn, expected)
    rank = (logits > logits.gather(-1, drawn[..., None])).sum(-1)
    assert int(rank.max()) < 20


def test_spatial_settings_touch_only_y_z_x() -> None:
    logits = torch.linspace(1.0, 0.0, VOCABULARY)
    settings = SamplingSettings(top_k=16, spatial_temperature=0.0)
    codes = sample_rows(flat(logits), LAYOUT, 100, ALONE, settings, SeededNoise(1, range(8)))
    assert codes[..., 3:].unique().tolist() == [0]
    assert len(codes[..., :3].unique()) == VOCABULARY
    narrow = SamplingSettings(top_k=16, spatial_top_k=2)
    codes = sample_rows(flat(logits), LAYOUT, 100, ALONE, narrow, SeededNoise(1, range(8)))
    assert codes[..., 3:].unique().tolist() == [0, 1]
    assert len(codes[..., :3].unique()) == VOCABULARY


def test_a_clip_depends_on_its_number_and_not_on_its_batch() -> None:
    config = VisageConfig.tiny()
    model, conditions = random_model(config), random_conditions(config, batch=3)
    guidance, settings = Guidance.combined(1.0), SamplingSettings(top_k=8)

    def generate(clips: list[int], seed: int = 7) -> Tensor:
        with torch.no_grad():
            states = model.encode_branches(conditions, guidance)[:, clips]
        step = plain_stepper(model, states, LAYOUT.row_count(6))
        return sample_rows(step, model.layout, 6, guidance.weights, settings, SeededNoise(seed, clips))

    together = generate([0, 1, 2])
    assert torch.equal(generate([2]), together[2:])
    assert torch.equal(generate([1, 0]), together[[1, 0]])
    assert not torch.equal(generate([2], seed=8), together[2:])


def test_noise_is_exponential_and_repeats_with_the_seed() -> None:
    noise = SeededNoise(3, [0, 1]).draw(50, 1000)
    assert noise.shape == (2, 50, 1000)
    assert float(noise.min()) > 0
    assert float(noise.mean()) == pytest.approx(1.0, abs=0.02)
    assert float(noise.var()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(SeededNoise(3, [1]).draw(50, 1000)[0], noise[1])
    assert not torch.equal(noise[0], noise[1])


def test_stored_noise_is_read_codebook_by_codebook() -> None:
    draws = torch.arange(3.0)[:, None, None].expand(3, 2, 4)
    noise = StoredNoise(draws)
    assert noise.draw(2, 4)[0, :, 0].tolist() == [0.0, 1.0]
    assert noise.draw(1, 4)[1, :, 0].tolist() == [2.0]
    with pytest.raises(ValueError, match=r"draws 3 to 3 of 4 values were asked for"):
        noise.draw(1, 4)


def test_progress_counts_rows() -> None:
    seen: list[tuple[int, int]] = []
    sample_rows(
        scripted(lambda row, k: 0),
        LAYOUT,
        5,
        ALONE,
        GREEDY,
        None,
        on_row=lambda done, all_: seen.append((done, all_)),
    )
    assert seen == [(index, 11) for index in range(1, 12)]


def test_last_frame_is_repeated_to_the_asked_length() -> None:
    codes = torch.arange(6).view(1, 3, 2)
    assert repeat_last_frame(codes, 5)[0].tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert torch.equal(repeat_last_frame(codes, 3), codes)
    assert torch.equal(repeat_last_frame(codes, 2), codes)


def test_wrong_arguments_are_refused() -> None:
    step = scripted(lambda row, k: 0)
    with pytest.raises(ValueError, match="frames is 0, but must be at least 1"):
        sample_rows(step, LAYOUT, 0, ALONE, GREEDY, None)
    with pytest.raises(ValueError, match="noise is None, but a temperature above 0 needs it"):
        sample_rows(step, LAYOUT, 5, ALONE, SamplingSettings(), None)
    with pytest.raises(ValueError, match=r"temperature is -0\.1, but must be finite and at least 0"):
        SamplingSettings(temperature=-0.1)
    with pytest.raises(ValueError, match="spatial_top_k is 0, but must be at least 1"):
        SamplingSettings(spatial_top_k=0)
    with pytest.raises(ValueError, match="seed -1 and clip_indices"):
        SeededNoise(-1, [0])


def test_expected_ratios_take_the_mean_of_the_first_level_of_y_z_x_and_of_nothing_else() -> None:
    logits = torch.full((VOCABULARY,), -50.0)
    logits[[2, 8]] = torch.log(torch.tensor([0.5, 0.5]))
    settings = SamplingSettings(temperature=0.0, expected_ratios=True)
    codes = sample_rows(flat(logits, rows=11, batch=1), LAYOUT, 5, ALONE, settings, None)
    first_levels = [3, 6, 9]
    assert (codes[..., first_levels] == 5).all(), "half 2, half 8"
    others = [k for k in range(12) if k not in first_levels]
    assert (codes[..., others] == 2).all(), "the likeliest token, the lower one of two"


def test_expected_ratios_of_several_codec_frames_in_a_row() -> None:
    layout = TokenLayout(levels=4, pad_id=VOCABULARY, pattern="delay", frames_per_row=2)
    logits = torch.full((VOCABULARY,), -50.0)
    logits[[2, 8]] = torch.log(torch.tensor([0.5, 0.5]))

    def step(row: int, previous: Tensor | None) -> Tensor:
        return logits.expand(1, 1, len(layout.active_codebooks(row, 5)), -1)

    settings = SamplingSettings(temperature=0.0, expected_ratios=True)
    codes = sample_rows(step, layout, 5, ALONE, settings, None)
    first_levels = [4, 6, 8, 10, 12, 14]
    assert (codes[..., first_levels] == 5).all()
    assert (codes[..., [k for k in range(16) if k not in first_levels]] == 2).all()
    with pytest.raises(ValueError, match="this one has one code per channel"):
        sample_rows(step, TokenLayout(2, 4, 99, "delay", None, 2), 5, ALONE, settings, None)


def test_a_clip_goes_on_from_its_own_beginning() -> None:
    """Without chance, forcing the first frames of a clip gives the same clip: fed as if they had been drawn."""
    config = VisageConfig.tiny()
    model, conditions = random_model(config), random_conditions(config)
    branches = Guidance.dual(2.0, 1.0)
    with torch.inference_mode():
        states = torch.stack(
            [
                model.encode(conditions.without(visual=not b.visual, direction=not b.direction))
                for b in branches.branches
            ]
        )

    @torch.inference_mode()
    def run(prefix: Tensor | None) -> Tensor:
        step = plain_stepper(model, states, model.layout.row_count(6))
        return sample_rows(step, model.layout, 6, branches.weights, GREEDY, None, prefix=prefix)

    whole = run(None)
    for frames in (1, 3, 5):
        assert torch.equal(run(whole[:, :frames]), whole)
    other = (whole[:, :3] + 1) % model.config.dac_vocab_size
    assert torch.equal(run(other)[:, :3], other)
    assert not torch.equal(run(other)[:, 3:], whole[:, 3:])


def test_a_prefix_uses_up_no_noise_and_is_not_changed() -> None:
    asked: list[tuple[int, int]] = []

    class CountingNoise(SeededNoise):
        def draw(self, active: int, vocabulary: int) -> Tensor:
            asked.append((active, vocabulary))
            return super().draw(active, vocabulary)

    logits = torch.zeros(VOCABULARY)
    prefix = torch.randint(VOCABULARY, (8, 60, 12), generator=torch.Generator().manual_seed(0))
    settings = SamplingSettings(expected_ratios=True)
    codes = sample_rows(flat(logits), LAYOUT, 100, ALONE, settings, CountingNoise(0, range(8)), prefix=prefix)
    assert torch.equal(codes[:, :60], prefix)
    assert len(asked) == 201 - 120
    assert codes[:, 60:].unique().numel() == VOCABULARY


def test_a_prefix_of_mono_rows() -> None:
    layout = TokenLayout(levels=3, channels=1, pad_id=VOCABULARY)
    prefix = torch.full((2, 2, 3), 9)
    step = scripted(lambda row, k: row // 2 + k, layout, 10)
    codes = sample_rows(step, layout, 5, ALONE, GREEDY, None, prefix=prefix)
    assert torch.equal(codes[:, :2], prefix)
    assert torch.equal(codes[0, 2:], torch.arange(2, 5)[:, None] + torch.arange(3)[None])


def test_a_prefix_that_leaves_nothing_to_generate_is_refused() -> None:
    with pytest.raises(ValueError, match="prefix has 5 frames, but must be shorter than the clip's 5"):
        sample_rows(
            scripted(lambda row, k: 0),
            LAYOUT,
            5,
            ALONE,
            GREEDY,
            None,
            prefix=torch.zeros(2, 5, 12, dtype=int),
        )
