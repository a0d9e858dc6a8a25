from typing import Any

import pytest
import torch

from spatialfoley.generators.visaudio.backbone import FlowTrunk, MMAudioNetwork
from spatialfoley.generators.visaudio.conditions import FlowConditions, join_conditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.packed_flow import PackedFlow, pack_network, packing_refused
from tests.generators.visaudio.networks import LENGTHS, random_features, random_state, randomise

TOLERANCE = 2e-2
WIDE: dict[str, Any] = {"hidden_dim": 64}


def wide_visaudio(**changes: Any) -> VisaudioNetwork:
    network = VisaudioNetwork(VisaudioConfig.tiny(backbone=MMAudioConfig.tiny(**WIDE), **changes))
    randomise(network)
    return network.eval()


REFUSED = packing_refused(wide_visaudio())
here = pytest.mark.skipif(REFUSED is not None, reason=str(REFUSED))


def clips_and_null(network: VisaudioNetwork) -> tuple[torch.Tensor, torch.Tensor, FlowConditions]:
    """Two clips and a third without video and text."""
    x, t = random_state(network.config, batch=3)
    full = network.prepare(random_features(network.config), LENGTHS.latent)
    return x, t, join_conditions([full, network.null_conditions(LENGTHS)])


def deviation(made: torch.Tensor, expected: torch.Tensor) -> float:
    return float((made - expected).norm() / expected.norm())


@here
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"token_update": "first_branch"},
        {"joint_tokens": "averaged"},
        {"final_condition": "spacetime"},
        {"spacetime_sees_time": False},
        {"final_layer": "shared", "latent_projection": "per_branch"},
        {"spacetime": False},
        {"branches": ("left", "right", "up")},
    ],
    ids=str,
)
@torch.inference_mode()
def test_packed_velocities_are_those_of_the_network(changes: dict[str, Any]) -> None:
    network = wide_visaudio(**changes)
    x, t, conditions = clips_and_null(network)
    expected = network(x, t, conditions)
    tokens = conditions.clip_tokens.clone(), conditions.text_tokens.clone()
    packed = PackedFlow(network, release=True)
    made = packed(x, t, conditions)
    assert made.dtype == x.dtype
    assert deviation(made, expected) < TOLERANCE
    assert torch.equal(packed(x, t, conditions), made)
    assert torch.equal(conditions.clip_tokens, tokens[0])
    assert torch.equal(conditions.text_tokens, tokens[1])


@here
@pytest.mark.parametrize("v2", [True, False])
@torch.inference_mode()
def test_mmaudio_is_packed_as_well(v2: bool) -> None:
    network = MMAudioNetwork(MMAudioConfig.tiny(v2=v2, **WIDE))
    randomise(network)
    config = VisaudioConfig.tiny(spacetime=False)
    x, t = random_state(config)
    conditions = network.prepare(random_features(config), LENGTHS.latent)
    expected = network(x[:, 0], t, conditions)
    assert deviation(PackedFlow(network)(x[:, 0], t, conditions), expected) < TOLERANCE


@here
@torch.inference_mode()
def test_released_weights_take_no_memory() -> None:
    network = wide_visaudio()
    before = sum(parameter.numel() for parameter in network.joint_blocks.parameters())
    PackedFlow(network, release=True)
    assert before > 0
    assert sum(parameter.numel() for parameter in network.joint_blocks.parameters()) == 0


def test_heads_that_fit_no_vector_are_refused_in_one_sentence() -> None:
    network: FlowTrunk = VisaudioNetwork(VisaudioConfig.tiny())
    with pytest.raises(ValueError, match=r"heads are 8 wide.* use the dtype 'float32'"):
        PackedFlow(network)


@torch.inference_mode()
def test_latent_frames_of_the_same_conditions_are_found_once() -> None:
    network = VisaudioNetwork(VisaudioConfig.tiny())
    randomise(network)
    *_, conditions = clips_and_null(network)
    for channel in (None, 1):
        groups = conditions.frame_groups(channel)
        assert groups is conditions.frame_groups(channel)
        assert len(groups.sync) < conditions.batch * LENGTHS.latent
        assert torch.equal(groups.sync[groups.of_frame], conditions.sync_frames.flatten(0, 1))
        assert torch.equal(groups.clip[groups.of_frame], torch.arange(3).repeat_interleave(LENGTHS.latent))
        if channel is not None:
            assert conditions.spatial is not None
            assert groups.spatial is not None
            assert torch.equal(groups.spatial[groups.of_frame], conditions.spatial[:, channel].flatten(0, 1))


@here
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_packed_network_keeps_its_conditions_and_says_what_it_computes_in(dtype: torch.dtype) -> None:
    network = wide_visaudio()
    x, t, conditions = clips_and_null(network)
    expected = network(x, t, conditions)
    network.to(dtype)
    assert pack_network(network)
    made = network(x, t, clips_and_null(network)[2])
    assert deviation(made, expected) < TOLERANCE
    assert network.arithmetic == "bfloat16"
    assert network.t_embed.mlp[0].weight.dtype == torch.float32


@torch.inference_mode()
def test_a_network_that_does_not_fit_stays_as_it_is() -> None:
    network = VisaudioNetwork(VisaudioConfig.tiny())
    assert not pack_network(network)
    assert network.packed is None
    assert network.arithmetic == "float32"
