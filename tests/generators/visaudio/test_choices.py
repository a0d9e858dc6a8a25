"""Every reading of an open place of the paper runs, learns and is a function of its own."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from spatialfoley.generators.visaudio.config import VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from tests.generators.visaudio.networks import LENGTHS, random_features, random_state, random_visaudio

OF_OTHER_WEIGHTS: list[dict[str, Any]] = [
    {"spacetime": False},
    {"pe_grid": 4, "pe_pool": 2},
    {"pe_projection": "per_branch"},
    {"pe_channel_kernel": 7},
    {"pe_downsample_kernel": 5},
    {"pe_readout": "average"},
    {"latent_projection": "per_branch"},
    {"final_layer": "shared"},
    {"null_spatial": "zeros"},
    {"branches": ("w", "y", "z", "x")},
]
OF_THE_SAME_WEIGHTS: list[dict[str, Any]] = [
    {"joint_tokens": "averaged"},
    {"token_update": "first_branch"},
    {"final_condition": "spacetime"},
    {"spacetime_sees_time": False},
]
# The frames and words of the last joint block only answer: they ask nothing any more.
SILENT = {f"joint_blocks.1.{stream}_block.attn.q_norm.weight" for stream in ("clip", "text")}


def choice_name(changes: dict[str, Any]) -> str:
    return "-".join(changes)


@pytest.mark.parametrize("changes", [{}, *OF_OTHER_WEIGHTS, *OF_THE_SAME_WEIGHTS], ids=choice_name)
def test_every_weight_has_an_effect(changes: dict[str, Any]) -> None:
    network = random_visaudio(**changes)
    features, (x, t) = random_features(network.config), random_state(network.config)
    features = replace(
        features, video_dropped=torch.tensor([False, True]), text_dropped=torch.tensor([True, False])
    )
    velocity = network(x, t, network.prepare(features, LENGTHS.latent))
    assert velocity.shape == x.shape
    velocity.square().sum().backward()
    weights = dict(network.named_parameters())
    assert {name for name, value in weights.items() if value.grad is None or not value.grad.any()} == SILENT


@pytest.mark.parametrize("changes", OF_THE_SAME_WEIGHTS, ids=choice_name)
@torch.no_grad()
def test_a_choice_is_another_function_of_the_same_weights(changes: dict[str, Any]) -> None:
    plain, other = random_visaudio(), VisaudioNetwork(VisaudioConfig.tiny(**changes))
    other.load_state_dict(plain.state_dict())
    features, (x, t) = random_features(plain.config), random_state(plain.config)
    results = [network(x, t, network.prepare(features, LENGTHS.latent)) for network in (plain, other)]
    assert (results[0] - results[1]).abs().max() > 1e-3


@torch.no_grad()
def test_pooling_inside_is_pooling_before() -> None:
    """A1: the literal reading differs from the default only in where the patches are averaged."""
    inside, before = random_visaudio(pe_grid=8, pe_pool=2), random_visaudio(pe_grid=8)
    features = random_features(inside.config)
    assert features.patches is not None
    blocks = features.patches.reshape(2, LENGTHS.clip, 8, 2, 8, 2, -1)
    pooled = replace(features, patches=blocks.mean(dim=(3, 5)))
    conditions = [inside.prepare(features, LENGTHS.latent), before.prepare(pooled, LENGTHS.latent)]
    assert conditions[0].spatial is not None
    assert conditions[1].spatial is not None
    torch.testing.assert_close(conditions[0].spatial, conditions[1].spatial, atol=1e-6, rtol=0)


@torch.no_grad()
def test_start_of_the_new_layers() -> None:
    """A12: the condition of each ear starts as MMAudio's; by Xavier it does not."""
    features = random_features(VisaudioConfig.tiny())
    _, t = random_state(VisaudioConfig.tiny())
    for rule, same in (("identity", True), ("xavier", False)):
        network = VisaudioNetwork(VisaudioConfig.tiny(spacetime_init=rule))
        conditions = network.prepare(features, LENGTHS.latent)
        known = network.global_condition(conditions, t)
        condition = network.branch_condition(1, conditions, known)
        assert torch.equal(condition, known + conditions.sync_frames) is same
        assert network.spacetime is not None
        spread = float(network.spacetime.positions["left"].std())
        assert spread == pytest.approx(0.02, rel=0.2)
