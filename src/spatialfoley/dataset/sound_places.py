"""A recorded field, or two recorded ears -> one channel and where it is: what a spatial head is trained on."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from spatialfoley.conventions import FOA_CHANNELS, W
from spatialfoley.spatial.interaural import frame_delays_s, shift_ears
from spatialfoley.spatial.latent_frames import latents_of_frames
from spatialfoley.spatial.parametric import band_weights, ear_parameters, field_ratios
from spatialfoley.spatial.short_time import analyse, hop_samples

Place = Literal["foa", "binaural"]
PLACE_CHANNELS: dict[Place, tuple[str, ...]] = {"foa": FOA_CHANNELS, "binaural": ("left", "right")}

_SILENCE = 1e-9


def check_place(place: str | None) -> Place | None:
    """The kind of recording by its name.

    Raises:
        ValueError: If there is none of that name.
    """
    for known in get_args(Place):
        if place == known:
            return known
    if place is None:
        return None
    raise ValueError(f"place is {place!r}; it must be one of {', '.join(get_args(Place))}")


def placed_channel(recording: np.ndarray, place: Place, rate_hz: int) -> np.ndarray:
    """The one channel (N,) of a recording (C, N) that a generator of mono sound shall make.

    Of a field that is W. Of two ears it is their mean without the delay between them: with it, the mean would lack
    the frequencies at which the ears are half a period apart.
    """
    if place == "foa":
        return np.ascontiguousarray(recording[W], np.float32)
    aligned = shift_ears(recording, rate_hz, frame_delays_s(recording, rate_hz))
    return aligned.mean(axis=0).astype(np.float32)


def place_numbers(
    recording: np.ndarray, channel: np.ndarray, place: Place, rate_hz: int, latent_samples: int, latents: int
) -> dict[str, np.ndarray]:
    """Where a sound is, for each latent of its one channel.

    Args:
        recording: A field around the camera (4, N), or left and right ear (2, N).
        channel: What `placed_channel` makes of it (N,).
        place: Which of both it is.
        rate_hz: Of the sound.
        latent_samples: Samples that one latent covers.
        latents: How many there are.

    Returns:
        `ratios` (3, bands, L) of a field, or `gains_db` (2, bands, L) and `delay_s` (L,) of ears.
    """
    if place == "foa":
        found = {"ratios": field_ratios(recording, rate_hz)}
    else:
        gains_db, delays_s = ear_parameters(recording, channel, rate_hz)
        found = {"gains_db": gains_db, "delay_s": delays_s}
    return {
        name: latents_of_frames(values, rate_hz, latent_samples, latents) for name, values in found.items()
    }


def band_levels_db(channel: np.ndarray, rate_hz: int, latent_samples: int, latents: int) -> np.ndarray:
    """Level of a sound (N,) in each band (bands, L) in dB, by which a number counts as heard."""
    hop = hop_samples(rate_hz)
    power = np.abs(analyse(channel[None], hop)[0]) ** 2
    energy = np.einsum("tk,bk->bt", power, band_weights(hop, rate_hz)) / hop
    levels_db = 10 * np.log10(np.maximum(energy, _SILENCE**2))
    return latents_of_frames(levels_db, rate_hz, latent_samples, latents)
