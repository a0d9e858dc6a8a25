"""Values that change their rate: known answers at both published rates."""

import numpy as np
import pytest

from spatialfoley.spatial.latent_frames import frames_of_latents, latents_of_frames
from spatialfoley.spatial.short_time import analyse, hop_samples

RATES = [(16000, 512), (44100, 1024)]
"""Sample rate, and samples of one latent of the published autoencoders."""


@pytest.mark.parametrize(("rate_hz", "latent_samples"), RATES)
def test_a_steady_change_stays_one(rate_hz: int, latent_samples: int) -> None:
    latents = 40
    samples = latents * latent_samples
    frames = analyse(np.zeros((1, samples), np.float32), hop_samples(rate_hz)).shape[1]
    rising = np.arange(frames) * hop_samples(rate_hz) / rate_hz
    told = latents_of_frames(rising, rate_hz, latent_samples, latents)
    assert np.allclose(told, (np.arange(latents) + 0.5) * latent_samples / rate_hz, atol=1e-6)
    back = frames_of_latents(told, rate_hz, latent_samples, samples)
    assert back.shape == (frames,)
    inside = (rising >= told[0]) & (rising <= told[-1])
    assert np.allclose(back[inside], rising[inside], atol=1e-5)
    # Nothing is known outside the centres of the first and the last latent.
    assert back[0] == told[0]
    assert back[-1] == told[-1]


@pytest.mark.parametrize(("rate_hz", "latent_samples"), RATES)
def test_other_axes_are_left_alone(rate_hz: int, latent_samples: int) -> None:
    values = np.random.default_rng(0).standard_normal((3, 4, 11))
    made = frames_of_latents(values, rate_hz, latent_samples, 11 * latent_samples)
    assert made.shape[:2] == (3, 4)
    assert np.allclose(
        made[2, 1], frames_of_latents(values[2, 1], rate_hz, latent_samples, 11 * latent_samples)
    )


def test_one_latent_holds_for_the_whole_sound() -> None:
    assert np.array_equal(frames_of_latents(np.array([[2.0]]), 16000, 512, 700), np.full((1, 4), 2.0))
