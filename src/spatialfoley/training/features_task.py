"""Task `tiny_features`: the visual encoder learns from the world's truth what sounds, when and where."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.dataset.world_cache import (
    LEVELS_PER_FRAME,
    WorldCache,
    WorldCacheSettings,
    render_world_cache,
)
from spatialfoley.features.tiny import PATCHES_PER_SIDE, TinyEncoder, TinyFeaturesConfig
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import TrainingSettings, from_mapping

FOV_DEG = 90.0
PATCH_BLUR = 0.8
"""Width of the truth's blob on the patch map, in patches."""


@dataclasses.dataclass(frozen=True)
class FeaturesObjective:
    """Weights of the losses and the length of a training crop in frames."""

    crop_frames: int = 32
    level_weight: float = 4.0
    visible_weight: float = 1.0
    direction_weight: float = 4.0
    patch_weight: float = 0.25


class FeaturesTask:
    """Crops of rendered clips, mirrored at random; the heads are thrown away after training."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.cache: WorldCache = render_world_cache(from_mapping(WorldCacheSettings, settings.data, "data"))
        self.objective = from_mapping(FeaturesObjective, settings.objective, "objective")
        self.batch_size = settings.batch_size
        torch.manual_seed(settings.seed)
        self.encoder = TinyEncoder(from_mapping(TinyFeaturesConfig, settings.model, "model"))
        classes = self.cache.take("in_view", 0).shape[0]
        self.model: nn.Module = TruthHeads(self.encoder, classes)

    def batch(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Frames and truth of `batch_size` crops, half of them mirrored left to right."""
        rows = []
        for _ in range(self.batch_size):
            clip = int(torch.randint(len(self.cache), (), generator=generator))
            total = self.cache.take("frames", clip).shape[0]
            first = int(torch.randint(total - self.objective.crop_frames + 1, (), generator=generator))
            mirrored = bool(torch.rand((), generator=generator) < 0.5)
            rows.append(self._crop(clip, first, mirrored))
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def _crop(self, clip: int, first: int, mirrored: bool) -> dict[str, np.ndarray]:
        last = first + self.objective.crop_frames
        frames = self.cache.take("frames", clip)[first:last]
        vectors = self.cache.take("vectors", clip)[:, first:last].astype(np.float32)
        if mirrored:
            frames, vectors = frames[:, :, ::-1], vectors * np.array([1, -1, 1], np.float32)
        fine = slice(first * LEVELS_PER_FRAME, last * LEVELS_PER_FRAME)
        return {
            "frames": np.ascontiguousarray(frames),
            "vectors": vectors,
            "level": self.cache.take("level", clip)[:, fine].astype(np.float32),
            "in_view": self.cache.take("in_view", clip)[:, first:last].astype(np.float32),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Visible class, sound level of what is visible, its direction, and the patch map of what sounds."""
        del generator
        found = model(batch["frames"])
        in_view = batch["in_view"]  # [B, C, T]
        level = batch["level"].unflatten(2, (-1, LEVELS_PER_FRAME)) * in_view[..., None]
        visible = functional.binary_cross_entropy_with_logits(found["visible"], in_view)
        level_loss = (found["level"] - level).square().mean() * len(in_view[0])
        cosine = functional.cosine_similarity(found["vectors"], batch["vectors"], dim=-1)
        direction = ((1 - cosine) * in_view).sum() / in_view.sum().clamp_min(1)
        loudness = level.amax(-1)
        patches = patch_truth(batch["vectors"], loudness)  # [B, T, 49]
        sounding = patches.sum(-1).clamp(max=1)
        patch = -(patches * found["patches"].log_softmax(-1)).sum() / sounding.sum().clamp_min(1)
        o = self.objective
        total = (
            o.visible_weight * visible
            + o.level_weight * level_loss
            + o.direction_weight * direction
            + o.patch_weight * patch
        )
        degrees = torch.rad2deg(torch.acos(cosine.detach().clamp(-1, 1)))[in_view > 0]
        figures = {"visible": visible.item(), "level": level_loss.item(), "patch": patch.item()}
        figures["median_direction_error_deg"] = degrees.median().item() if len(degrees) else 0.0
        return total, figures

    def export(self, folder: Path) -> None:
        """Write features.json and features.safetensors (float16)."""
        settings = dataclasses.asdict(self.encoder.config)
        export_weights(self.encoder, folder / "features.safetensors", settings, folder / "features.json")


class TruthHeads(nn.Module):
    """The encoder with heads that read the truth out of its embedding, one set per class."""

    def __init__(self, encoder: TinyEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classes = classes
        width = encoder.config.embedding_dim
        self.hidden = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, classes * (1 + LEVELS_PER_FRAME + 3))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """visible [B, C, T], level [B, C, T, 3], vectors [B, C, T, 3] and patches [B, T, 49] (logits)."""
        embedding, patches = self.encoder(frames)
        out = self.out(torch.relu(self.hidden(embedding))).unflatten(-1, (self.classes, -1)).transpose(1, 2)
        visible, level, vectors = out.split([1, LEVELS_PER_FRAME, 3], dim=-1)
        return {"visible": visible[..., 0], "level": level, "vectors": vectors, "patches": patches}


def patch_truth(vectors: Tensor, loudness: Tensor) -> Tensor:
    """Where in the view the sound comes from: a distribution over patches [B, T, 49], zero in silence.

    Args:
        vectors: Directions in the camera's frame [B, C, T, 3].
        loudness: Level of each visible class in [0, 1] [B, C, T]; 0 for what is not in view.
    """
    forward = vectors[..., 0].clamp_min(1e-3)
    scale = torch.tan(torch.deg2rad(torch.tensor(FOV_DEG / 2)))
    right, down = -vectors[..., 1] / forward / scale, -vectors[..., 2] / forward / scale
    centres = (torch.arange(PATCHES_PER_SIDE) + 0.5) * 2 / PATCHES_PER_SIDE - 1
    blur = PATCH_BLUR * 2 / PATCHES_PER_SIDE
    across = torch.exp(-0.5 * ((centres - right[..., None]) / blur).square())
    along = torch.exp(-0.5 * ((centres - down[..., None]) / blur).square())
    blob = (along[..., :, None] * across[..., None, :]).flatten(-2)  # rows from the top, as the picture
    blob = blob / blob.sum(-1, keepdim=True).clamp_min(1e-6) * loudness[..., None]
    total = blob.sum(1)
    return total / loudness.sum(1)[..., None].clamp_min(1e-6) * (loudness.amax(1) > 0.1)[..., None]
