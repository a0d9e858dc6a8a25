"""Rendered world clips -> what the tiny generator trains on, with the mirror image as a second variant.

Mirroring is exact: the picture flips left to right and Y's ratio tokens change their sign.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from spatialfoley.codecs.tiny import TinyCodec, mirror_left_right
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
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
        write_clip_tensors(folder, _encoded_clips(settings, cache, progress), len(cache))
    return ClipTensors(folder)


def _encoded_clips(
    settings: WorldTokensSettings, cache: WorldCache, progress: Callable[[int, int], None] | None
) -> Iterator[ClipArrays]:
    """All clips of the cache in order, by one process or several."""
    jobs = [(settings, shard) for shard in range(len(cache.shards))]
    with ExitStack() as stack:
        shards: Iterable[list[ClipArrays]] = map(_encode_shard, jobs)
        if settings.cache.workers > 1:
            # One thread each: torch would otherwise take every core once per worker.
            pool = multiprocessing.get_context("spawn").Pool(
                settings.cache.workers, initializer=torch.set_num_threads, initargs=(1,)
            )
            shards = stack.enter_context(pool).imap(_encode_shard, jobs)
        done = 0
        for clips in shards:
            yield from clips
            done += len(clips)
            if progress is not None:
                progress(done, len(cache))


def _encode_shard(job: tuple[WorldTokensSettings, int]) -> list[ClipArrays]:
    settings, shard = job
    cache = WorldCache(Path(settings.cache.folder))
    codec, features = TinyCodec.load(Path(settings.codec)), TinyFeatures.load(Path(settings.features))
    first = shard * cache.shard_clips
    return [
        encode_world_clip(cache, clip, codec, features) for clip in range(first, first + cache.shard_clips)
    ]


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
