"""Task `audio_spatial`: the U-Net that makes a field, or two ears, of one channel and the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spatialfoley.conventions import Y
from spatialfoley.dataset.clip_tensors import ClipTensors
from spatialfoley.dataset.world_cache import WorldCache, render_world_cache
from spatialfoley.dataset.world_tokens import WorldTokensSettings, world_clip_tensors
from spatialfoley.generators.spatializer.checkpoint import load_audio_spatializer, save_audio_spatializer
from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.objective import spectral_loss, two_channels
from spatialfoley.generators.spatializer.resnet18 import load_trunk
from spatialfoley.generators.spatializer.unet import AudioSpatializer, PictureEncoder, Seen
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import rotate_field
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import network_vector
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping

_STEEPEST_DEG = 45.0
"""How far up and down the camera of a network in world axes is turned while it learns."""


@dataclasses.dataclass(frozen=True)
class SpatializerData:
    """The rendered world, and the clip tensors whose visual features are used (made where they are missing)."""

    folder: str
    world: WorldTokensSettings
    mirror_probability: float = 0.5


@dataclasses.dataclass(frozen=True)
class SpatializerObjective:
    """How windows are chosen."""

    draws: int = 2
    """Moments of a clip that are drawn, of which the loudest is learnt."""


Batch = tuple[Tensor, Seen]


class SpatializerTask:
    """Windows of true sound and what is seen in them; the error of the spectra of all but W."""

    def __init__(self, settings: TrainingSettings) -> None:
        """Open (or make) the clips and build the network.

        `initialize_from` names the folder of an earlier run, or, for "resnet18", a file with the weights of the
        trunk in torchvision's layout.

        Raises:
            RecipeError: A setting is impossible, or the clips do not fit the network.
        """
        try:
            self.config = from_mapping(SpatializerConfig, settings.model, "model")
        except RecipeError:
            raise
        except ValueError as problem:
            raise RecipeError(f"model: {problem}") from None
        self.data = from_mapping(SpatializerData, settings.data, "data")
        self.objective = from_mapping(SpatializerObjective, settings.objective, "objective")
        cache = self.data.world.cache
        self._refuse_misfits(cache.rate_hz, cache.frame_rate_hz)
        self.frame_rate_hz = cache.frame_rate_hz
        self.cache: WorldCache = render_world_cache(cache)
        self.clips: ClipTensors | None = None
        if self.config.visual == "tiny":
            self.clips = world_clip_tensors(self.data.world, Path(self.data.folder))
            found = sum(self.clips.arrays[name].shape[-1] for name in ("embedding", "energy_map"))
            if found != self.config.feature_dim:
                raise RecipeError(
                    f"model.feature_dim is {self.config.feature_dim}, but {self.data.folder} holds {found} numbers "
                    "for each frame"
                )
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.network = AudioSpatializer(self.config)
        if settings.initialize_from is not None:
            self._initialize(Path(settings.initialize_from))
        self.model: nn.Module = self.network

    def batch(self, generator: torch.Generator) -> Batch:
        """Windows (B, 1 + targets, N) and what is seen in them, of clips drawn with replacement."""
        sounds, pictures, directions = [], [], []
        for _ in range(self.batch_size):
            sound, seen, direction = self._window(generator)
            sounds.append(sound)
            pictures.append(seen)
            directions.append(direction)
        told = torch.from_numpy(np.stack(directions)) if self.config.direction_dim else None
        return torch.from_numpy(np.stack(sounds)), Seen(torch.from_numpy(np.stack(pictures)), told)

    def loss(
        self, model: nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the spectra."""
        device = next(model.parameters()).device
        sound, seen = batch
        told = None if seen.direction is None else seen.direction.to(device)
        return spectral_loss(model, sound.to(device), Seen(seen.pictures.to(device), told), self.config)

    def export(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        save_audio_spatializer(self.network, folder)

    def _window(self, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sound, pictures or features, and the camera's direction of one window, which begins with a frame."""
        clip = int(torch.randint(len(self.cache), (), generator=generator))
        mirrored = bool(torch.rand((), generator=generator) < self.data.mirror_probability)
        foa = self.cache.take("foa", clip)
        c = self.config
        samples_per_frame = c.rate_hz // self.frame_rate_hz
        starts = (foa.shape[1] - c.window_samples) // samples_per_frame + 1
        drawn = torch.randint(starts, (self.objective.draws,), generator=generator).tolist()
        windows = [foa[:, k * samples_per_frame :][:, : c.window_samples] for k in drawn]
        levels = [float(np.square(window[0], dtype=np.float32).sum()) for window in windows]
        chosen = int(np.argmax(levels))
        field: np.ndarray = windows[chosen].astype(np.float32) / 32767
        if mirrored:
            field[Y] *= -1
        pose = self._pose(generator)
        if c.field_frame == "world":
            field = rotate_field(field, CameraPose.facing(pose).matrix())
        return self._channels(field), self._seen(clip, drawn[chosen], mirrored), network_vector(pose)

    def _pose(self, generator: torch.Generator) -> Direction:
        """Where the camera points: the front, or anywhere for a network that is told and answers in the world."""
        if self.config.field_frame == "camera":
            return Direction(0.0)
        turn, lift = torch.rand(2, generator=generator).tolist()
        return Direction(360 * turn - 180, _STEEPEST_DEG * (2 * lift - 1))

    def _channels(self, field: np.ndarray) -> np.ndarray:
        if self.config.channels == "foa":
            return field
        ears = render_binaural(SpatialAudio(field, self.config.rate_hz, "foa")).samples
        return two_channels(torch.from_numpy(ears)[None])[0].numpy()

    def _seen(self, clip: int, first: int, mirrored: bool) -> np.ndarray:
        """Features (F, feature_dim) of the window that begins with a frame, or the picture at its middle."""
        if self.clips is None:
            middle = first + round(self.config.window_s * self.frame_rate_hz / 2)
            pictures = np.array(self.cache.take("frames", clip)[middle : middle + 1])
            return np.ascontiguousarray(pictures[:, :, ::-1]) if mirrored else pictures
        frames = slice(first, first + self.config.window_frames)
        parts = [self.clips.arrays[name][clip, int(mirrored), frames] for name in ("embedding", "energy_map")]
        return np.concatenate(parts, axis=-1).astype(np.float32)

    def _refuse_misfits(self, rate_hz: int, frame_rate_hz: int) -> None:
        c = self.config
        if c.channels == "binaural" and c.field_frame == "world":
            raise RecipeError(
                "model.field_frame is 'world' with channels 'binaural', but ears are at the camera; set 'camera'"
            )
        if rate_hz != c.rate_hz or (c.visual == "tiny" and frame_rate_hz != c.frame_rate_hz):
            raise RecipeError(
                f"the clips have {rate_hz} samples and {frame_rate_hz} frames per second, but the model is set to "
                f"{c.rate_hz} and {c.frame_rate_hz}"
            )

    def _initialize(self, path: Path) -> None:
        if path.is_dir():
            self.network.load_state_dict(load_audio_spatializer(path).state_dict())
        elif isinstance(self.network.visual, PictureEncoder):
            load_trunk(self.network.visual.trunk, path)
        else:
            raise RecipeError(f"initialize_from is {path}, no folder of an earlier run")
