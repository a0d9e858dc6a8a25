"""What the sound is made from, as the network takes it, and which of it a branch of a guidance sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.config import VisageConfig

PATCHES = 49
"""Values of an energy map: one per patch of the picture, 7 x 7."""


@dataclass(frozen=True)
class VisageConditions:
    """What the sound is made from.

    Attributes:
        frames: Frame embeddings (B, T, d_clip).
        energy_map: Patch energy maps (B, T, 49), or None where there are none.
        direction: Unit vectors to where the camera looks (B, 3), as (right, down, forward).
        visual_dropped: Samples (B,) whose frames and energy map are replaced by the learned null ones.
        direction_dropped: Samples (B,) whose direction is replaced by the learned null one.
    """

    frames: Tensor
    energy_map: Tensor | None
    direction: Tensor
    visual_dropped: Tensor | None = None
    direction_dropped: Tensor | None = None

    def to(self, device: torch.device | str) -> VisageConditions:
        """The same conditions on a device."""

        def moved(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(device)

        return VisageConditions(
            frames=self.frames.to(device),
            energy_map=moved(self.energy_map),
            direction=self.direction.to(device),
            visual_dropped=moved(self.visual_dropped),
            direction_dropped=moved(self.direction_dropped),
        )

    def without(self, *, visual: bool = False, direction: bool = False) -> VisageConditions:
        """The same conditions with the visual part, the direction or both replaced by the learned null."""
        every = torch.ones(len(self.frames), dtype=torch.bool, device=self.frames.device)
        return replace(
            self,
            visual_dropped=every if visual else self.visual_dropped,
            direction_dropped=every if direction else self.direction_dropped,
        )

    def branches(self, guidance: Guidance) -> VisageConditions:
        """The conditions of every branch of a guidance, one branch after the other: (branches x B) samples."""
        copies, batch = len(guidance.branches), len(self.frames)
        unseen = [not branch.visual for branch in guidance.branches]
        undirected = [not branch.direction for branch in guidance.branches]
        energy_map, device = self.energy_map, self.frames.device
        return VisageConditions(
            frames=self.frames.repeat(copies, 1, 1),
            energy_map=None if energy_map is None else energy_map.repeat(copies, 1, 1),
            direction=self.direction.repeat(copies, 1),
            visual_dropped=torch.tensor(unseen, device=device).repeat_interleave(batch),
            direction_dropped=torch.tensor(undirected, device=device).repeat_interleave(batch),
        )

    def check(self, config: VisageConfig) -> None:
        """Raise ValueError if a shape does not fit a network of this configuration."""
        frames, energy_map, direction = self.frames, self.energy_map, self.direction
        if frames.ndim != 3 or frames.shape[2] != config.d_clip:
            raise ValueError(f"frames has the shape {tuple(frames.shape)}, not (batch, T, {config.d_clip})")
        if not 1 <= frames.shape[1] <= config.max_source_length:
            raise ValueError(
                f"frames has {frames.shape[1]} video frames, but the network has positions for 1 to "
                f"{config.max_source_length}"
            )
        if energy_map is not None and energy_map.shape != (*frames.shape[:2], PATCHES):
            raise ValueError(
                f"energy_map has the shape {tuple(energy_map.shape)}, not {(*frames.shape[:2], PATCHES)}"
            )
        if direction.shape != (len(frames), 3):
            raise ValueError(f"direction has the shape {tuple(direction.shape)}, not {(len(frames), 3)}")
