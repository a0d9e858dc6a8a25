"""Task `twin_head`: where the sound is, learned beside a finished flow of the parametric form, left as it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from spatialfoley.dataset.world_latents import world_latents
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.forms import FormSettings, pack
from spatialfoley.generators.visaudio.spatial_head import (
    FieldNumbers,
    SpatialHead,
    SpatialHeadConfig,
    head_loss,
    numbers_of,
)
from spatialfoley.generators.visaudio.twin import PATCH_GRID, TwinConfig, twin_features
from spatialfoley.spatial.parametric import BANDS
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.training.twin_task import TwinData, channel_sound, draw_clips, shape_spread

_QUIET_DB, _LOUD_DB = -65.0, -35.0


@dataclasses.dataclass(frozen=True)
class HeadSizes:
    """What a recipe may choose; the rest follows from the sound and the visual encoder."""

    layout: str
    hidden_dim: int = 160
    depth: int = 3
    kernel: int = 5
    patch_dim: int = 8


@dataclasses.dataclass(frozen=True)
class HeadObjective:
    """How the true sound is disturbed, since at use it comes from a network."""

    sound_noise: float = 0.3
    drop_sound: float = 0.1


class TwinHeadTask:
    """True sound, pictures and where the sound is in, error of the numbers out."""

    def __init__(self, settings: TrainingSettings) -> None:
        data = from_mapping(TwinData, settings.data, "data")
        sizes = from_mapping(HeadSizes, settings.model, "model")
        self.objective = from_mapping(HeadObjective, settings.objective, "objective")
        if settings.initialize_from is None:
            raise RecipeError("initialize_from is missing; give the folder of the sound's finished run")
        described = Path(settings.initialize_from) / "twin.json"
        self.twin = TwinConfig.from_dict(json.loads(described.read_text(encoding="utf-8")))
        self.form = FormSettings(
            "parametric", "mono", self.twin.form.shape_dim, self.twin.form.frames_per_token
        )
        self.clips = world_latents(data.latents, Path(data.folder))
        self.mirror_probability = data.mirror_probability
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.head = SpatialHead(
            SpatialHeadConfig(
                layout=sizes.layout,  # type: ignore[arg-type]
                bands=BANDS,
                latent_dim=self.form.latent_dim,
                frames_per_token=self.form.frames_per_token,
                sync_dim=self.twin.network.backbone.sync_dim,
                pe_dim=1,
                pe_grid=PATCH_GRID,
                hidden_dim=sizes.hidden_dim,
                depth=sizes.depth,
                kernel=sizes.kernel,
                patch_dim=sizes.patch_dim,
            )
        )
        spread = shape_spread(self.clips, self.form)
        frame = torch.cat([spread, spread.new_ones(self.form.relations)])
        self.head.sound_std.copy_(frame.repeat(self.form.frames_per_token))
        self.model: nn.Module = self.head

    def batch(self, generator: torch.Generator) -> tuple[Tensor, ClipFeatures, Tensor, Tensor]:
        """Disturbed latents, features, true numbers and their weights, of clips drawn with replacement."""
        taken = draw_clips(self.clips, self.batch_size, self.mirror_probability, generator)
        latents = pack(channel_sound(taken, self.form), self.form)[:, 0]
        noise = (
            torch.randn(latents.shape, generator=generator) * self.objective.sound_noise * self.head.sound_std
        )
        kept = torch.rand(len(latents), generator=generator) >= self.objective.drop_sound
        sound = (latents + noise) * kept[:, None, None]
        features = twin_features(taken["embedding"], taken["energy_map"], taken["classes"])
        truth, loudness = self._truth(taken)
        return sound, features, truth, loudness

    def loss(
        self, model: nn.Module, batch: tuple[Tensor, ClipFeatures, Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error of the numbers."""
        sound, features, truth, loudness = batch
        numbers = model(sound, features)[:, : truth.shape[1]]
        total = head_loss(numbers, truth, loudness)
        return total, {"rms": total.item() ** 0.5}

    def export(self, folder: Path) -> None:
        """Write head.json and head.safetensors (float16)."""
        settings = dataclasses.asdict(self.head.config)
        export_weights(self.head, folder / "head.safetensors", settings, folder / "head.json")

    def _truth(self, taken: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Numbers [B, S, numbers] and how well each is heard."""
        loud = ((taken["band_level_db"] - _QUIET_DB) / (_LOUD_DB - _QUIET_DB)).clamp(0, 1)  # [B, bands, S]
        none = torch.zeros(0)
        if self.head.config.layout == "foa":
            truth = FieldNumbers(taken["ratios"], none, none)
            return numbers_of(truth), loud.repeat(1, 3, 1).transpose(1, 2)
        truth = FieldNumbers(none, taken["gains_db"], taken["delay_s"])
        # The delay is heard in the lower bands.
        weights = torch.cat([loud, loud, loud[:, :2].amax(dim=1, keepdim=True)], dim=1)
        return numbers_of(truth), weights.transpose(1, 2)
