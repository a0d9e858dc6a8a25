"""Task `visaudio`: ViSAudio from MMAudio's weights on prepared clips; with one channel, MMAudio itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spatialfoley import weights
from spatialfoley.dataset.visaudio_features import FlowBatch, FlowClipMix, FlowClips, Preparation
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.checkpoint import (
    load_visaudio,
    save_visaudio,
    start_from_mmaudio,
    without_derived,
)
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.inference import InferenceSettings, save_inference
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.objective import ObjectiveSettings, sample_posterior, training_loss
from spatialfoley.media.atomic import atomic_path
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.weights import compare_keys, load_state_dict

MMAUDIO_FILE = "mmaudio_tuned.safetensors"
_STATISTICS_CLIPS = 512


@dataclasses.dataclass(frozen=True)
class FlowSource:
    """A part of a data set."""

    folder: str
    """Of a split, as `dataset prepare` leaves it."""
    repeat: int = 1
    """Times that each of its clips stands in an epoch."""


@dataclasses.dataclass(frozen=True)
class FlowData:
    """What is trained on."""

    sources: tuple[FlowSource, ...]
    preparation: Preparation
    """How the clips must have been made (A17, A19, A21 and the filter); clips made otherwise are refused."""


class VisaudioTask:
    """Posteriors of two ears and features of picture and text in, error of both velocities out (eq. 4)."""

    def __init__(self, settings: TrainingSettings) -> None:
        """Open the clips and make the network, from published weights where the recipe says so.

        Raises:
            RecipeError: A setting is impossible, or the clips were made for another network or in another way.
            ValueError: The clips or the weights to start from cannot be read or do not fit.
        """
        self.objective = from_mapping(ObjectiveSettings, settings.objective, "objective")
        self.config, self.inference = _model_of(settings.model)
        data = from_mapping(FlowData, settings.data, "data")
        self.clips = FlowClipMix([(FlowClips(Path(source.folder)), source.repeat) for source in data.sources])
        refuse_other_preparation(self.clips.first, data.preparation)
        self._check_shapes(data.preparation)
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.network: MMAudioNetwork | VisaudioNetwork
        if isinstance(self.config, VisaudioConfig):
            self.network = VisaudioNetwork(self.config)
        else:
            self.network = MMAudioNetwork(self.config)
        self.started_anew: tuple[str, ...] = tuple(self.network.state_dict())
        """Keys that did not come from the weights that the recipe starts from."""
        if settings.initialize_from is None:
            self._measure_latents()
        else:
            self.started_anew = _initialize(self.network, settings.initialize_from)
        self.model: nn.Module = FlowPass(self.network)

    @property
    def sizes(self) -> MMAudioConfig:
        """Rates and sizes of the network."""
        return self.config.backbone if isinstance(self.config, VisaudioConfig) else self.config

    @property
    def entries(self) -> int:
        """Clips of an epoch, repeated ones as often as they are."""
        return len(self.clips)

    def batch(self, generator: torch.Generator) -> FlowBatch:
        """Clips drawn with replacement, a repeated source as much oftener."""
        return self.clips.batch(torch.randint(self.entries, (self.batch_size,), generator=generator).tolist())

    def loss(
        self, model: nn.Module, batch: FlowBatch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Sum over the ears of the squared error of the velocity, conditions dropped for guidance."""
        device = next(model.parameters()).device
        latents = sample_posterior(batch.mean.to(device), batch.std.to(device), generator)
        latents = self.network.normalise(latents)
        noise_rule = self.config.branch_noise if isinstance(self.config, VisaudioConfig) else "independent"
        if isinstance(self.config, MMAudioConfig):
            latents = latents[:, 0]
        loss = training_loss(model, batch.features.to(device), latents, self.objective, noise_rule, generator)
        names = self.config.branches if isinstance(self.config, VisaudioConfig) else ("mono",)
        return loss.total, dict(zip(names, loss.per_branch.tolist(), strict=True))

    def export(self, folder: Path) -> None:
        """Write what `--model` takes: a ViSAudio folder, or a file in MMAudio's published layout (float32)."""
        save_inference(self.inference, folder)
        if isinstance(self.network, VisaudioNetwork):
            save_visaudio(self.network, folder)
            return
        state = {key: value.cpu().contiguous() for key, value in self.network.state_dict().items()}
        with atomic_path(folder / MMAUDIO_FILE) as path:
            save_file(state, path)

    def _check_shapes(self, preparation: Preparation) -> None:
        """Compare the first clip with what the network wants, before the first step."""
        sizes, item = self.sizes, self.clips.item(0)
        lengths = sizes.lengths(preparation.clip_s)
        channels = len(self.config.branches) if isinstance(self.config, VisaudioConfig) else 1
        wanted: dict[str, tuple[int, ...]] = {
            "mean": (channels, lengths.latent, sizes.latent_dim),
            "clip": (lengths.clip, sizes.clip_dim),
            "sync": (lengths.sync, sizes.sync_dim),
        }
        found = {name: tuple(getattr(item, name).shape) for name in wanted}
        wanted["text"] = (sizes.text_tokens, sizes.text_dim)
        found["text"] = tuple(self.clips.first.empty_text().shape)
        if isinstance(self.config, VisaudioConfig) and self.config.spacetime:
            grid = self.config.pe_input_grid
            wanted["patches"] = (lengths.clip, grid, grid, self.config.pe_dim)
            found["patches"] = () if item.patches is None else tuple(item.patches.shape)
        for name, shape in wanted.items():
            if found[name] != shape:
                raise RecipeError(
                    f"the clips in {self.clips.first.folder} have {name} of shape {found[name]}, but the model of "
                    f"the recipe wants {shape}; prepare them for this model, or change the section model"
                )

    @torch.no_grad()
    def _measure_latents(self) -> None:
        """Without weights to start from: mean and spread of the latents, and the empty text, from the data."""
        step = max(1, self.entries // _STATISTICS_CLIPS)
        items = [self.clips.item(entry) for entry in range(0, self.entries, step)]
        means = torch.cat([item.mean.flatten(0, 1) for item in items])
        variance = torch.cat([item.std.flatten(0, 1).square() for item in items]).mean(dim=0)
        self.network.latent_mean.copy_(means.mean(dim=0))
        self.network.latent_std.copy_((means.var(dim=0, correction=0) + variance).sqrt())
        self.network.empty_string_feat.copy_(self.clips.first.empty_text())


def refuse_other_preparation(clips: FlowClips, wanted: Preparation) -> None:
    """Compare how clips were made with what a recipe states.

    Raises:
        RecipeError: A setting differs.
    """
    found = clips.preparation
    differing = [
        f"{field.name} {getattr(found, field.name)!r} (the recipe says {getattr(wanted, field.name)!r})"
        for field in dataclasses.fields(Preparation)
        if getattr(found, field.name) != getattr(wanted, field.name)
    ]
    if differing:
        raise RecipeError(
            f"the clips in {clips.folder} were prepared with {', '.join(differing)}; prepare them again, or change "
            "data.preparation"
        )


class FlowPass(nn.Module):
    """Features, state and time in, velocity out: what a distributed wrapper has to see as one forward."""

    def __init__(self, network: MMAudioNetwork | VisaudioNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: ClipFeatures, x: Tensor, t: Tensor) -> Tensor:
        """Velocity of the shape of x, (B, N, L, C) or (B, L, C)."""
        velocity: Tensor = self.network(x, t, self.network.prepare(features, x.shape[-2]))
        return velocity


def _model_of(model: Mapping[str, Any]) -> tuple[MMAudioConfig | VisaudioConfig, InferenceSettings]:
    """The section `model`: `family` visaudio (the default) or mmaudio, `inference`, and the network's settings."""
    chosen = dict(model)
    family = chosen.pop("family", "visaudio")
    try:
        inference = InferenceSettings.from_dict(chosen.pop("inference", {}))
        if family == "visaudio":
            return VisaudioConfig.from_dict(chosen), inference
        if family == "mmaudio":
            backbone = chosen.pop("backbone", {})
            if chosen:
                raise ValueError(f"{', '.join(chosen)} is of ViSAudio; mmaudio has only backbone")
            return VisaudioConfig.from_dict({"backbone": backbone}).backbone, inference
    except (ValueError, TypeError) as error:
        raise RecipeError(f"model: {error}") from None
    raise RecipeError(f"model: family is {family!r}; it must be 'visaudio' or 'mmaudio'")


def _initialize(network: MMAudioNetwork | VisaudioNetwork, source: str) -> tuple[str, ...]:
    """Start from weights; returns the keys that they do not have.

    Args:
        network: Changed in place.
        source: A file or folder, or the name of a model on this machine: an MMAudio network for either family, or
            the folder of a ViSAudio run to go on from.

    Raises:
        RecipeError: Nothing is there, or it is ViSAudio of other settings.
        ValueError: The weights do not fit; the keys are listed.
    """
    path = located(source)
    if isinstance(network, VisaudioNetwork):
        if not (path / "config.json").is_file():
            return start_from_mmaudio(network, load_state_dict(path))
        started = load_visaudio(path)
        if started.config != network.config:
            raise RecipeError(
                f"initialize_from is {source}, a ViSAudio network of other settings; copy those of its config.json "
                "into the section model"
            )
        network.load_state_dict(started.state_dict())
        return ()
    state = without_derived(load_state_dict(path))
    compare_keys({key: tuple(value.shape) for key, value in network.state_dict().items()}, state, str(path))
    network.load_state_dict(state)
    return ()


def located(source: str) -> Path:
    """A file or folder of weights by its path, or by the name of a model on this machine.

    Raises:
        RecipeError: Nothing is there.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    if source in {model.name for model in weights.list_models()}:
        found = weights.locate(source)
        if found is not None:
            return found
        raise RecipeError(
            f"initialize_from is {source}, which is not on this machine; 'spatialfoley models fetch {source}' "
            "gets it"
        )
    raise RecipeError(
        f"initialize_from is {source!r}, which is no file, folder or known model; give one, or null to start anew"
    )
