"""Sizes of encoders read off their weights: published checkpoints of these two come without settings.

The number of heads leaves no trace in the weights; the published encoders have heads of 64 channels (PE-Spatial
G14: 96), and a narrower network has one head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from spatialfoley.features.perception import PerceptionConfig
from spatialfoley.features.synchformer import SynchformerConfig

_HEAD_CHANNELS = 64
_G14_WIDTH, _G14_HEADS = 1536, 16


def synchformer_config_of(state: Mapping[str, Tensor]) -> SynchformerConfig:
    """Sizes of the visual branch of a Synchformer; the published ones where the weights do not say.

    Args:
        state: Weights by published name.

    Raises:
        ValueError: If the sizes contradict each other.
    """
    prefix = "vfeat_extractor."
    names = ("patch_embed_3d.proj.weight", "pos_embed", "temp_embed", "blocks.0.mlp.fc1.weight")
    if any(prefix + name not in state for name in names):
        return SynchformerConfig()
    cube, positions, times, inner = (state[prefix + name].shape for name in names)
    width, patch_px, frames_per_token = cube[0], cube[-1], cube[2]
    return SynchformerConfig(
        width=width,
        layers=_count(state, rf"{re.escape(prefix)}blocks\.(\d+)\."),
        heads=_heads(width),
        mlp_ratio=inner[0] / width,
        size_px=round((positions[1] - 1) ** 0.5) * patch_px,
        patch_px=patch_px,
        segment_frames=times[1] * frames_per_token,
        frames_per_token=frames_per_token,
    )


def perception_config_of(state: Mapping[str, Tensor]) -> PerceptionConfig:
    """Sizes of a PE-Spatial encoder; those of L14-448 where the weights do not say.

    Args:
        state: Weights by published name, without wrappers.

    Raises:
        ValueError: If the sizes contradict each other.
    """
    names = ("conv1.weight", "positional_embedding", "transformer.resblocks.0.mlp.c_fc.weight")
    if any(name not in state for name in names):
        return PerceptionConfig()
    first, positions, inner = (state[name].shape for name in names)
    width, patch_px = first[0], first[-1]
    has_class = "class_embedding" in state
    return PerceptionConfig(
        patch_size=patch_px,
        width=width,
        layers=_count(state, r"transformer\.resblocks\.(\d+)\."),
        heads=_G14_HEADS if width == _G14_WIDTH else _heads(width),
        mlp_ratio=inner[0] / width,
        image_size=round((positions[0] - int(has_class)) ** 0.5) * patch_px,
        use_cls_token=has_class,
        ls_init_value=0.1 if "transformer.resblocks.0.ls_1.gamma" in state else None,
    )


def _heads(width: int) -> int:
    return max(1, width // _HEAD_CHANNELS)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for key in state if (match := re.match(pattern, key))})
