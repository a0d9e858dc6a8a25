"""The network, its loss and its sampler against stored runs of the published code with random weights.

Tolerance of floating-point outputs: 1e-4 absolute (the published code in float32 differs from itself in
float64 by up to 2e-5). Codes must be equal.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import RowLogits, VisageModel
from spatialfoley.generators.visage.objective import codebook_loss, drop_conditions
from spatialfoley.generators.visage.sampler import (
    SamplingSettings,
    StoredNoise,
    repeat_last_frame,
    sample_rows,
)
from spatialfoley.generators.visage.stepper import plain_stepper
from spatialfoley.timeline import codec_frames, token_frames
from tests.parity.cases import case_params

TOLERANCE = 1e-4

pytestmark = pytest.mark.parametrize("path", case_params("visage", "case_*.safetensors"))


@dataclass(frozen=True)
class Case:
    facts: dict[str, Any]
    stored: dict[str, Tensor]
    model: VisageModel
    conditions: VisageConditions

    @property
    def rows(self) -> Tensor:
        return self.model.layout.interleave(self.stored["in/codes"])


@cache
def read_case(path: Path) -> Case:
    facts = json.loads(path.with_suffix(".json").read_text())
    stored = load_file(path)
    model = VisageModel(VisageConfig.from_dict(facts["config"])).eval()
    prefix = "weights/"
    weights = {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}
    model.load_state_dict(weights, strict=True)
    conditions = VisageConditions(
        stored["in/inputs_embeds"], stored.get("in/energy_map"), stored["in/direction"]
    )
    return Case(facts, stored, model, conditions)


@torch.no_grad()
def teacher_logits(case: Case, conditions: VisageConditions) -> RowLogits:
    return case.model(conditions, case.rows)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_rows_and_labels(path: Path) -> None:
    case = read_case(path)
    assert torch.equal(case.rows[:, :-1], case.stored["in/decoder_input_ids"])
    assert torch.equal(case.model.layout.labels(case.rows), case.stored["in/labels"])


@pytest.mark.parametrize(
    ("output", "change"),
    [
        ("encoder_last_hidden_state", lambda c: c),
        ("encoder_last_hidden_state_uncond", lambda c: c.without(visual=True, direction=True)),
        ("encoder_last_hidden_state_no_energy_map", lambda c: replace(c, energy_map=None)),
    ],
    ids=["conditioned", "null", "no energy map"],
)
@torch.no_grad()
def test_encoder_states(path: Path, output: str, change: Any) -> None:
    case = read_case(path)
    assert_close(case.model.encode(change(case.conditions)), case.stored[f"out/{output}"])


@torch.no_grad()
def test_decoder_states(path: Path) -> None:
    case = read_case(path)
    hidden = case.model.decode_teacher(case.rows[:, :-1], case.model.encode(case.conditions))
    assert_close(hidden, case.stored["out/decoder_last_hidden_state"])
    logits = torch.stack([case.model.logits(hidden, k) for k in range(case.model.config.codebooks)], dim=2)
    assert_close(logits, case.stored["out/logits"])


def test_logits_by_row_parity(path: Path) -> None:
    case = read_case(path)
    logits, expected = teacher_logits(case, case.conditions), case.stored["out/logits"]
    layout = case.model.layout
    assert_close(logits[0], expected[:, 0::2, list(layout.groups[0])])
    assert_close(logits[1], expected[:, 1::2, list(layout.groups[1])])


@torch.no_grad()
def test_stepper_gives_the_logits_of_teacher_forcing(path: Path) -> None:
    case = read_case(path)
    rows, expected = case.rows, case.stored["out/logits"]
    step = plain_stepper(case.model, case.model.encode(case.conditions)[None], rows.shape[1])
    for index in range(rows.shape[1]):
        active = case.model.layout.active_codebooks(index, rows.shape[1] - 1)
        logits = step(index, rows[:, index - 1] if index else None)
        assert_close(logits[0], expected[:, index, list(active)])


@pytest.mark.parametrize("smoothing", [0.0, 0.1], ids=["plain", "smoothed"])
def test_loss(path: Path, smoothing: float) -> None:
    case = read_case(path)
    labels = case.stored["in/labels"]
    loss = codebook_loss(teacher_logits(case, case.conditions), labels, case.model.layout, smoothing)
    assert_close(loss.total[None], case.stored["out/loss_label_smoothing_0p1" if smoothing else "out/loss"])
    if not smoothing:
        assert_close(loss.per_codebook, case.stored["out/codebook_loss"])


def test_loss_skips_a_codebook_without_targets(path: Path) -> None:
    case = read_case(path)
    labels = case.stored["in/labels"].clone()
    labels[..., case.model.config.num_rvq] = -100
    loss = codebook_loss(teacher_logits(case, case.conditions), labels, case.model.layout)
    assert_close(loss.total[None], case.stored["out/loss_codebook_n_missing"])
    assert_close(loss.per_codebook, case.stored["out/codebook_loss_codebook_n_missing"])


def test_loss_with_all_conditions_dropped(path: Path) -> None:
    case = read_case(path)
    logits = teacher_logits(case, drop_conditions(case.conditions, probability=1.0))
    loss = codebook_loss(logits, case.stored["in/labels"], case.model.layout)
    assert_close(loss.total[None], case.stored["out/loss_all_dropped"])


def guidance_of(scales: dict[str, float]) -> Guidance:
    if "spatial_guidance_scale" in scales:
        return Guidance.dual(scales["guidance_scale"], scales["spatial_guidance_scale"])
    return Guidance.combined(scales["guidance_scale"])


@torch.no_grad()
def generate(case: Case, guidance: Guidance, settings: SamplingSettings, noise: StoredNoise | None) -> Tensor:
    config, clip_frames = case.model.config, case.conditions.frames.shape[1]
    frames = token_frames(clip_frames, config.clip_frame_rate, config.dac_frame_rate)
    states = case.model.encode_branches(case.conditions, guidance)
    step = plain_stepper(case.model, states, case.model.layout.row_count(frames))
    codes = sample_rows(step, case.model.layout, frames, guidance.weights, settings, noise)
    samples = int(clip_frames / config.clip_frame_rate * config.dac_sample_rate)
    return repeat_last_frame(codes, codec_frames(samples, config.dac_downsample_rate))


@pytest.mark.parametrize("output", ["greedy_codes_cfg", "greedy_codes_cfg_scale0", "greedy_codes_dual_cfg"])
def test_greedy_codes(path: Path, output: str) -> None:
    case = read_case(path)
    guidance = guidance_of(case.facts["scales"][output])
    codes = generate(case, guidance, SamplingSettings.greedy(), None)
    assert torch.equal(codes, case.stored[f"out/{output}"])


@pytest.mark.parametrize("output", ["sampled_codes_cfg", "sampled_codes_dual_cfg"])
def test_sampled_codes_with_the_stored_noise(path: Path, output: str) -> None:
    case = read_case(path)
    facts = case.facts["sampling"]
    noise = StoredNoise(case.stored["in/sampling_exponential_noise"])
    settings = SamplingSettings(top_k=facts["top_k"])
    codes = generate(case, guidance_of(facts[output]), settings, noise)
    assert torch.equal(codes, case.stored[f"out/{output}"])
