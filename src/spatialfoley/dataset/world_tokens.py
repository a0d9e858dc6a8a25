"""Rendered world clips -> what the tiny generator trains on, with the mirror image as a second variant.

Mirroring is exact: the picture flips left to right and Y's ratio tokens change their sign.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from spatialfoley.codecs.tiny import TinyCodec, mirror_left_right
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.shard_encoding import encoded_clips
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings, render_world_cache
from spatialfoley.features.tiny import TinyFeatures

FRONT = np.array([0.0, 0.0, 1.0], np.float32)
"""Right, down, forward: clips in the camera's frame look at the front."""


@dataclasses.dataclass(frozen=True)
class WorldTokensSettings:
    """Where the rendered clips come from and what encodes them."""

    cache: WorldCacheSettings
    codec: str
    """Folder with codec.json and codec.safetensors."""
    features: str
    """Folder with features.json and features.safetensors."""


def world_clip_tensors(
    settings: WorldTokensSettings, folder: Path, progress: Callable[[int, int], None] | None = None
) -> ClipTensors:
    """Open the clip tensors in `folder`, making them from the world first when they are not there."""
    if not (folder / "direction.npy").is_file():
        cache = render_world_cache(settings.cache)
        clips = encoded_clips(_encode_shard, settings, cache, settings.cache.workers, progress)
        write_clip_tensors(folder, clips, len(cache))
    return ClipTensors(folder)


def _encode_shard(job: tuple[WorldTokensSettings, int]) -> list[ClipArrays]:
    settings, shard = job
    cache = WorldCache(Path(settings.cache.folder))
    codec, features = TinyCodec.load(Path(settings.codec)), TinyFeatures.load(Path(settings.features))
    return [encode_world_clip(cache, clip, codec, features) for clip in cache.clips_of(shard)]


def encode_world_clip(cache: WorldCache, clip: int, codec: TinyCodec, features: TinyFeatures) -> ClipArrays:
    """Both variants of one clip."""
    field = torch.from_numpy(cache.take("foa", clip).astype(np.float32) / 32767)
    codes = codec.encode(field[None])
    frames = np.array(cache.take("frames", clip))  # torch wants its own writable copy
    seen = [features(frames), features(np.ascontiguousarray(frames[:, :, ::-1]))]
    return ClipArrays(
        codes=torch.cat([codes, mirror_left_right(codes, codec.levels)]).numpy().astype(np.int16),
        embedding=torch.stack([view.embedding for view in seen]).half().numpy(),
        energy_map=torch.stack([view.energy_map for view in seen]).half().numpy(),
        direction=np.stack([FRONT, FRONT]),
    )
