"""The MMAudio flow networks, their sampler and their loss against stored runs of the published code.

Random weights, both versions. The published code in float32 differs from itself in float64 by up to 4e-4 in the
velocities of version 2, where times are multiplied by 10000, and by 5e-6 elsewhere; the tolerances follow.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.blocks import (
    TimestepEmbedder,
    rotary_table,
    rotate_pairs,
)
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths
from spatialfoley.generators.visaudio.objective import flow_loss, interpolate, target_velocity
from spatialfoley.generators.visaudio.sampler import FlowSettings, branch_velocity, generate_latents
from spatialfoley.weights import compare_keys
from tests.generators.visaudio.networks import stored_numbers
from tests.parity.cases import case_params, find_cases

CONDITION_TOLERANCE = 1e-5
TOLERANCE_OF_VERSION = {1: 1e-4, 2: 1e-3}

network_cases = pytest.mark.parametrize("path", case_params("mmaudio", "network_v[12]_*.safetensors"))


@dataclass(frozen=True)
class Case:
    facts: dict[str, Any]
    stored: dict[str, Tensor]
    network: MMAudioNetwork
    lengths: SequenceLengths

    @property
    def tolerance(self) -> float:
        return TOLERANCE_OF_VERSION[2 if self.network.config.v2 else 1]

    @property
    def features(self) -> ClipFeatures:
        return ClipFeatures(*(self.stored[f"in/{name}_f"] for name in ("clip", "sync", "text")))

    def conditions(self) -> FlowConditions:
        return self.network.prepare(self.features, self.lengths.latent)

    def null(self, negative: bool = False) -> FlowConditions:
        text = self.stored["in/negative_text_f"] if negative else None
        return self.network.null_conditions(self.lengths, text)


def weights_of(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("weights/"): value for name, value in stored.items() if name.startswith("weights/")
    }


@cache
def read_case(path: Path) -> Case:
    facts = json.loads(path.with_suffix(".json").read_text())
    stored = load_file(path)
    said = dict(facts["config"])
    text_tokens = said.pop("text_seq_len")
    lengths = SequenceLengths(*(said.pop(f"{name}_seq_len") for name in ("latent", "clip", "sync")))
    network = MMAudioNetwork(MMAudioConfig(**said, text_tokens=text_tokens, v2=facts["v2"]))
    network.load_state_dict(weights_of(stored), strict=True)
    return Case(facts, stored, network, lengths)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@network_cases
@pytest.mark.parametrize("kind", ["cond", "empty", "empty_neg"])
@torch.no_grad()
def test_conditions(path: Path, kind: str) -> None:
    case = read_case(path)
    made = case.conditions() if kind == "cond" else case.null(negative=kind == "empty_neg")
    batch = case.facts["batch"]
    for name, value in (
        ("clip_f", made.clip_tokens),
        ("sync_f", made.sync_frames),
        ("text_f", made.text_tokens),
        ("clip_f_c", made.clip_pooled),
        ("text_f_c", made.text_pooled),
    ):
        expected = case.stored[f"out/{kind}/{name}"]
        assert_close(
            value.expand(batch, *value.shape[1:]),
            expected.expand(batch, *expected.shape[1:]),
            CONDITION_TOLERANCE,
        )


@network_cases
@torch.no_grad()
def test_velocities(path: Path) -> None:
    case = read_case(path)
    noise, t = case.stored["in/noise"], case.stored["in/t"]
    assert_close(case.network(noise, t, case.conditions()), case.stored["out/flow"], case.tolerance)
    at_start = case.network(noise, torch.zeros_like(t), case.conditions())
    assert_close(at_start, case.stored["out/flow_t0"], 1e-4)
    without = case.network(noise, t, case.null().expand(len(t)))
    assert_close(without, case.stored["out/flow_empty"], case.tolerance)


@network_cases
@pytest.mark.parametrize("output", ["euler8_cfg", "euler25_cfg", "euler8_nocfg", "euler8_cfg_negtext"])
@torch.no_grad()
def test_euler(path: Path, output: str) -> None:
    case = read_case(path)
    strength = 0.0 if "nocfg" in output else case.facts["cfg_strength"]
    settings = FlowSettings(steps=int(output.removeprefix("euler").split("_")[0]), solver="euler")
    null = case.null(negative=output.endswith("negtext"))
    velocity = branch_velocity(case.network, case.conditions(), null)
    latents = generate_latents(velocity, case.stored["in/noise"], Guidance.of_strength(strength), settings)
    assert_close(latents, case.stored[f"out/{output}"], case.tolerance)


@network_cases
def test_latent_scaling(path: Path) -> None:
    case = read_case(path)
    made = case.network.unnormalise(case.stored["out/euler8_cfg"])
    assert_close(made, case.stored["out/unnormalized"], 1e-5)
    assert_close(case.network.normalise(case.stored["in/x1"]), case.stored["out/normalized"], 1e-5)


@network_cases
def test_loss_and_gradients(path: Path) -> None:
    case = read_case(path)
    x0, x1, t = (case.stored[f"in/{name}"] for name in ("noise", "x1", "t"))
    xt = interpolate(x0, x1, t)
    assert_close(xt, case.stored["out/xt"], 1e-6)
    case.network.zero_grad()
    loss = flow_loss(case.network(xt, t, case.conditions()), target_velocity(x0, x1))
    assert_close(loss.per_clip, case.stored["out/loss_per_sample"], case.tolerance)
    loss.total.backward()
    gradients = {
        name: value.grad for name, value in case.network.named_parameters() if value.grad is not None
    }
    norm = torch.stack([value.norm() for value in gradients.values()]).norm()
    torch.testing.assert_close(norm, case.stored["out/grad_norm"], rtol=1e-3, atol=0)
    checked = [name for name in case.stored if name.startswith("out/grad/")]
    assert checked
    for name in checked:
        expected = case.stored[name]
        scale = float(expected.abs().max())
        assert_close(gradients[name.removeprefix("out/grad/")], expected, 1e-3 * max(scale, 1.0))


@pytest.mark.parametrize("path", case_params("mmaudio", "rope_timestep_*.safetensors"))
def test_rotations_and_timesteps(path: Path) -> None:
    facts, stored = json.loads(path.with_suffix(".json").read_text()), load_file(path)
    for index, said in enumerate(facts["rope"]):
        cosine, sine = table = rotary_table(said["length"], said["dim"], said["freq_scaling"])
        matrices = torch.stack([cosine, -sine, sine, cosine], dim=-1).unflatten(-1, (2, 2))[None]
        assert_close(matrices, stored[f"out/rope{index}/rot"], 1e-5)
        assert_close(rotate_pairs(stored[f"in/rope{index}/x"], table), stored[f"out/rope{index}/y"], 1e-5)
    for index, said in enumerate(facts["timestep"]):
        embedder = TimestepEmbedder(said["dim"], said["frequency_embedding_size"], said["max_period"])
        prefix = f"weights/t{index}."
        embedder.load_state_dict(
            {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
        )
        t = stored[f"in/t{index}"]
        torch.testing.assert_close(embedder.frequencies(), stored[f"out/t{index}/freqs"], rtol=1e-6, atol=0)
        assert_close(embedder.sinusoid(t), stored[f"out/t{index}/sinusoid"], 1e-5)
        with torch.no_grad():
            assert_close(embedder(t), stored[f"out/t{index}/temb"], 1e-5)


def key_lists() -> list[Any]:
    named = ["small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2"]
    paths = [path for name in named for path in find_cases("mmaudio", f"state_dict_{name}.json")]
    reason = "no key list mmaudio/state_dict_*.json in any case folder"
    found = [pytest.param(path, id=path.stem) for path in paths]
    return found or [pytest.param(None, id="no-case", marks=pytest.mark.skip(reason=reason))]


@pytest.mark.parametrize("path", key_lists())
def test_published_keys(path: Path) -> None:
    facts = json.loads(path.read_text())
    with torch.device("meta"):
        network = MMAudioNetwork(MMAudioConfig.named(path.stem.removeprefix("state_dict_")))
    published = {name: tuple(shape) for name, (shape, _) in facts["keys"].items()}
    compare_keys(published, network.state_dict(), path.stem)
    assert stored_numbers(network) == facts["total_params"]
    assert sum(value.numel() for value in network.parameters()) == facts["trainable_params"]


@pytest.mark.parametrize(
    ("name", "count"),
    [("small_44k", 157_409_144), ("medium_44k", 621_805_944), ("large_44k", 1_030_002_168)],
)
def test_sizes_of_the_other_published_networks(name: str, count: int) -> None:
    with torch.device("meta"):
        assert stored_numbers(MMAudioNetwork(MMAudioConfig.named(name))) == count
