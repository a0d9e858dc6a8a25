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
from spatialfoley.dataset.clip_tensors import TYPES, ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.shard_encoding import encoded_clips
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings, render_world_cache
from spatialfoley.features.tiny import TinyFeatures

FRONT = np.array([0.0, 0.0, 1.0], np.float32)
"""Right, down, forward: clips in the camera's frame look at the front."""

PICTURES = ("embedding", "energy_map")
"""Arrays of a clip that say what is seen."""


@dataclasses.dataclass(frozen=True)
class WorldTokensSettings:
    """Where the rendered clips come from and what encodes them."""

    cache: WorldCacheSettings
    codec: str
    """Folder with codec.json and codec.safetensors."""
    features: str
    """Folder with features.json and features.safetensors."""
    pictures: str | None = None
    """Folder of clip tensors of the same cache and features, made with another codec: their pictures are taken."""


def world_clip_tensors(
    settings: WorldTokensSettings, folder: Path, progress: Callable[[int, int], None] | None = None
) -> ClipTensors:
    """Open the clip tensors in `folder`, making them from the world first when they are not there."""
    if not (folder / "direction.npy").is_file():
        cache = render_world_cache(settings.cache)
        if settings.pictures is not None:
            _refuse_other_clips(Path(settings.pictures), len(cache))
        clips = encoded_clips(_encode_shard, settings, cache, settings.cache.workers, progress)
        write_clip_tensors(folder, clips, len(cache))
    return ClipTensors(folder)


def _encode_shard(job: tuple[WorldTokensSettings, int]) -> list[ClipArrays]:
    settings, shard = job
    cache = WorldCache(Path(settings.cache.folder))
    codec = TinyCodec.load(Path(settings.codec))
    clips = cache.clips_of(shard)
    if settings.pictures is None:
        features = TinyFeatures.load(Path(settings.features))
        pictures = (_seen(cache.take("frames", clip), features) for clip in clips)
    else:
        arrays = ClipTensors(Path(settings.pictures)).arrays
        pictures = ({name: arrays[name][clip] for name in PICTURES} for clip in clips)
    return [
        ClipArrays(codes=_codes(cache, clip, codec), direction=np.stack([FRONT, FRONT]), **seen)
        for clip, seen in zip(clips, pictures, strict=True)
    ]


def _codes(cache: WorldCache, clip: int, codec: TinyCodec) -> np.ndarray:
    """Of the clip and of its mirror image."""
    field = torch.from_numpy(cache.take("foa", clip).astype(np.float32) / 32767)
    codes = codec.encode(field[None])
    both: np.ndarray = torch.cat([codes, mirror_left_right(codes, codec.levels)]).numpy()
    return both.astype(TYPES["codes"])


def _seen(frames: np.ndarray, features: TinyFeatures) -> dict[str, np.ndarray]:
    """`PICTURES` of a clip and of its mirror image."""
    # torch wants its own writable copy
    seen = [features(np.array(frames)), features(np.ascontiguousarray(frames[:, :, ::-1]))]
    return {name: torch.stack([getattr(view, name) for view in seen]).half().numpy() for name in PICTURES}


def _refuse_other_clips(pictures: Path, clips: int) -> None:
    """Raise ValueError if the pictures cannot be those of the cache, in both variants."""
    found = ClipTensors(pictures).arrays["embedding"].shape[:2]
    if found != (clips, 2):
        raise ValueError(
            f"{pictures} holds the pictures of {found[0]} clips in {found[1]} variants, but {clips} clips in 2 are "
            "wanted; leave out pictures to encode them"
        )
