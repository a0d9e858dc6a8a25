import torch

from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.blocks import (
    AttentionInput,
    StreamBlock,
    attend,
    rotary_table,
    rotate_pairs,
    start_weights,
)
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig
from tests.generators.visaudio.networks import LENGTHS, random_features, random_state, random_visaudio


def test_a_quarter_turn() -> None:
    """Position 1 turns the first pair by one radian, and position pi/2 would take (1, 0) to (0, 1)."""
    table = rotary_table(2, 2, torch.pi / 2)
    turned = rotate_pairs(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), table)
    torch.testing.assert_close(turned, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), atol=1e-6, rtol=0)


def test_products_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 8, generator=generator)
    table = rotary_table(12, 8)
    products = rotate_pairs(query.expand(12, 8), table) @ rotate_pairs(key.expand(12, 8), table).T
    for distance in range(-5, 6):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)


def test_streams_of_two_rates_share_one_time_axis() -> None:
    fine, coarse = rotary_table(21, 8), rotary_table(6, 8, frequency_scale=4.0)
    torch.testing.assert_close(coarse.cosine, fine.cosine[::4], atol=1e-5, rtol=0)
    torch.testing.assert_close(coarse.sine, fine.sine[::4], atol=1e-5, rtol=0)


def test_streams_attend_to_each_other() -> None:
    """With equal keys, every token gets the mean of all values of all streams."""
    generator = torch.Generator().manual_seed(0)

    def stream(length: int) -> AttentionInput:
        value = torch.randn(1, 2, length, 4, generator=generator)
        return AttentionInput(
            torch.randn(1, 2, length, 4, generator=generator), torch.zeros_like(value), value
        )

    first, second = stream(3), stream(5)
    got_first, got_second = attend(first, second)
    mean = torch.cat([first.value, second.value], dim=2).mean(dim=2).flatten(1)
    torch.testing.assert_close(got_first, mean.expand(1, 3, 8))
    torch.testing.assert_close(got_second, mean.expand(1, 5, 8))


def test_a_fresh_block_changes_nothing() -> None:
    config = MMAudioConfig.tiny()
    block = StreamBlock(config, kernel=3)
    start_weights(block)
    x, condition = torch.randn(1, 9, 16), torch.randn(1, 9, 16)
    assert torch.equal(block(x, condition, rotary_table(9, config.head_dim)), x)


def test_a_fresh_network_stands_still() -> None:
    network = MMAudioNetwork(MMAudioConfig.tiny())
    features = random_features(random_visaudio().config)
    x, t = random_state(random_visaudio().config)
    features = ClipFeatures(features.clip, features.sync, features.text)
    velocity = network(x[:, 0], t, network.prepare(features, LENGTHS.latent))
    assert torch.equal(velocity, torch.zeros_like(velocity))
