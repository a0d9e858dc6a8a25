import math
from dataclasses import replace

import pytest
import torch

from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import RowLogits, VisageModel
from spatialfoley.generators.visage.objective import codebook_loss, drop_conditions
from spatialfoley.generators.visage.token_layout import TokenLayout
from tests.generators.random_checkpoints import random_codes, random_conditions

TINY = VisageConfig.tiny()
LAYOUT = TokenLayout(TINY.num_rvq, TINY.num_channels, TINY.dac_pad_token_id)
FRAMES = 6


def labels_of(frames: int = FRAMES) -> torch.Tensor:
    return LAYOUT.labels(LAYOUT.interleave(random_codes(TINY, frames=frames)))


def constant_logits(frames: int = FRAMES, batch: int = 2) -> RowLogits:
    size = TINY.dac_vocab_size
    even, odd = LAYOUT.groups
    return torch.zeros(batch, frames + 1, len(even), size), torch.zeros(batch, frames, len(odd), size)


def test_no_knowledge_costs_the_logarithm_of_the_vocabulary_per_codebook() -> None:
    loss = codebook_loss(constant_logits(), labels_of(), LAYOUT)
    nats = math.log(TINY.dac_vocab_size)
    torch.testing.assert_close(loss.per_codebook, torch.full((12,), nats))
    assert float(loss.total) == pytest.approx(12 * nats, rel=1e-6)


def test_certainty_of_the_truth_costs_nothing() -> None:
    logits, labels = constant_logits(), labels_of()
    for phase, (part, codebooks) in enumerate(zip(logits, LAYOUT.groups, strict=True)):
        targets = labels[:, phase::2, list(codebooks)].clamp(min=0)
        part.scatter_(-1, targets[..., None], 100.0)
    assert float(codebook_loss(logits, labels, LAYOUT).total) == pytest.approx(0.0, abs=1e-6)


def test_mean_is_over_the_targets_of_a_codebook() -> None:
    labels = labels_of()
    labels[1] = -100
    assert float(codebook_loss(constant_logits(), labels, LAYOUT).per_codebook[0]) == pytest.approx(
        math.log(TINY.dac_vocab_size), rel=1e-6
    )


def test_codebooks_without_targets_count_nothing() -> None:
    labels = labels_of()
    labels[..., 4] = -100
    loss = codebook_loss(constant_logits(), labels, LAYOUT)
    assert float(loss.per_codebook[4]) == 0.0
    assert float(loss.total) == pytest.approx(11 * math.log(TINY.dac_vocab_size), rel=1e-6)
    empty = codebook_loss(constant_logits(), torch.full_like(labels, -100), LAYOUT)
    assert float(empty.total) == 0.0


def test_published_dropping_takes_the_whole_batch_and_each_condition_by_itself() -> None:
    conditions = random_conditions(TINY, batch=3)
    seen = set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        dropped = drop_conditions(conditions, 0.5, "published", generator)
        visual, direction = dropped.visual_dropped, dropped.direction_dropped
        assert visual is not None
        assert direction is not None
        assert len(set(visual.tolist())) == 1
        assert len(set(direction.tolist())) == 1
        seen.add((bool(visual[0]), bool(direction[0])))
    assert len(seen) == 4


def test_dropping_per_sample_has_the_asked_rate() -> None:
    conditions = random_conditions(TINY, batch=4000)
    dropped = drop_conditions(conditions, 0.1, "per_sample", torch.Generator().manual_seed(0))
    assert dropped.visual_dropped is not None
    assert dropped.direction_dropped is not None
    for mask in (dropped.visual_dropped, dropped.direction_dropped):
        assert float(mask.float().mean()) == pytest.approx(0.1, abs=0.02)
    both = (dropped.visual_dropped & dropped.direction_dropped).float().mean()
    assert float(both) == pytest.approx(0.01, abs=0.007)


def test_learned_null_conditions_get_a_gradient_only_where_they_are_used() -> None:
    torch.manual_seed(0)
    model = VisageModel(TINY)
    rows = LAYOUT.interleave(random_codes(TINY))
    conditions = random_conditions(TINY)
    codebook_loss(model(conditions, rows), LAYOUT.labels(rows), LAYOUT).total.backward()
    assert model.null_embedding.grad is None
    dropped = drop_conditions(conditions, 1.0)
    codebook_loss(model(dropped, rows), LAYOUT.labels(rows), LAYOUT).total.backward()
    for parameter in (model.null_embedding, model.dir_null_embedding, model.energy_null_embedding):
        assert parameter.grad is not None
        assert float(parameter.grad.abs().max()) > 0


def test_a_tiny_network_learns_one_clip() -> None:
    torch.manual_seed(0)
    model = VisageModel(replace(TINY, dropout=0.0)).train()
    rows = LAYOUT.interleave(random_codes(TINY, batch=1))
    conditions, labels = random_conditions(TINY, batch=1), LAYOUT.labels(rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = codebook_loss(model(conditions, rows), labels, LAYOUT).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_wrong_rules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"probability is 1\.5, but must be from 0 to 1"):
        drop_conditions(random_conditions(TINY), 1.5)
    with pytest.raises(ValueError, match="rule is 'sometimes', but must be 'published' or 'per_sample'"):
        drop_conditions(random_conditions(TINY), 0.1, "sometimes")  # type: ignore[arg-type]
