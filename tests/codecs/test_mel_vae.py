import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from spatialfoley.codecs.mel_vae import LatentPosterior, MelVae, MelVaeConfig, _silu, force_unit_norm

TINY = MelVaeConfig(mel_bands=6, latent_dim=3, hidden_dim=8)


def raw_state(config: MelVaeConfig = TINY, scale: float = 1.0) -> dict[str, Tensor]:
    """Weights as a checkpoint holds them: filters of a norm near √fan_in, data of some mean and deviation."""
    generator = torch.Generator().manual_seed(7)
    state = {
        key: scale * torch.randn(value.shape, generator=generator)
        for key, value in MelVae(config).state_dict().items()
    }
    state |= {key: torch.tensor(0.5) for key in state if key.endswith("learnable_gain")}
    bands = config.mel_bands
    return state | {"data_mean": torch.full((1, bands, 1), -2.0), "data_std": torch.full((1, bands, 1), 3.0)}


def random_mel(frames: int = 10) -> Tensor:
    return torch.randn(2, 6, frames, generator=torch.Generator().manual_seed(8))


def test_a_filter_is_divided_by_its_magnitude_and_by_its_fan_in() -> None:
    folded = force_unit_norm({"conv.weight": torch.full((2, 4, 3), 2.0), "gain": torch.tensor(5.0)})
    # rms 2, fan-in 12.
    expected = torch.full((2, 4, 3), 2.0 / (2.0 + 1e-4) / math.sqrt(12))
    torch.testing.assert_close(folded["conv.weight"], expected)
    assert folded["gain"] == 5.0


def test_forcing_the_norm_again_changes_nothing() -> None:
    once = force_unit_norm(raw_state())
    twice = force_unit_norm(once)
    assert all(torch.equal(once[key], twice[key]) for key in once)


def test_every_filter_gets_unit_norm() -> None:
    raw, folded = raw_state(), force_unit_norm(raw_state())
    filters = [key for key in raw if key.endswith(".weight")]
    assert len(filters) == len(raw) - 4
    for key in filters:
        norm = folded[key].flatten(1).norm(dim=1)
        torch.testing.assert_close(norm, torch.ones_like(norm), atol=2e-3, rtol=0)
        assert not torch.equal(raw[key], folded[key])


@torch.no_grad()
def test_a_network_survives_saving_and_loading() -> None:
    network, mel = MelVae.from_state(raw_state(), TINY), random_mel()
    again = MelVae.from_state(network.state_dict(), TINY)
    assert torch.equal(again.encode(mel).mean, network.encode(mel).mean)


@torch.no_grad()
def test_the_scale_of_raw_filters_does_not_matter() -> None:
    state = raw_state()
    scaled = {key: 4.0 * value if key.endswith(".weight") else value for key, value in state.items()}
    latents = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(
        MelVae.from_state(scaled, TINY).decode(latents),
        MelVae.from_state(state, TINY).decode(latents),
        atol=0.02,
        rtol=0,
    )


def test_silu_keeps_the_magnitude_of_normal_values() -> None:
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(10))
    assert _silu(values).square().mean().sqrt() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("frames", "latents"), [(10, 5), (11, 5), (2, 1)])
@torch.no_grad()
def test_one_latent_covers_two_frames(frames: int, latents: int) -> None:
    network = MelVae.from_state(raw_state(), TINY)
    posterior = network.encode(random_mel(frames))
    assert posterior.mean.shape == posterior.log_variance.shape == (2, 3, latents)
    assert network.decode(posterior.mean).shape == (2, 6, 2 * latents)


@torch.no_grad()
def test_two_halvings_make_one_latent_of_four_frames() -> None:
    config = replace(TINY, halved_levels=(0, 1))
    network = MelVae.from_state(raw_state(config), config)
    posterior = network.encode(random_mel(12))
    assert posterior.mean.shape == (2, 3, 3)
    assert network.decode(posterior.mean).shape == (2, 6, 12)


@torch.no_grad()
def test_data_statistics_are_taken_off_and_put_back() -> None:
    state = raw_state()
    neutral = state | {"data_mean": torch.zeros(1, 6, 1), "data_std": torch.ones(1, 6, 1)}
    shifted, plain = MelVae.from_state(state, TINY), MelVae.from_state(neutral, TINY)
    mel = random_mel()
    torch.testing.assert_close(
        shifted.encode(3.0 * mel - 2.0).mean, plain.encode(mel).mean, atol=1e-4, rtol=1e-4
    )
    latents = torch.ones(1, 3, 4)
    torch.testing.assert_close(shifted.decode(latents), 3.0 * plain.decode(latents) - 2.0)
    assert torch.equal(plain.decode(latents), plain.decode_normalised(latents))


@torch.no_grad()
def test_log_variance_is_limited() -> None:
    state = raw_state() | {"encoder.learnable_gain": torch.tensor(1e6)}
    log_variance = MelVae.from_state(state, TINY).encode(random_mel()).log_variance
    assert (log_variance.min(), log_variance.max()) == (-30.0, 20.0)


def test_posterior_is_mean_plus_deviation_times_noise() -> None:
    posterior = LatentPosterior(torch.tensor([1.0, -2.0]), torch.tensor([0.0, 2.0 * math.log(3.0)]))
    torch.testing.assert_close(posterior.std, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(posterior.sample(torch.tensor([0.5, -1.0])), torch.tensor([1.5, -5.0]))


def test_wrong_shapes_are_refused() -> None:
    network = MelVae.from_state(raw_state(), TINY)
    with pytest.raises(
        ValueError, match=r"mel has the shape \(1, 5, 4\), but must be \(batch, 6, at least 2"
    ):
        network.encode(torch.zeros(1, 5, 4))
    with pytest.raises(ValueError, match=r"mel has the shape \(1, 6, 1\)"):
        network.encode(torch.zeros(1, 6, 1))
    with pytest.raises(ValueError, match=r"latents have the shape \(1, 4, 4\), but must be \(batch, 3, "):
        network.decode(torch.zeros(1, 4, 4))


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"v1-16.pth does not fit .* of another shape"):
        MelVae.from_state(raw_state(), replace(TINY, latent_dim=4), "v1-16.pth")
