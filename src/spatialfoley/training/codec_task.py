"""Task `tiny_codec`: a codec of our own learns to give back the sounds of the world, channel by channel.

All crops are brought to one loudness, as general codecs are trained. For the tiny codec, which has its gain apart,
that changes nothing; a plain codec hardly meets a quiet channel so, and learns them in the task `codec_tuning`.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spatialfoley.codecs.plain import PlainCodec, PlainCodecConfig
from spatialfoley.codecs.stored import StoredCodec, codec_class
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.conventions import W
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings, render_world_cache
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.training.sound_distance import spectral_share, waveform_share

STFT_SIZES = (128, 256, 512, 1024, 2048)
_FLOOR_DB = -60.0
"""40 dB below the loudness of all crops."""


@dataclasses.dataclass(frozen=True)
class CodecObjective:
    """Weights of the losses and the length of a training crop."""

    crop_s: float = 0.96
    waveform_weight: float = 1.0
    commitment_weight: float = 0.25
    resolutions_per_step: int = 3


class CodecTask:
    """Crops of W from rendered clips; waveform and multi-resolution spectral losses."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.cache: WorldCache = render_world_cache(from_mapping(WorldCacheSettings, settings.data, "data"))
        self.objective = from_mapping(CodecObjective, settings.objective, "objective")
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.codec = _new_codec(settings.model)
        self.model: nn.Module = _Reconstruction(self.codec)

    def batch(self, generator: torch.Generator) -> Tensor:
        """Crops [B, N] of equal loudness; crops of near silence are drawn again."""
        length = round(self.objective.crop_s * self.codec.rate_hz)
        crops: list[np.ndarray] = []
        while len(crops) < self.batch_size:
            clip = int(torch.randint(len(self.cache), (), generator=generator))
            sound = self.cache.take("foa", clip)[W]
            start = int(torch.randint(len(sound) - length, (), generator=generator))
            crop = sound[start : start + length].astype(np.float32) / 32768
            loudness = float(np.sqrt(np.mean(crop**2)))
            if loudness > 1e-3:
                crops.append(crop * (0.1 / loudness))
        return torch.from_numpy(np.stack(crops))

    def loss(
        self, model: nn.Module, batch: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Spectral distance at some resolutions, plus waveform distance and commitment."""
        estimate, commitment = model(batch)
        estimate = estimate[:, : batch.shape[1]]
        # The first and last frame of a crop lack a neighbour to overlap with.
        hop = self.codec.hop_samples
        reference, estimate = batch[:, hop:-hop], estimate[:, hop:-hop]
        order = random.Random(int(torch.randint(2**31, (), generator=generator)))
        sizes = order.sample(STFT_SIZES, self.objective.resolutions_per_step)
        o = self.objective
        if isinstance(self.codec, PlainCodec):
            # A squared error makes quiet what cannot be told, here by 9 dB, and without a token for gain nothing
            # brings it back. Shares of the energy of both are least at equal levels.
            waveform = waveform_share(reference, estimate, _FLOOR_DB)
            distances = [spectral_share(reference, estimate, size, _FLOOR_DB) for size in sizes]
        else:
            waveform = (estimate - reference).square().mean() / 0.01
            distances = [spectral_distance(reference, estimate, size) for size in sizes]
        spectral = torch.stack(distances).mean()
        total = spectral + o.waveform_weight * waveform + o.commitment_weight * commitment
        figures = {"spectral": spectral.item(), "waveform": waveform.item(), "commitment": commitment.item()}
        return total, figures

    def export(self, folder: Path) -> None:
        """Write codec.json and codec.safetensors (float16)."""
        settings = dataclasses.asdict(self.codec.config)
        export_weights(self.codec, folder / "codec.safetensors", settings, folder / "codec.json")


def _new_codec(model: Mapping[str, Any]) -> StoredCodec:
    """The codec that the section `model` of a recipe describes, untrained."""
    try:
        if codec_class(model.get("kind"), "the recipe's model") is PlainCodec:
            return PlainCodec(from_mapping(PlainCodecConfig, model, "model"))
        return TinyCodec(from_mapping(TinyCodecConfig, model, "model"))
    except ValueError as error:
        raise RecipeError(str(error)) from None


class _Reconstruction(nn.Module):
    """The codec's training pass as a module's forward, which distributed wrappers need."""

    def __init__(self, codec: StoredCodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        return self.codec.reconstruct(samples)


def spectral_distance(reference: Tensor, estimate: Tensor, size: int) -> Tensor:
    """Spectral convergence plus log-magnitude distance of two sounds [B, N] at one STFT size.

    Source: Yamamoto et al., Parallel WaveGAN (ICASSP 2020), eqs. 4 and 5.
    """
    window = torch.hann_window(size, device=reference.device)
    magnitudes = [
        torch.stft(sound, size, size // 4, window=window, return_complex=True).abs()
        for sound in (reference, estimate)
    ]
    difference = magnitudes[0] - magnitudes[1]
    convergence = difference.norm() / magnitudes[0].norm().clamp_min(1e-6)
    floor = 1e-3 * size**0.5
    logarithmic = ((magnitudes[0] + floor).log() - (magnitudes[1] + floor).log()).abs().mean()
    return convergence + logarithmic
