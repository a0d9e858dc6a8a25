"""The tiny visual encoder: small pictures at 20 frames per second -> what sounds, when, and where in the view.

Stands where CLIP and the patch energy map stand in ViSAGe, with the same two outputs: an embedding per frame and
a map over 7 x 7 patches. Trained on the synthetic world by `recipes/tiny_features.yaml`, then frozen.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spatialfoley.features import FrameFeatures

PATCHES_PER_SIDE = 7


@dataclasses.dataclass(frozen=True)
class TinyFeaturesConfig:
    """Sizes of the tiny encoder; `size_px` is eight times the patches per side."""

    frame_rate_hz: int = 20
    size_px: int = 8 * PATCHES_PER_SIDE
    embedding_dim: int = 128
    channels: tuple[int, int, int, int] = (16, 32, 48, 64)
    patch_dim: int = 24
    temporal_kernel: int = 5


class TinyEncoder(nn.Module):
    """The network: frames [B, T, H, W, 3] -> embeddings [B, T, D] and patch energy logits [B, T, 49]."""

    def __init__(self, config: TinyFeaturesConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or TinyFeaturesConfig()
        first, second, third, fourth = c.channels
        self.patches = nn.Sequential(
            nn.Conv2d(6, first, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(third, fourth, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.patch_energy = nn.Conv2d(fourth, 1, 1)
        self.patch_summary = nn.Conv2d(fourth, c.patch_dim, 1)
        self.frame = nn.Sequential(
            nn.Linear(c.patch_dim * PATCHES_PER_SIDE**2, 2 * c.embedding_dim),
            nn.ReLU(),
            nn.Linear(2 * c.embedding_dim, c.embedding_dim),
        )
        self.motion = nn.ModuleList(
            nn.Conv1d(c.embedding_dim, c.embedding_dim, c.temporal_kernel, padding=c.temporal_kernel // 2)
            for _ in range(3)
        )
        self.norm = nn.LayerNorm(c.embedding_dim)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, T, D] and patch energy logits [B, T, 49] of uint8 frames [B, T, H, W, 3]."""
        B, T = frames.shape[:2]
        pictures = frames.permute(0, 1, 4, 2, 3).float() / 255 - 0.5
        # The change since the frame before carries the timing: a strike is one bright frame.
        change = torch.diff(pictures, dim=1, prepend=pictures[:, :1])
        stacked = torch.cat([pictures, change], dim=2).flatten(0, 1)
        patches = self.patches(stacked.contiguous(memory_format=torch.channels_last))  # [B T, D, 7, 7]
        logits = self.patch_energy(patches).reshape(B, T, -1)
        x = self.frame(self.patch_summary(patches).reshape(B * T, -1)).unflatten(0, (B, T))
        for layer in self.motion:
            x = x + layer(torch.relu(x).transpose(1, 2)).transpose(1, 2)
        return self.norm(x), logits


class TinyFeatures:
    """The frozen encoder as pipelines use it: one clip in, its `FrameFeatures` out."""

    def __init__(self, encoder: TinyEncoder) -> None:
        self.encoder = encoder.eval()
        self.frame_rate_hz = encoder.config.frame_rate_hz
        self.size_px = encoder.config.size_px

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> TinyFeatures:
        """The encoder stored in `folder` as features.json and features.safetensors."""
        settings = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        encoder = TinyEncoder(TinyFeaturesConfig(**{**settings, "channels": tuple(settings["channels"])}))
        weights = load_file(folder / "features.safetensors")
        encoder.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return cls(encoder.to(device))

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """Features of one clip: frames uint8 [T, size_px, size_px, 3] at `frame_rate_hz`.

        Raises:
            ValueError: The frames have another shape or type.
        """
        expected = (self.size_px, self.size_px, 3)
        if frames.ndim != 4 or frames.shape[1:] != expected or frames.dtype != np.uint8:
            raise ValueError(
                f"frames is {frames.dtype} of shape {frames.shape}; this encoder needs uint8 [T, *{expected}]"
            )
        device = next(self.encoder.parameters()).device
        embedding, logits = self.encoder(torch.from_numpy(np.ascontiguousarray(frames)).to(device)[None])
        return FrameFeatures(embedding=embedding[0], energy_map=logits[0].softmax(-1))
