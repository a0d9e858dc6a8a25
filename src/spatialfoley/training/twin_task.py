"""Task `twin`: the flow of a tiny twin, in any of the three forms, on the world."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spatialfoley import world
from spatialfoley.dataset.world_latents import WorldLatents, WorldLatentsSettings, world_latents
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.forms import ChannelSound, FormSettings, pack, share_shape_noise
from spatialfoley.generators.visaudio.objective import (
    ObjectiveSettings,
    PathPoint,
    draw_times,
    drop_conditions,
    interpolate,
    target_velocity,
)
from spatialfoley.generators.visaudio.spectral_prior import SpectralPrior, SpectralPriorConfig, whiten
from spatialfoley.generators.visaudio.twin import TwinConfig, TwinNetwork, twin_features
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping

_SPREAD_CLIPS = 256
"""Clips by which the spread of the codec's latents is measured."""


@dataclasses.dataclass(frozen=True)
class TwinData:
    """Where the latents lie; they are made from the synthetic world when missing."""

    folder: str
    latents: WorldLatentsSettings
    prior: str | None = None
    """Folder of the finished run of the task `twin_prior`; needed by the flow only."""
    mirror_probability: float = 0.5
    """Chance of the mirror image, exact in the picture and in the sound."""


@dataclasses.dataclass(frozen=True)
class TwinObjective:
    """What is drawn and how errors count."""

    time_rule: str = "logit_normal"
    drop_video: float = 0.1
    drop_text: float = 0.5
    """Half of the clips without words, so that the picture alone is enough."""
    relation_weight: float = 8.0
    """How much more than a number of the shape a level, ratio, difference or delay counts: there are 24 of the
    first for one of the others, which decide when and where."""


