"""The tiny twin's network and its spatial head at the smallest sizes."""

import dataclasses

import pytest
import torch

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.sampler import integrate
from spatialfoley.generators.visaudio.spatial_head import (
    FieldNumbers,
    SpatialHead,
    SpatialHeadConfig,
    head_loss,
    numbers_of,
)
from spatialfoley.generators.visaudio.twin import TwinConfig, TwinNetwork, named_words, twin_features

WORDS = ("bell", "drum")


def tiny_twin(form: str = "sign-factored", layout: str = "binaural") -> TwinConfig:
    return TwinConfig.from_dict(
        {
            "form": {"form": form, "layout": layout},
            "words": list(WORDS),
            "network": {
                "spacetime": form != "parametric",
                "backbone": {
                    "clip_dim": 6,
                    "sync_dim": 6,
                    "hidden_dim": 16,
                    "num_heads": 2,
                    "depth": 3,
                    "fused_depth": 1,
                    "ffn_multiple": 16,
                },
            },
        }
    )


def _features(frames: int = 10) -> ClipFeatures:
    generator = torch.Generator().manual_seed(1)
    energy = torch.rand(2, frames, 49, generator=generator).softmax(-1)
    return twin_features(
        torch.randn(2, frames, 6, generator=generator), energy, torch.tensor([[1.0, 0], [0, 0]])
    )


@pytest.mark.parametrize(
    ("form", "layout"), [("published", "foa"), ("sign-factored", "binaural"), ("parametric", "mono")]
)
def test_a_network_of_each_form_gives_velocities_of_its_latents(form: str, layout: str) -> None:
    twin = tiny_twin(form, layout)
    network = TwinNetwork(twin)
    lengths = twin.lengths(25)
    conditions = network.prepare(_features(lengths.sync), lengths.latent)
    x = torch.randn(2, len(twin.form.branches), lengths.latent, twin.form.latent_dim)
    assert network(x, torch.tensor([0.2, 0.8]), conditions).shape == x.shape
    assert network.null_conditions(lengths).latent_frames == lengths.latent


def test_settings_come_back_and_unknown_ones_are_refused() -> None:
    twin = tiny_twin()
    assert TwinConfig.from_dict(twin.to_dict()) == twin
    with pytest.raises(ValueError, match="unknown settings colour; known are form, network, words"):
        TwinConfig.from_dict({**twin.to_dict(), "colour": 1})


def test_a_network_that_has_learnt_nothing_leaves_white_noise_white() -> None:
    """Followed from noise to sound, the velocity that is known beforehand neither grows nor shrinks it."""
    twin = tiny_twin("parametric", "mono")
    network = TwinNetwork(twin)
    lengths = twin.lengths(200)
    conditions = network.prepare(_features(lengths.sync), lengths.latent)
    x = torch.randn(2, 1, lengths.latent, twin.form.latent_dim, generator=torch.Generator().manual_seed(0))
    mask = twin.form.relation_mask()
    with torch.inference_mode():
        made = integrate(lambda x, t: network(x, t.expand(2), conditions), x, torch.linspace(0, 1, 65))
    assert made[..., ~mask].std().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(made[..., mask], x[..., mask]), "of relations nothing is known beforehand"


def test_a_map_on_the_left_stays_on_the_left() -> None:
    energy = torch.zeros(1, 4, 7, 7)
    energy[..., 0] = 1 / 7
    grid = twin_features(torch.zeros(1, 4, 6), energy.flatten(2), torch.zeros(1, 2)).patches
    assert grid is not None
    assert grid.shape == (1, 2, 8, 8, 1)
    assert grid[0, 0, :, 0, 0].min() > 1
    assert grid[0, 0, :, 2:, 0].abs().max() < 1e-6


def test_words_are_found_in_a_text() -> None:
    named, others = named_words("A big Drum and two bells", WORDS)
    assert named.tolist() == [1, 1]
    assert others == ["big", "two"]


@pytest.mark.parametrize("layout", ["binaural", "foa"])
def test_numbers_of_the_head_mean_what_they_were_made_of(layout: str) -> None:
    config = SpatialHeadConfig(
        layout=layout, latent_dim=50, frames_per_token=2, sync_dim=6, pe_dim=1, pe_grid=8
    )  # type: ignore[arg-type]
    head = SpatialHead(dataclasses.replace(config, hidden_dim=8, depth=1))
    none = torch.zeros(0)
    truth = (
        FieldNumbers(torch.rand(2, 3, 4, 6), none, none)
        if layout == "foa"
        else FieldNumbers(none, 10 * torch.rand(2, 2, 4, 6), 1e-4 * torch.rand(2, 6))
    )
    numbers = numbers_of(truth)
    assert numbers.shape == (2, 6, config.numbers)
    for name, value in dataclasses.asdict(head.read(numbers)).items():
        assert torch.allclose(value, getattr(truth, name), atol=1e-6), name
    answers = head(torch.randn(2, 3, 50), _features())
    assert answers.shape == (2, 6, config.numbers)


def test_what_is_not_heard_does_not_count() -> None:
    truth, guess = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 1, 1], [5, 5, 5]]])
    loudness = torch.tensor([[[1.0, 1, 1], [0, 0, 0]]])
    assert head_loss(guess, truth, loudness).item() == pytest.approx(1.0)


def test_a_head_without_patches_says_so() -> None:
    head = SpatialHead(SpatialHeadConfig(latent_dim=5, sync_dim=6, pe_dim=1, pe_grid=8, hidden_dim=8))
    features = dataclasses.replace(_features(), patches=None)
    with pytest.raises(ValueError, match="features have no patches, but the spatial head reads them"):
        head(torch.zeros(2, 3, 5), features)
