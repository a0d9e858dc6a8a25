"""Invariants of ViSAudio beside the MMAudio network it starts from."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.blocks import Streams
from spatialfoley.generators.visaudio.checkpoint import start_from_mmaudio
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions, join_conditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from tests.generators.visaudio.networks import (
    LENGTHS,
    random_features,
    random_mmaudio,
    random_state,
    random_visaudio,
    randomise,
    stored_numbers,
)


def started(joint_depth: int, **changes: Any) -> tuple[VisaudioNetwork, MMAudioNetwork]:
    """ViSAudio as it starts from a random MMAudio network."""
    mono = random_mmaudio(depth=joint_depth + 2, fused_depth=2)
    network = VisaudioNetwork(VisaudioConfig.tiny(backbone=mono.config, **changes))
    start_from_mmaudio(network, mono.state_dict())
    return network.eval(), mono


@torch.no_grad()
def velocities(network: VisaudioNetwork, features: ClipFeatures, x: Tensor, t: Tensor) -> Tensor:
    result: Tensor = network(x, t, network.prepare(features, LENGTHS.latent))
    return result


@torch.no_grad()
def mono_velocity(network: MMAudioNetwork, features: ClipFeatures, x: Tensor, t: Tensor) -> Tensor:
    result: Tensor = network(x, t, network.prepare(replace(features, patches=None), LENGTHS.latent))
    return result


def equal_noise(config: VisaudioConfig) -> tuple[Tensor, Tensor]:
    x, t = random_state(config)
    return x[:, :1].expand_as(x).contiguous(), t


def test_one_joint_block_starts_as_mmaudio_in_both_ears() -> None:
    """Invariant (i): equal noise, one joint block: both ears are MMAudio exactly."""
    network, mono = started(joint_depth=1)
    features, (x, t) = random_features(network.config), equal_noise(network.config)
    both, expected = velocities(network, features, x, t), mono_velocity(mono, features, x[:, 0], t)
    assert torch.equal(both[:, 0], expected)
    assert torch.equal(both[:, 1], expected)
    assert expected.abs().max() > 0.1


@torch.no_grad()
def test_more_joint_blocks_leave_mmaudio_because_words_arrive_twice_updated() -> None:
    """Invariant (ii): neither ear is MMAudio, though the left one is after the first joint block."""
    network, mono = started(joint_depth=2)
    features, (x, t) = random_features(network.config), equal_noise(network.config)
    both, alone = velocities(network, features, x, t), mono_velocity(mono, features, x[:, 0], t)
    assert (both - alone[:, None]).abs().amax(dim=(0, 2, 3)).min() > 1e-3
    conditions = network.prepare(features, LENGTHS.latent)
    known = network.global_condition(conditions, t)
    rotations = network.rotations(LENGTHS.latent, LENGTHS.clip, x.device)
    streams = Streams(network.audio_input_proj(x[:, 0]), conditions.clip_tokens, conditions.text_tokens)
    after_one = [
        model.joint_blocks[0](
            streams, model.joint_blocks[0].modulation(known, known + conditions.sync_frames), *rotations
        )
        for model in (network, mono)
    ]
    assert torch.equal(after_one[0].latent, after_one[1].latent)


def test_the_first_branch_stays_mmaudio_if_every_branch_reads_the_tokens_as_they_came() -> None:
    network, mono = started(joint_depth=3, token_update="first_branch")
    features, (x, t) = random_features(network.config), equal_noise(network.config)
    both, expected = velocities(network, features, x, t), mono_velocity(mono, features, x[:, 0], t)
    assert torch.equal(both[:, 0], expected)
    assert torch.equal(both[:, 1], expected)


def swapped(network: VisaudioNetwork) -> VisaudioNetwork:
    """The same network with all that is marked by an ear exchanged."""
    other = VisaudioNetwork(network.config)
    state = network.state_dict()
    exchanged = {"left": "right", "right": "left"}
    other.load_state_dict(
        {
            ".".join(exchanged.get(part, part) for part in key.split(".")): value
            for key, value in state.items()
        }
    )
    return other.eval()


def test_the_order_of_the_ears_matters() -> None:
    """Invariant (iii): exchanging all weights of the ears does not exchange the ears: left goes first."""
    network = random_visaudio()
    features, (x, t) = random_features(network.config), random_state(network.config)
    plain = velocities(network, features, x, t)
    exchanged = velocities(swapped(network), features, x.flip(1), t).flip(1)
    assert (plain - exchanged).abs().amax(dim=(0, 2, 3)).min() > 1e-3


def test_the_ears_can_be_exchanged_where_no_order_exists() -> None:
    network = random_visaudio(
        backbone=MMAudioConfig.tiny(depth=4, fused_depth=3), token_update="first_branch"
    )
    features, (x, t) = random_features(network.config), random_state(network.config)
    plain = velocities(network, features, x, t)
    exchanged = velocities(swapped(network), features, x.flip(1), t).flip(1)
    torch.testing.assert_close(plain, exchanged, atol=1e-5, rtol=0)


@torch.no_grad()
def test_equal_positions_give_equal_spatial_features() -> None:
    """Invariant (iv); with different positions the ears differ."""
    network = random_visaudio()
    features = random_features(network.config)
    assert network.spacetime is not None
    spatial = network.prepare(features, LENGTHS.latent).spatial
    assert spatial is not None
    assert (spatial[:, 0] - spatial[:, 1]).abs().max() > 1e-2
    network.spacetime.positions["right"].copy_(network.spacetime.positions["left"])
    spatial = network.prepare(features, LENGTHS.latent).spatial
    assert spatial is not None
    assert torch.equal(spatial[:, 0], spatial[:, 1])


@pytest.mark.parametrize("changes", [{}, {"spacetime": False}], ids=["spacetime", "dual only"])
def test_one_branch_is_mmaudio(changes: dict[str, Any]) -> None:
    network, mono = started(joint_depth=3, branches=("mono",), **changes)
    features, (x, t) = random_features(network.config), random_state(network.config)
    assert torch.equal(velocities(network, features, x, t)[:, 0], mono_velocity(mono, features, x[:, 0], t))


@torch.no_grad()
def test_null_conditions_are_those_of_dropped_clips() -> None:
    network = random_visaudio()
    every = torch.ones(2, dtype=torch.bool)
    features = replace(random_features(network.config), video_dropped=every, text_dropped=every)
    dropped = network.prepare(features, LENGTHS.latent)
    null = network.null_conditions(LENGTHS).expand(2)
    for name in ("clip_tokens", "sync_frames", "text_tokens", "clip_pooled", "text_pooled", "spatial"):
        torch.testing.assert_close(getattr(null, name), getattr(dropped, name), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_clip_does_not_depend_on_its_batch() -> None:
    network = random_visaudio()
    features, (x, t) = random_features(network.config), random_state(network.config)
    alone = ClipFeatures(features.clip[1:], features.sync[1:], features.text[1:], features.patches[1:])  # type: ignore[index]
    torch.testing.assert_close(
        velocities(network, features, x, t)[1:], velocities(network, alone, x[1:], t[1:]), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_joined_conditions_are_a_batch() -> None:
    network = random_visaudio()
    features, (x, t) = random_features(network.config), random_state(network.config)
    conditions, null = network.prepare(features, LENGTHS.latent), network.null_conditions(LENGTHS).expand(2)
    both = network(torch.cat([x, x]), torch.cat([t, t]), join_conditions([conditions, null]))
    torch.testing.assert_close(both[:2], network(x, t, conditions), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[2:], network(x, t, null), atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_network_serves_clips_of_any_length() -> None:
    """The null conditions of other lengths join those of the clip, and a single video frame will do."""
    network = random_visaudio()
    features = random_features(network.config, batch=1)
    for latent, frames, sync in ((31, 6, 16), (4, 1, 8)):
        short = replace(features, clip=features.clip[:, :frames], sync=features.sync[:, :sync])
        full = network.prepare(replace(short, patches=short.patches[:, :frames]), latent)  # type: ignore[index]
        both = join_conditions([full, network.null_conditions(SequenceLengths(latent, frames, sync))])
        x = torch.randn(2, 2, latent, 5, generator=torch.Generator().manual_seed(0))
        velocity = network(x, torch.full((2,), 0.5), both)
        assert velocity.shape == x.shape
        assert velocity.isfinite().all()


def test_size_of_the_published_network() -> None:
    with torch.device("meta"):
        assert stored_numbers(VisaudioNetwork(VisaudioConfig())) == 1_509_850_784


@torch.no_grad()
def test_half_precision_stays_close() -> None:
    network = random_visaudio(backbone=MMAudioConfig.tiny(v2=False))
    features, (x, t) = random_features(network.config), random_state(network.config)
    exact = velocities(network, features, x, t)
    coarse = velocities(network.to(torch.bfloat16), features, x, t)
    assert coarse.dtype == torch.float32
    assert (coarse - exact).abs().mean() < 0.1 * exact.abs().mean()


def test_wrong_shapes_are_refused() -> None:
    network = random_visaudio()
    features, (x, t) = random_features(network.config), random_state(network.config)
    conditions = network.prepare(features, LENGTHS.latent)
    with pytest.raises(ValueError, match=r"patches of 2 clips are needed, but there are none"):
        network.prepare(replace(features, patches=None), LENGTHS.latent)
    with pytest.raises(ValueError, match=r"patches has shape \(2, 6, 4, 8, 6\), but must be .* 8, 8, 6"):
        network.prepare(replace(features, patches=torch.zeros(2, 6, 4, 8, 6)), LENGTHS.latent)
    with pytest.raises(ValueError, match="sync has 15 tokens, but must have a multiple of 8"):
        network.prepare(replace(features, sync=features.sync[:, :15]), LENGTHS.latent)
    with pytest.raises(ValueError, match=r"clip has shape \(2, 6, 11\), but must be \(2, tokens, 12\)"):
        network.prepare(replace(features, clip=features.clip[..., :11]), LENGTHS.latent)
    with pytest.raises(
        ValueError, match=r"negative_text has shape \(2, 7, 13\), but must be \(2, tokens, 14\)"
    ):
        network.null_conditions(LENGTHS, features.text[..., :13])
    with pytest.raises(ValueError, match="negative_text has 6 tokens, but must have 7, padding included"):
        network.null_conditions(LENGTHS, features.text[:, :6])
    with pytest.raises(ValueError, match="text has 6 tokens, but must have 7"):
        network.prepare(replace(features, text=features.text[:, :6]), LENGTHS.latent)
    with pytest.raises(ValueError, match=r"different numbers of .*: \[\(22, 6, 7\), \(23, 6, 7\)\]"):
        join_conditions([conditions, network.prepare(features, 22)])
    with pytest.raises(ValueError, match="latent_frames is 0, but must be at least 1"):
        network.prepare(features, 0)
    with pytest.raises(ValueError, match=r"x has shape \(2, 1, 23, 5\), but must be \(clips, 2 channels"):
        network(x[:, :1], t, conditions)
    with pytest.raises(ValueError, match="the conditions are of 2 clips of 23 latent frames"):
        network(x[:, :, :22], t, conditions)
    with pytest.raises(ValueError, match=r"t has shape \(1,\), but must be \(2,\)"):
        network(x, t[:1], conditions)
    with pytest.raises(ValueError, match="conditions have no spatial features"):
        network(x, t, replace(conditions, spatial=None))
    with pytest.raises(ValueError, match="some conditions have spatial features and some have none"):
        join_conditions([conditions, replace(conditions, spatial=None)])
    with pytest.raises(ValueError, match="conditions of 2 clips cannot be those of 3"):
        conditions.expand(3)


def test_features_and_conditions_move_together() -> None:
    network = random_visaudio()
    features = random_features(network.config).to("meta")
    assert features.patches is not None
    assert {features.clip.device.type, features.patches.device.type} == {"meta"}
    assert features.video_dropped is None
    randomise(network, 3)
    assert isinstance(network.null_conditions(LENGTHS), FlowConditions)
