"""Task `spatial_head`: where a sound is, learned beside a published MMAudio network that is left as it is.

The sound is the true one, as the latents that the network is to make; at use they are its own. Of the network only
mean and spread of its latents are read here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from spatialfoley.dataset.visaudio_features import FlowBatch, FlowClipMix, FlowClips, FlowItem
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.head_folder import (
    HEAD_FILE,
    HEAD_SETTINGS_FILE,
    HeadFolder,
    write_head_folder,
)
from spatialfoley.generators.visaudio.objective import sample_posterior
from spatialfoley.generators.visaudio.spatial_head import (
    FieldNumbers,
    HeadLayout,
    SpatialHead,
    SpatialHeadConfig,
    head_loss,
    numbers_of,
)
from spatialfoley.spatial.parametric import BANDS
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.training.visaudio_task import FlowData, located, refuse_other_preparation
from spatialfoley.weights import load_state_dict

_DELAY_BANDS = 2
"""The delay is heard in the lower bands."""


@dataclasses.dataclass(frozen=True)
class HeadSizes:
    """What a recipe may choose; the rest follows from the clips and from the frozen network."""

    layout: HeadLayout
    hidden_dim: int = 256
    depth: int = 3
    kernel: int = 5
    patch_dim: int = 16


@dataclasses.dataclass(frozen=True)
class HeadObjective:
    """How the true sound is disturbed, and what counts as heard."""

    sound_noise: float = 0.3
    """Spread of the noise on normalised latents, since at use they come from a network."""
    drop_sound: float = 0.1
    """Chance of a clip without its sound."""
    quiet_db: float = -65.0
    """Level of a band at which its numbers begin to count; clips have a peak of 0.95."""
    loud_db: float = -35.0
    """Level from which on they count in full."""

    def __post_init__(self) -> None:
        if self.sound_noise < 0 or not 0 <= self.drop_sound < 1:
            raise RecipeError(
                f"objective has sound_noise {self.sound_noise:g} and drop_sound {self.drop_sound:g}; the first "
                "must be from 0 on, the second from 0 to below 1"
            )
        if self.quiet_db >= self.loud_db:
            raise RecipeError(
                f"objective.quiet_db is {self.quiet_db:g} and loud_db {self.loud_db:g}; quiet_db must be below"
            )


HeadBatch = tuple[Tensor, ClipFeatures, Tensor, Tensor]


class SpatialHeadTask:
    """True sound, pictures and where the sound is in, error of the numbers out."""

    def __init__(self, settings: TrainingSettings) -> None:
        """Open the clips, read the spread of the frozen network's latents, and make the head.

        Raises:
            RecipeError: A setting is impossible, or the clips were made for something else or in another way.
            ValueError: The clips or the frozen network cannot be read.
        """
        sizes = from_mapping(HeadSizes, settings.model, "model")
        if sizes.layout not in get_args(HeadLayout):
            raise RecipeError(f"model.layout is {sizes.layout!r}; it must be 'foa' or 'binaural'")
        self.objective = from_mapping(HeadObjective, settings.objective, "objective")
        data = from_mapping(FlowData, settings.data, "data")
        self.clips = FlowClipMix([(FlowClips(Path(source.folder)), source.repeat) for source in data.sources])
        refuse_other_preparation(self.clips.first, data.preparation)
        found = self.clips.first.settings.get("place")
        if found != sizes.layout:
            raise RecipeError(
                f"the clips in {self.clips.first.folder} are prepared with --place {found or 'left out'}, but "
                f"model.layout is {sizes.layout!r}; prepare them with --place {sizes.layout}"
            )
        if settings.initialize_from is None:
            raise RecipeError(
                "initialize_from is missing; name the MMAudio network that is to make the sound, such as "
                "mmaudio_large_44k_v2"
            )
        path = located(settings.initialize_from)
        self.generator = (
            str(path.resolve())
            if Path(settings.initialize_from).expanduser().exists()
            else (settings.initialize_from)
        )
        self.latent_mean, self.latent_std = _latent_spread(path)
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.head = SpatialHead(self._config(sizes, self.clips.item(0)))
        self.model: nn.Module = self.head

    def batch(self, generator: torch.Generator) -> HeadBatch:
        """Disturbed latents, features, true numbers and their weights, of clips drawn with replacement."""
        chosen = torch.randint(len(self.clips), (self.batch_size,), generator=generator).tolist()
        taken = self.clips.batch(chosen)
        latents = sample_posterior(taken.mean[:, 0], taken.std[:, 0], generator)
        latents = (latents - self.latent_mean) / self.latent_std
        noise = torch.randn(latents.shape, generator=generator) * self.objective.sound_noise
        kept = torch.rand(len(latents), generator=generator) >= self.objective.drop_sound
        return (latents + noise) * kept[:, None, None], taken.features, *self._truth(taken)

    def loss(
        self, model: nn.Module, batch: HeadBatch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error of the numbers."""
        device = next(model.parameters()).device
        sound, features, truth, heard = batch
        numbers = model(sound.to(device), features.to(device))
        total = head_loss(numbers.float(), truth.to(device), heard.to(device))
        return total, {"rms": total.item() ** 0.5}

    def export(self, folder: Path) -> None:
        """Write what `--model` takes: config.json, head.json and head.safetensors (float16)."""
        settings = dataclasses.asdict(self.head.config)
        export_weights(self.head, folder / HEAD_FILE, settings, folder / HEAD_SETTINGS_FILE)
        write_head_folder(folder, HeadFolder(self.head.config.layout, self.generator))

    def _config(self, sizes: HeadSizes, item: FlowItem) -> SpatialHeadConfig:
        latent_dim, folder = len(self.latent_mean), self.clips.first.folder
        if item.patches is None:
            raise RecipeError(
                f"the clips in {folder} have no patches; prepare them again with --place {sizes.layout}"
            )
        if item.mean.shape[-1] != latent_dim:
            raise RecipeError(
                f"the clips in {folder} have latents of {item.mean.shape[-1]} channels, but {self.generator} makes "
                f"{latent_dim}; prepare them with --model of that network"
            )
        return SpatialHeadConfig(
            bands=BANDS,
            latent_dim=latent_dim,
            frames_per_token=1,
            sync_dim=item.sync.shape[-1],
            pe_dim=item.patches.shape[-1],
            pe_grid=item.patches.shape[-2],
            **dataclasses.asdict(sizes),
        )

    def _truth(self, taken: FlowBatch) -> tuple[Tensor, Tensor]:
        """Numbers [B, L, numbers] and how well each is heard."""
        quiet, loud = self.objective.quiet_db, self.objective.loud_db
        places = {name: value.float() for name, value in taken.places.items()}
        heard = ((places["levels_db"] - quiet) / (loud - quiet)).clamp(0, 1)  # [B, bands, L]
        none = torch.zeros(0)
        if self.head.config.layout == "foa":
            truth = FieldNumbers(places["ratios"], none, none)
            return numbers_of(truth), heard.repeat(1, 3, 1).transpose(1, 2)
        truth = FieldNumbers(none, places["gains_db"], places["delay_s"])
        low = heard[:, :_DELAY_BANDS].amax(dim=1, keepdim=True)
        return numbers_of(truth), torch.cat([heard, heard, low], dim=1).transpose(1, 2)


def _latent_spread(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and spread (latent_dim,) of the latents of an MMAudio network.

    Raises:
        RecipeError: If its weights do not say.
    """
    state = load_state_dict(path)
    names = ("latent_mean", "latent_std")
    missing = [name for name in names if name not in state]
    if missing:
        raise RecipeError(f"{path} has no {' and '.join(missing)}; give the weights of an MMAudio network")
    mean, std = (state[name].float().flatten() for name in names)
    return mean, std
