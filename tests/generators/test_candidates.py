"""Several tries at one clip, and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.candidates import (
    Candidates,
    choose_best,
    field_score,
    sample_candidates,
    token_likelihood,
)
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, sample_rows
from tests.generators.random_checkpoints import random_conditions, random_model

GUIDANCE = Guidance.combined(2.5)
SAMPLING = SamplingSettings(top_k=16)
FRAMES = 5
CASES = {
    "residual": VisageConfig.tiny(),
    "delay": VisageConfig.tiny(pattern="delay", num_rvq=1, token_ranges=((32, 64),)),
    "gain and shape": VisageConfig.tiny(pattern="delay", num_rvq=2, token_ranges=((0, 20), (4, 64))),
    "parallel": VisageConfig.tiny(pattern="parallel", num_rvq=1),
    "interleave": VisageConfig.tiny(pattern="interleave", num_rvq=1),
}
every_case = pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())


def states_of(model: VisageModel, clips: int) -> Tensor:
    with torch.no_grad():
        return model.encode_branches(random_conditions(model.config, batch=clips), GUIDANCE)


def candidates_of(model: VisageModel, count: int, clips: int = 2, prefix: Tensor | None = None) -> Candidates:
    engine, states = DecoderEngine(model), states_of(model, clips)
    return sample_candidates(
        engine, model.layout, states, FRAMES, GUIDANCE.weights, SAMPLING, 5, range(clips), count, prefix
    )


@every_case
def test_the_first_candidate_is_the_clip_alone_and_the_others_differ(config: VisageConfig) -> None:
    model = random_model(config)
    four, one = candidates_of(model, 4), candidates_of(model, 1)
    assert four.codes.shape == (2, 4, FRAMES, config.codebooks)
    assert torch.equal(four.codes[:, :1], one.codes)
    torch.testing.assert_close(four.log_likelihood[:, :1], one.log_likelihood)
    step = DecoderEngine(model).start(states_of(model, 2), model.layout.row_count(FRAMES))
    alone = sample_rows(step, model.layout, FRAMES, GUIDANCE.weights, SAMPLING, SeededNoise(5, range(2)))
    assert torch.equal(four.codes[:, 0], alone)
    for clip in range(2):
        assert len({tuple(codes.flatten().tolist()) for codes in four.codes[clip]}) == 4
    assert torch.equal(candidates_of(model, 3).codes, four.codes[:, :3])


@every_case
def test_likelihood_is_that_of_teacher_forcing_without_guidance(config: VisageConfig) -> None:
    model = random_model(config)
    made = candidates_of(model, 3)
    layout = model.layout
    allowed = [(0, config.dac_vocab_size)] * config.codebooks
    if layout.allowed is not None:
        allowed = list(layout.allowed.ranges)
    with torch.no_grad():
        hidden_of = model.encode(random_conditions(config, batch=2))
        for clip in range(2):
            rows = layout.interleave(made.codes[clip])
            states = hidden_of[clip : clip + 1].expand(3, -1, -1)
            hidden = model.decode_teacher(rows[:, :-1], states)
            total = torch.zeros(3)
            for row in range(rows.shape[1]):
                for k in layout.active_codebooks(row, rows.shape[1] - 1):
                    first, end = allowed[k]
                    found = model.logits(hidden[:, row], k)[:, first:end].log_softmax(-1)
                    total += found.gather(-1, rows[:, row, k, None] - first)[:, 0]
            expected = total / (FRAMES * config.codebooks)
            torch.testing.assert_close(made.log_likelihood[clip], expected, rtol=1e-3, atol=1e-3)


@every_case
def test_all_candidates_go_on_from_the_prefix_which_does_not_count(config: VisageConfig) -> None:
    model = random_model(config)
    begun = candidates_of(model, 1).codes[:, 0, :3]
    made = candidates_of(model, 3, prefix=begun)
    assert torch.equal(made.codes[:, :, :3], begun[:, None].expand(-1, 3, -1, -1))
    assert not torch.equal(made.codes[:, 0, 3:], made.codes[:, 1, 3:])
    assert bool((made.log_likelihood < 0).all())


def test_fewer_than_one_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="candidates is 0; give a whole number from 1 to 32"):
        candidates_of(random_model(CASES["delay"]), 0)
    with pytest.raises(ValueError, match="candidates is 0, but must be at least 1"):
        SeededNoise(0, [0], candidates=0)


def test_the_likeliest_is_chosen() -> None:
    made = candidates_of(random_model(CASES["delay"]), 4)
    best = choose_best({"likelihood": token_likelihood(made)})
    assert best.tolist() == made.log_likelihood.argmax(dim=1).tolist()
    assert torch.equal(made.chosen(best)[1], made.codes[1, best[1]])


def test_units_of_scores_do_not_count_but_weights_do() -> None:
    scores = {"a": torch.tensor([[0.0, 1.0, 2.0]]), "b": torch.tensor([[3000.0, 1000.0, 0.0]])}
    assert choose_best(scores, {"a": 2.0, "b": 1.0}).tolist() == [2]
    assert choose_best(scores, {"a": 1.0, "b": 2.0}).tolist() == [0]
    assert choose_best({"a": scores["a"] * 1e6, "b": scores["b"]}, {"a": 1.0, "b": 2.0}).tolist() == [0]
    assert choose_best(scores, {"a": 1.0}).tolist() == [2]
    assert choose_best({"flat": torch.zeros(2, 3)}).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "scores is empty; give at least one"),
        (({"a": torch.tensor([[0.0, torch.nan]])},), "the score 'a' of shape .1, 2. must be finite"),
        (({"a": torch.zeros(1, 2), "b": torch.zeros(1, 3)},), "the score 'b' of shape .1, 3."),
        (({"a": torch.zeros(1, 2)}, {"c": 1.0}), "weights name c, but the scores are a"),
    ],
)
def test_scores_that_do_not_fit_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_best(*arguments)


def test_sounds_are_decoded_once_per_clip_and_scored_one_by_one() -> None:
    decoded = []

    def decode(codes: Tensor) -> Tensor:
        decoded.append(len(codes))
        return codes.float().mean(dim=(1, 2))[:, None, None].expand(-1, 4, 8)

    codes = torch.arange(6).view(2, 3, 1, 1).expand(2, 3, 5, 4)
    made = Candidates(codes, torch.zeros(2, 3))
    scores = field_score(decode, lambda clip, sound: float(sound.mean()) * (-1) ** clip)(made)
    assert decoded == [3, 3]
    assert scores.tolist() == [[0.0, 1.0, 2.0], [-3.0, -4.0, -5.0]]
    assert choose_best({"field": scores}).tolist() == [2, 0]