class TwinTask:
    """Latents of world clips in, error of the velocity out."""

    def __init__(self, settings: TrainingSettings) -> None:
        data = from_mapping(TwinData, settings.data, "data")
        self.objective = from_mapping(TwinObjective, settings.objective, "objective")
        try:
            self.twin = TwinConfig.from_dict(settings.model)
            # Words are dropped where the prior reads them too.
            self.draws = ObjectiveSettings(
                self.objective.time_rule,  # type: ignore[arg-type]
                self.objective.drop_video,
                0.0,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(f"model: {error}") from None
        if self.twin.words != world.CLASSES:
            raise RecipeError(
                f"words are {list(self.twin.words)}, but the world's classes are {', '.join(world.CLASSES)}; "
                "name them in this order"
            )
        self.clips = world_latents(data.latents, Path(data.folder))
        self.mirror_probability = data.mirror_probability
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        if data.prior is None:
            raise RecipeError(
                "data.prior is missing; give the folder of a finished run of the task twin_prior"
            )
        self.prior = load_prior(Path(data.prior))
        self.network = TwinNetwork(self.twin)
        mask = self.twin.form.relation_mask()
        weights = torch.where(mask, self.objective.relation_weight, 1.0)
        self.weights = weights / weights.mean()
        self.relations = mask
        self.model: nn.Module = TwinPass(self.network)

    def batch(self, generator: torch.Generator) -> tuple[ClipFeatures, Tensor]:
        """Features and latents [B, N, L, C] of clips drawn with replacement."""
        taken = draw_clips(self.clips, self.batch_size, self.mirror_probability, generator)
        features = seen_and_said(taken, self.objective.drop_text, generator)
        sound = channel_sound(taken, self.twin.form)
        frames, dim = sound.shape.shape[2:]
        with torch.no_grad():
            white = whiten(sound.shape, self.prior(features, frames))
        silence = torch.randn(self.batch_size, frames, dim, generator=generator)
        return features, pack(dataclasses.replace(sound, shape=white), self.twin.form, silence)

    def loss(
        self, model: nn.Module, batch: tuple[ClipFeatures, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error of the velocity, a sum over the branches (eq. 4 of ViSAudio)."""
        features, latents = batch
        point = draw_form_point(latents, self.twin.form, self.draws, generator)
        features = drop_conditions(features, self.draws, generator)
        velocity: Tensor = model(features, point.x, point.t)
        errors = (velocity - point.target).square().mean(dim=(0, 2))  # [N, C]
        total = (errors * self.weights).mean(dim=1).sum()
        parts = errors.detach()
        figures = {"shape": parts[:, ~self.relations].mean(), "relation": parts[:, self.relations].mean()}
        return total, {name: value.item() for name, value in figures.items()}

    def export(self, folder: Path) -> None:
        """Write twin.json and twin.safetensors (float16), and beside them the prior that gives them a meaning."""
        export_weights(self.network, folder / "twin.safetensors", self.twin.to_dict(), folder / "twin.json")
        known = dataclasses.asdict(self.prior.config)
        export_weights(self.prior, folder / "prior.safetensors", known, folder / "prior.json")


class TwinPass(nn.Module):
    """Features, state and time in, velocity out: one forward for a distributed wrapper."""

    def __init__(self, network: TwinNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: ClipFeatures, x: Tensor, t: Tensor) -> Tensor:
        """Velocity of the shape of x [B, N, L, C]."""
        velocity: Tensor = self.network(x, t, self.network.prepare(features, x.shape[2]))
        return velocity


def draw_clips(
    clips: WorldLatents, count: int, mirror_probability: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Arrays of clips drawn with replacement, some as their mirror image."""
    chosen = torch.randint(len(clips), (count,), generator=generator)
    mirrored = torch.rand(count, generator=generator) < mirror_probability
    return clips.taken(chosen.numpy(), mirrored.numpy())


def seen_and_said(taken: dict[str, Tensor], drop_text: float, generator: torch.Generator) -> ClipFeatures:
    """Features of clips; the words of some are left out."""
    kept = torch.rand(len(taken["classes"]), 1, generator=generator) >= drop_text
    return twin_features(taken["embedding"], taken["energy_map"], taken["classes"] * kept)


def load_prior(folder: Path) -> SpectralPrior:
    """The prior of a finished run."""
    path = folder / "prior.json"
    if not path.is_file():
        raise RecipeError(
            f"{folder} has no prior.json; give the folder of a finished run of the task twin_prior"
        )
    prior = SpectralPrior(SpectralPriorConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    stored = load_file(folder / "prior.safetensors")
    prior.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    return prior.eval()


def channel_sound(taken: dict[str, Tensor], form: FormSettings) -> ChannelSound:
    """The channels that a form wants of the arrays of clips."""
    if form.layout == "foa" or form.form == "parametric" or form.layout == "mono":
        count = 4 if len(form.branches) == 4 else 1
        delay = torch.zeros_like(taken["delay_s"])
        return ChannelSound(
            taken["field_shape"][:, :count],
            taken["field_level_db"][:, :count],
            taken["field_sign"][:, :count],
            delay,
        )
    shape = taken["own_ear_shape" if form.form == "published" else "ear_shape"]
    level = taken["ear_level_db"]
    return ChannelSound(shape, level, torch.ones_like(level), taken["delay_s"])


def draw_form_point(
    x1: Tensor, form: FormSettings, draws: ObjectiveSettings, generator: torch.Generator
) -> PathPoint:
    """Noise as the form wants it, a time, and the point of the path between noise and latents [B, N, L, C]."""
    t = draw_times(len(x1), draws.time_rule, generator)
    x0 = share_shape_noise(torch.randn(x1.shape, generator=generator), form)
    return PathPoint(interpolate(x0, x1, t), t, target_velocity(x0, x1))


def shape_spread(clips: WorldLatents, form: FormSettings) -> Tensor:
    """Spread (shape_dim,) of the shapes of sounding frames, for a network that hears them as they are."""
    chosen = np.linspace(0, len(clips) - 1, min(_SPREAD_CLIPS, len(clips))).astype(int)
    sound = channel_sound(clips.taken(chosen, np.zeros(len(chosen), bool)), form)
    heard = sound.level_db > -60.0
    return sound.shape[heard].square().mean(dim=0).sqrt()
