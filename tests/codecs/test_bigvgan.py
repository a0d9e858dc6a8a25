import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from spatialfoley.codecs.bigvgan import AliasFreeSnake, BigVgan, BigVganConfig
from spatialfoley.weights import load_state_dict

TINY = BigVganConfig(6, (4, 2), (8, 4), 16, (3, 5), ((1, 3), (1, 2)))


def random_vocoder(config: BigVganConfig = TINY) -> BigVgan:
    torch.manual_seed(1)
    network = BigVgan(config).eval()
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return network


def random_mel(batch: int = 2, frames: int = 7) -> torch.Tensor:
    return torch.randn(batch, 6, frames, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_every_frame_becomes_a_hop_of_samples_within_full_scale() -> None:
    wave = random_vocoder()(random_mel())
    assert wave.shape == (2, 1, 7 * 8)
    assert TINY.hop_samples == 8
    assert wave.abs().max() <= 1.0


def test_hops_of_the_published_vocoders() -> None:
    assert (BigVganConfig.mmaudio_16k().hop_samples, BigVganConfig.v2_44k().hop_samples) == (256, 512)


@torch.no_grad()
def test_first_version_ends_in_tanh_and_v2_is_clipped() -> None:
    loud = 50.0 * random_mel()
    first = random_vocoder()
    before = first.wave_before_limit(loud)
    assert before.abs().max() > 1.0
    assert torch.equal(first(loud), torch.tanh(before))
    second = random_vocoder(replace(TINY, use_tanh_at_final=False))
    assert torch.equal(second(loud), second.wave_before_limit(loud).clamp(-1.0, 1.0))


def test_final_bias_is_a_setting() -> None:
    assert "conv_post.bias" in random_vocoder().state_dict()
    assert "conv_post.bias" not in random_vocoder(replace(TINY, use_bias_at_final=False)).state_dict()


@pytest.mark.parametrize(
    ("kind", "logscale", "stored_alpha", "stored_beta", "beta"),
    [
        ("snakebeta", True, math.log(2.0), math.log(4.0), 4.0),
        ("snakebeta", False, 2.0, 4.0, 4.0),
        ("snake", True, math.log(2.0), None, 2.0),
        ("snake", False, 2.0, None, 2.0),
    ],
)
@torch.no_grad()
def test_snake_is_x_plus_a_squared_sine(
    kind: str, logscale: bool, stored_alpha: float, stored_beta: float | None, beta: float
) -> None:
    activation = AliasFreeSnake(replace(TINY, activation=kind, snake_logscale=logscale), 1).act  # type: ignore[arg-type]
    activation.alpha.fill_(stored_alpha)
    if stored_beta is None:
        assert activation.beta is None
    else:
        assert activation.beta is not None
        activation.beta.fill_(stored_beta)
    values = torch.linspace(-3.0, 3.0, 13)
    torch.testing.assert_close(
        activation(values[None, None])[0, 0], values + torch.sin(2.0 * values) ** 2 / beta
    )


@torch.no_grad()
def test_filters_leave_a_constant_alone() -> None:
    activation, constant = AliasFreeSnake(TINY, 3), torch.full((1, 3, 9), 0.7)
    raised = activation.upsample(constant)
    torch.testing.assert_close(raised, torch.full((1, 3, 18), 0.7), atol=2e-3, rtol=0)
    torch.testing.assert_close(activation.downsample(torch.full((1, 3, 18), 0.7)), constant)


@torch.no_grad()
def test_two_phases_equal_the_transposed_convolution_of_the_paper() -> None:
    upsample = AliasFreeSnake(TINY, 4).upsample
    upsample.filter.copy_(torch.randn(1, 1, 12, generator=torch.Generator().manual_seed(4)))
    hidden = torch.randn(2, 4, 17, generator=torch.Generator().manual_seed(5))
    padded = functional.pad(hidden, (5, 5), mode="replicate")
    full = 2.0 * functional.conv_transpose1d(padded, upsample.filter.expand(4, -1, -1), stride=2, groups=4)
    torch.testing.assert_close(upsample(hidden), full[..., 15:-15], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_file_as_trainers_write_it_is_read(tmp_path: Path) -> None:
    network, mel = random_vocoder(), random_mel()
    torch.save({"generator": network.state_dict()}, tmp_path / "best_netG.pt")
    restored = BigVgan.from_state(load_state_dict(tmp_path / "best_netG.pt"), TINY)
    assert torch.equal(restored(mel), network(mel))


def test_settings_from_a_published_file() -> None:
    settings = {
        "resblock": "1",
        "num_gpus": 0,
        "num_mels": 6,
        "upsample_rates": [4, 2],
        "upsample_kernel_sizes": [8, 4],
        "upsample_initial_channel": 16,
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3], [1, 2]],
        "fmax": None,
    }
    assert BigVganConfig.from_dict(settings) == TINY


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_mels": 6, "upsample_rates": [2]}, "lack upsample_kernel_sizes"),
        ({"resblock": "2"}, "resblock is '2'; only '1' is supported"),
    ],
    ids=["missing size", "second kind of block"],
)
def test_unusable_published_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BigVganConfig.from_dict(settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"upsample_rates": (4,)}, "upsample_rates has 1 entries and upsample_kernel_sizes 2"),
        ({"upsample_kernel_sizes": (7, 4)}, "kernel of 7 does not fit the rate 4"),
        ({"resblock_kernel_sizes": (3,)}, "resblock_kernel_sizes has 1 entries"),
    ],
    ids=["activation", "rates", "kernel", "dilations"],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)  # type: ignore[arg-type]


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mel has the shape \(1, 5, 4\), but must be \(batch, 6"):
        random_vocoder()(torch.zeros(1, 5, 4))


def test_weights_of_another_size_are_refused() -> None:
    state = random_vocoder().state_dict()
    with pytest.raises(
        ValueError, match=r"vocoder.pt does not fit .*conv_pre.weight \[16, 6, 7\] instead of"
    ):
        BigVgan.from_state(state, replace(TINY, num_mels=7), "vocoder.pt")
