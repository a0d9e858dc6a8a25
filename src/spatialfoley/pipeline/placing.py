"""A finished sound of one channel and where a spatial head says that it is -> a field, or two ears."""

import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.spatial_head import FieldNumbers, SpatialHead
from spatialfoley.spatial.interaural import LONGEST_DELAY_S
from spatialfoley.spatial.latent_frames import frames_of_latents
from spatialfoley.spatial.parametric import (
    EAR_GAIN_LIMIT_DB,
    RATIO_LIMIT,
    apply_ear_parameters,
    apply_field_ratios,
)


@torch.inference_mode()
def place_of(head: SpatialHead, latents: Tensor, features: ClipFeatures) -> FieldNumbers:
    """Where a sound is, latent by latent, on the CPU and within the limits of what can be heard.

    Args:
        head: on the device of the latents.
        latents: normalised (1, L, latent_dim).
        features: of the clip, with `sync` and `patches`.
    """
    said = head.read(head(latents, features).float().cpu())
    return FieldNumbers(
        said.ratios.clamp(-RATIO_LIMIT, RATIO_LIMIT),
        said.gains_db.clamp(-EAR_GAIN_LIMIT_DB, EAR_GAIN_LIMIT_DB),
        said.delays_s.clamp(-LONGEST_DELAY_S, LONGEST_DELAY_S),
    )


def placed(mono: NDArray, place: FieldNumbers, rate_hz: int, latent_samples: int) -> NDArray:
    """The field (4, N) around the camera, whose W is the sound (N,) as it is, or two ears (2, N) that hear it."""

    def per_frame(values: Tensor) -> NDArray:
        return frames_of_latents(values[0].numpy(), rate_hz, latent_samples, mono.shape[-1])

    if place.ratios.numel():
        return apply_field_ratios(mono, per_frame(place.ratios), rate_hz)
    return apply_ear_parameters(mono, per_frame(place.gains_db), per_frame(place.delays_s), rate_hz)
