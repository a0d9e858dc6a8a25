"""Numbers of a head become a field or two ears: known answers at both published rates."""

import numpy as np
import pytest
import torch

from spatialfoley.generators.visaudio.spatial_head import FieldNumbers
from spatialfoley.pipeline.placing import placed
from spatialfoley.spatial.interaural import interaural_delays_s, interaural_levels_db
from spatialfoley.spatial.parametric import BANDS

RATES = [(16000, 512), (44100, 1024)]
LATENTS = 40
NONE = torch.zeros(0)


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize(("rate_hz", "latent_samples"), RATES)
def test_a_direction_that_stays(rate_hz: int, latent_samples: int) -> None:
    mono = noise(LATENTS * latent_samples - 100)
    direction = np.array([0.6, -0.3, -0.7], np.float32)
    ratios = torch.from_numpy(np.tile(direction[:, None, None], (1, BANDS, LATENTS)))[None]
    field = placed(mono, FieldNumbers(ratios, NONE, NONE), rate_hz, latent_samples)
    assert np.array_equal(field[0], mono)
    assert np.allclose(field[1:], direction[:, None] * mono, atol=1e-4)


@pytest.mark.parametrize(("rate_hz", "latent_samples"), RATES)
def test_a_source_that_passes_changes_sides_in_the_middle(rate_hz: int, latent_samples: int) -> None:
    mono = noise(LATENTS * latent_samples)
    ratios = torch.zeros(1, 3, BANDS, LATENTS)
    ratios[0, 0] = torch.linspace(1, -1, LATENTS)
    field = placed(mono, FieldNumbers(ratios, NONE, NONE), rate_hz, latent_samples)
    parts = np.array_split(field[:2], 8, axis=1)
    sides = [float((part[0] * part[1]).sum() / (part[0] ** 2).sum()) for part in parts]
    assert np.allclose(sides, -(np.arange(8) - 3.5) / 4, atol=0.06)


@pytest.mark.parametrize(("rate_hz", "latent_samples"), RATES)
def test_ears_differ_as_they_are_told(rate_hz: int, latent_samples: int) -> None:
    mono = noise(LATENTS * latent_samples)
    gains = torch.tensor([3.0, -5.0]).view(1, 2, 1, 1).expand(1, 2, BANDS, LATENTS)
    delays = torch.full((1, LATENTS), 4e-4)
    ears = placed(mono, FieldNumbers(NONE, gains, delays), rate_hz, latent_samples)
    assert ears.shape == (2, mono.size)
    assert interaural_levels_db(ears, rate_hz, None) == pytest.approx([8.0], abs=0.3)
    assert interaural_delays_s(ears, rate_hz, None) == pytest.approx([4e-4], abs=2e-5)
