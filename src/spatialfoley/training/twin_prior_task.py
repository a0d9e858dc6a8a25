"""Task `twin_prior`: what picture and words say of a spectrum, which the flow of a tiny twin starts from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from spatialfoley import world
from spatialfoley.dataset.world_latents import world_latents
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.forms import FormSettings
from spatialfoley.generators.visaudio.spectral_prior import SpectralPrior, SpectralPriorConfig, prior_loss
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.training.twin_task import TwinData, channel_sound, draw_clips, seen_and_said

_HEARD_DB = -60.0


@dataclasses.dataclass(frozen=True)
class PriorObjective:
    """What is left out of the conditions."""

    drop_text: float = 0.5
    """Clips without words: there the picture tells the spectrum."""


class TwinPriorTask:
    """Latents of world clips in, their likelihood under the prior out."""

    def __init__(self, settings: TrainingSettings) -> None:
        data = from_mapping(TwinData, settings.data, "data")
        self.objective = from_mapping(PriorObjective, settings.objective, "objective")
        try:
            config = SpectralPriorConfig.from_dict(settings.model)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"model: {error}") from None
        if config.text_dim != len(world.CLASSES):
            raise RecipeError(
                f"model: text_dim is {config.text_dim}, but there are {len(world.CLASSES)} words"
            )
        self.clips = world_latents(data.latents, Path(data.folder))
        self.mirror_probability, self.batch_size = data.mirror_probability, settings.batch_size
        self.form = FormSettings("parametric", "mono", config.shape_dim)
        torch.manual_seed(settings.seed)
        self.prior = SpectralPrior(config)
        self.model: nn.Module = self.prior

    def batch(self, generator: torch.Generator) -> tuple[ClipFeatures, Tensor, Tensor]:
        """Features, shapes [B, 1, S, D] of the sound without direction, and which frames are heard [B, 1, S]."""
        taken = draw_clips(self.clips, self.batch_size, self.mirror_probability, generator)
        features = seen_and_said(taken, self.objective.drop_text, generator)
        sound = channel_sound(taken, self.form)
        return features, sound.shape, sound.level_db > _HEARD_DB

    def loss(
        self, model: nn.Module, batch: tuple[ClipFeatures, Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Negative log-likelihood per number."""
        features, shape, heard = batch
        return prior_loss(shape, model(features, shape.shape[2]), heard), {}

    def export(self, folder: Path) -> None:
        """Write prior.json and prior.safetensors (float16)."""
        settings = dataclasses.asdict(self.prior.config)
        export_weights(self.prior, folder / "prior.safetensors", settings, folder / "prior.json")
