"""The network, its decoders, its loss and its sampler under every pattern of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.checkpoint import start_from_mono
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.objective import codebook_loss, sparse_codebook_loss
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, sample_rows
from spatialfoley.generators.visage.stepper import StepFunction, plain_stepper
from tests.generators.random_checkpoints import random_codes, random_conditions, random_model

CASES: dict[str, dict[str, Any]] = {
    f"{pattern}, {levels}": {"pattern": pattern, "num_rvq": levels}
    for pattern in ("delay", "parallel", "interleave")
    for levels in (1, 2)
}
CASES["mono"] = {"pattern": "delay", "num_rvq": 1, "num_channels": 1}
CASES["aligned"] = {"pattern": "interleave", "num_rvq": 1, "aligned_conditions": True, "clip_frame_rate": 25}
CASES["grouped"] = {"pattern": "delay", "num_rvq": 5, "frames_per_row": 5, "dac_downsample_rate": 1600}
CASES["grouped residual"] = {"num_rvq": 6, "frames_per_row": 2, "dac_downsample_rate": 640}
CASES["unfed"] = {"pattern": "delay", "num_rvq": 2, "unfed_codebooks": (2, 4, 6)}
every_case = pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
GREEDY = SamplingSettings.greedy()


def states_of(model: VisageModel, batch: int = 2) -> Tensor:
    with torch.no_grad():
        return model.encode_branches(random_conditions(model.config, batch=batch), Guidance.combined(2.5))


@every_case
@pytest.mark.parametrize("kernel", ["plain", "auto"])
def test_engine_and_stepper_agree_with_teacher_forcing(changes: dict[str, Any], kernel: str) -> None:
    config = VisageConfig.tiny(**changes)
    model = random_model(config)
    rows = model.layout.interleave(random_codes(config, frames=5))
    states = states_of(model)
    steps: list[StepFunction] = [
        plain_stepper(model, states, rows.shape[1]),
        DecoderEngine(model, kernel).start(states, rows.shape[1]),
    ]
    with torch.no_grad():
        hidden = [model.decode_teacher(rows[:, :-1], branch) for branch in states]
        for index in range(rows.shape[1]):
            active = model.layout.active_codebooks(index, rows.shape[1] - 1)
            expected = torch.stack([model.stacked_logits(h[:, index], active) for h in hidden])
            for step in steps:
                logits = step(index, rows[:, index - 1] if index else None)
                torch.testing.assert_close(logits, expected, atol=2e-3, rtol=1e-3)


@every_case
def test_row_logits_put_each_codebook_where_it_is_drawn(changes: dict[str, Any]) -> None:
    config = VisageConfig.tiny(**changes)
    model = random_model(config)
    layout, rows = model.layout, model.layout.interleave(random_codes(config, frames=4))
    with torch.no_grad():
        hidden = model.decode_teacher(rows[:, :-1], model.encode(random_conditions(config)))
        parts = model.row_logits(hidden)
    labels = layout.labels(rows)
    expected = torch.zeros(layout.codebooks)
    for codebook in range(layout.codebooks):
        nats = []
        for row in range(rows.shape[1]):
            if codebook in layout.active_codebooks(row, rows.shape[1] - 1):
                phase = row % layout.period
                place = layout.groups[phase].index(codebook)
                logits = parts[phase][:, row // layout.period, place].log_softmax(-1)
                nats.append(-logits.gather(-1, rows[:, row, codebook, None]).mean())
        expected[codebook] = torch.stack(nats).mean()
    torch.testing.assert_close(codebook_loss(parts, labels, layout).per_codebook, expected)
    whole = sparse_codebook_loss(model, hidden, labels, torch.arange(4)).per_codebook
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-4)
    some = sparse_codebook_loss(model, hidden, labels, torch.tensor([1, 3])).per_codebook
    changed = ((some - expected).abs() > 1e-4).nonzero()[:, 0].tolist()
    assert changed == list(layout.spatial_fine)


@every_case
def test_a_clip_goes_on_from_its_own_beginning(changes: dict[str, Any]) -> None:
    model = random_model(VisageConfig.tiny(**changes))
    states, engine = states_of(model), DecoderEngine(model)

    def run(prefix: Tensor | None) -> Tensor:
        step = engine.start(states, model.layout.row_count(6))
        return sample_rows(step, model.layout, 6, (3.5, -2.5), GREEDY, None, prefix=prefix)

    whole = run(None)
    for frames in (1, 3, 5):
        assert torch.equal(run(whole[:, :frames]), whole)
    other = (whole[:, :3] + 1) % model.config.dac_vocab_size
    assert torch.equal(run(other)[:, :3], other)


@every_case
def test_a_clip_depends_on_its_number_and_not_on_its_batch(changes: dict[str, Any]) -> None:
    model = random_model(VisageConfig.tiny(**changes))
    states, engine = states_of(model, batch=3), DecoderEngine(model)

    def run(clips: list[int]) -> Tensor:
        step = engine.start(states[:, clips], model.layout.row_count(5))
        noise = SeededNoise(7, clips)
        return sample_rows(step, model.layout, 5, (3.5, -2.5), SamplingSettings(top_k=8), noise)

    together = run([0, 1, 2])
    assert torch.equal(run([2]), together[2:])
    assert torch.equal(run([1, 0]), together[[1, 0]])


@pytest.mark.parametrize("pattern", ["delay", "parallel", "interleave"])
def test_later_rows_and_no_earlier_ones_depend_on_a_code(pattern: Any) -> None:
    config = VisageConfig.tiny(pattern=pattern, num_rvq=1)
    model = random_model(config)
    codes = random_codes(config, frames=5)
    changed = codes.clone()
    changed[:, 2, 0] = (changed[:, 2, 0] + 1) % config.dac_vocab_size
    with torch.no_grad():
        states = model.encode(random_conditions(config))
        before, after = (
            model.decode_teacher(model.layout.interleave(each)[:, :-1], states) for each in (codes, changed)
        )
    row_of_w = 2 * model.layout.period
    assert torch.allclose(before[:, : row_of_w + 1], after[:, : row_of_w + 1])
    assert not torch.allclose(before[:, row_of_w + 1], after[:, row_of_w + 1])


def test_a_tiny_network_learns_one_clip() -> None:
    torch.manual_seed(0)
    config = VisageConfig.tiny(pattern="delay", num_rvq=1, dropout=0.0)
    model = VisageModel(config).train()
    rows = model.layout.interleave(random_codes(config, batch=1))
    conditions, labels = random_conditions(config, batch=1), model.layout.labels(rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = codebook_loss(model(conditions, rows), labels, model.layout).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("levels", [1, 2])
def test_w_of_a_mono_network_is_copied_to_y_z_x(levels: int) -> None:
    config = VisageConfig.tiny(pattern="delay", num_rvq=levels, max_target_length=51)
    mono_config = replace(config, num_channels=1, max_target_length=50)
    mono, model = random_model(mono_config, seed=1), VisageModel(config)
    assert start_from_mono(model, mono.state_dict()) == ()
    for codebook in range(config.codebooks):
        assert torch.equal(model.dac_heads[codebook].weight, mono.dac_heads[codebook % levels].weight)
        table, mono_table = (
            model.model.decoder.embed_dac[codebook],
            mono.model.decoder.embed_dac[codebook % levels],
        )
        assert torch.equal(table.weight, mono_table.weight)
    assert torch.equal(
        model.model.decoder.embed_positions.weight[:-1], mono.model.decoder.embed_positions.weight
    )


def test_the_network_with_one_codebook_differs_in_tables_heads_and_positions_only() -> None:
    with torch.device("meta"):
        published, single = VisageModel(VisageConfig()), VisageModel(VisageConfig.single_codebook())
    assert sum(parameter.numel() for parameter in single.parameters()) == 414_782_004
    shapes = {key: value.shape for key, value in published.state_dict().items()}
    for key, value in single.state_dict().items():
        if not key.startswith(("model.decoder.embed_", "dac_heads.")):
            assert shapes[key] == value.shape


def test_the_longest_clip_fits_the_positions() -> None:
    published = VisageConfig()
    assert published.longest_frames == 430
    single = VisageConfig.single_codebook()
    assert (single.longest_frames, single.layout.row_count(5 * 75)) == (375, 376)
    assert replace(single, pattern="interleave", max_target_length=750).longest_frames == 375
    assert replace(published, num_channels=1, max_target_length=860).longest_frames == 430
