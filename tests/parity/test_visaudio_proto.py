"""ViSAudio against a second implementation of the same specification (no code of its authors is public).

The second implementation joins the published MMAudio blocks by other hands; agreement within 1e-3 says that both
read the specification alike.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.objective import flow_loss, interpolate, target_velocity
from spatialfoley.generators.visaudio.sampler import FlowSettings, branch_velocity, generate_latents
from tests.parity.cases import case_params

TOLERANCE = 1e-3

pytestmark = pytest.mark.parametrize("path", case_params("mmaudio", "visaudio_proto_*.safetensors"))

RENAMED = (
    (r"net\.(.+)", r"\1"),
    (r"(left|right)_blocks\.(.+)", r"branch_blocks.\1.\2"),
    (r"final_layer_(left|right)\.(.+)", r"final_layers.\1.\2"),
    (r"cst\.pos_l", "spacetime.positions.left"),
    (r"cst\.pos_r", "spacetime.positions.right"),
    (r"cst\.conv1d\.(.+)", r"spacetime.projections.shared.channel_conv.\1"),
    (r"cst\.c1\.(.+)", r"spacetime.projections.shared.downsample.0.\1"),
    (r"cst\.c2\.(.+)", r"spacetime.projections.shared.downsample.1.\1"),
    (r"cst\.ffn\.(.+)", r"spacetime.projections.shared.ffn.\1"),
    (r"cst\.l1\.(.+)", r"spacetime.projections.shared.mlp.0.\1"),
    (r"cst\.l2\.(.+)", r"spacetime.projections.shared.mlp.2.\1"),
    (r"cst\.lin_l\.(.+)", r"spacetime.unions.left.\1"),
    (r"cst\.lin_r\.(.+)", r"spacetime.unions.right.\1"),
    (r"cst\.empty", "spacetime.empty_pe_feat"),
)


def renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    raise AssertionError(f"no place for {name}")


@dataclass(frozen=True)
class Case:
    facts: dict[str, Any]
    stored: dict[str, Tensor]
    network: VisaudioNetwork
    lengths: SequenceLengths

    def both(self, name: str) -> Tensor:
        """Left and right, stacked as (B, 2, ...)."""
        return torch.stack([self.stored[f"{name}_left"], self.stored[f"{name}_right"]], dim=1)

    def conditions(self) -> FlowConditions:
        clip, sync, text, patches = (self.stored[f"in/{name}_f"] for name in ("clip", "sync", "text", "pe"))
        return self.network.prepare(ClipFeatures(clip, sync, text, patches), self.lengths.latent)


@cache
def read_case(path: Path) -> Case:
    facts = json.loads(path.with_suffix(".json").read_text())
    stored = load_file(path)
    said = dict(facts["config"])
    text_tokens = said.pop("text_seq_len")
    lengths = SequenceLengths(*(said.pop(f"{name}_seq_len") for name in ("latent", "clip", "sync")))
    config = VisaudioConfig(
        backbone=MMAudioConfig(**said, text_tokens=text_tokens),
        pe_dim=facts["pe_dim"],
        pe_grid=facts["pe_grid"],
        pe_channel_kernel=facts["pe_conv1d_kernel"],
    )
    network = VisaudioNetwork(config)
    prefix = "weights/"
    weights = {
        renamed(name.removeprefix(prefix)): value for name, value in stored.items() if name.startswith(prefix)
    }
    network.load_state_dict(weights, strict=True)
    return Case(facts, stored, network, lengths)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@torch.no_grad()
def test_spatial_features(path: Path) -> None:
    case = read_case(path)
    spatial = case.conditions().spatial
    empty = case.network.null_conditions(case.lengths).spatial
    assert spatial is not None
    assert empty is not None
    assert_close(spatial, case.both("out/F_pe"), 1e-5)
    expected = case.both("out/F_pe_empty")
    assert_close(empty.expand_as(expected), expected, 1e-5)


@torch.no_grad()
def test_branch_conditions(path: Path) -> None:
    case, conditions = read_case(path), read_case(path).conditions()
    global_condition = case.network.global_condition(conditions, case.stored["in/t"])
    made = [case.network.branch_condition(index, conditions, global_condition) for index in (0, 1)]
    assert_close(torch.stack(made, dim=1), case.both("out/F_sp"))


def test_velocities_and_loss(path: Path) -> None:
    case = read_case(path)
    x0, x1, t = case.both("in/noise"), case.both("in/x1"), case.stored["in/t"]
    with torch.no_grad():
        velocity = case.network(interpolate(x0, x1, t), t, case.conditions())
    loss = flow_loss(velocity, target_velocity(x0, x1))
    assert_close(loss.per_clip, case.stored["out/loss_left"] + case.stored["out/loss_right"])
    stored_mean = torch.stack([case.stored["out/loss_left"].mean(), case.stored["out/loss_right"].mean()])
    assert_close(loss.per_branch, stored_mean)


@torch.no_grad()
def test_velocity_of_each_ear(path: Path) -> None:
    case = read_case(path)
    velocity = case.network(case.both("in/noise"), case.stored["in/t"], case.conditions())
    assert_close(velocity, case.both("out/flow"))


@pytest.mark.parametrize("batched", [True, False], ids=["one batch", "one by one"])
@torch.no_grad()
def test_guided_euler(path: Path, batched: bool) -> None:
    case = read_case(path)
    null = case.network.null_conditions(case.lengths)
    velocity = branch_velocity(case.network, case.conditions(), null, batched)
    guidance = Guidance.of_strength(case.facts["cfg_strength"])
    latents = generate_latents(velocity, case.both("in/noise"), guidance, FlowSettings(steps=8))
    assert_close(latents, case.both("out/euler8_cfg"))
