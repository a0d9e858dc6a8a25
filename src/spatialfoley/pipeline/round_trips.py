"""True sound through what a model speaks and back: what its tokens or latents could say at best."""

from collections.abc import Callable

import numpy as np
import torch

from spatialfoley.conventions import W
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.loading import AnyPipeline
from spatialfoley.pipeline.twin_chain import TwinPipeline
from spatialfoley.spatial.parametric import (
    apply_ear_parameters,
    apply_field_ratios,
    ear_parameters,
    field_ratios,
)
from spatialfoley.spatial.signal import SpatialAudio

RoundTrip = Callable[[SpatialAudio, SpatialAudio], SpatialAudio]
"""From a true field and the ears that hear it to what comes back, in the model's own layout."""


def round_trip(pipe: AnyPipeline) -> RoundTrip | None:
    """The way of true sound through the codec of a pipeline and back.

    None where the codec takes no sound of several channels: mel spectrograms hold neither field nor ears.
    """
    if isinstance(pipe, Pipeline):
        return lambda field, ears: _through_tokens(pipe, field)
    if isinstance(pipe, TwinPipeline) and pipe.layout in ("foa", "binaural"):
        return lambda field, ears: _through_latents(pipe, field, ears)
    return None


@torch.inference_mode()
def _through_tokens(pipe: Pipeline, field: SpatialAudio) -> SpatialAudio:
    codec = pipe.codec
    samples = resample(field.samples, field.rate_hz, codec.rate_hz)
    codes = codec.encode(torch.from_numpy(samples)[None].to(pipe.device))
    decoded = codec.decode(codes)[0].float().cpu().numpy()
    return SpatialAudio(fit_length(decoded, samples.shape[1]), codec.rate_hz, "foa")


def _through_latents(pipe: TwinPipeline, field: SpatialAudio, ears: SpatialAudio) -> SpatialAudio:
    """Every channel through latents; of the parametric form W alone, with its true ratios or ear parameters."""
    rate_hz, layout = pipe.rate_hz, pipe.layout
    wanted = field if layout == "foa" else ears
    samples = resample(wanted.samples, wanted.rate_hz, rate_hz)
    if pipe.steps.head is None:
        return SpatialAudio(_coded(pipe, samples), rate_hz, layout)
    mono = resample(field.samples, field.rate_hz, rate_hz)[W]
    coded = _coded(pipe, mono[None])[0]
    if layout == "foa":
        placed = apply_field_ratios(coded, field_ratios(samples, rate_hz), rate_hz)
    else:
        placed = apply_ear_parameters(coded, *ear_parameters(samples, mono, rate_hz), rate_hz)
    return SpatialAudio(placed.astype(np.float32), rate_hz, layout)


@torch.inference_mode()
def _coded(pipe: TwinPipeline, samples: np.ndarray) -> np.ndarray:
    """Channels (C, N) through the codec's latents and back."""
    codec = pipe.steps.codec
    latents, gains = codec.channel_latents(torch.from_numpy(samples.astype(np.float32)))
    return fit_length(codec.channel_sound(latents, gains, pipe.steps.evenness).numpy(), samples.shape[1])
