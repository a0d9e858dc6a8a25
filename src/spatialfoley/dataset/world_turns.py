"""Rendered world clips in world axes, each under several yaws of the camera: rotation augmentation by any angle.

A cache holds the sound as the camera hears it. A yaw, drawn over the whole circle, says where that camera looks in
the world: the field is turned by it, encoded anew, and the network is told the direction. Variant 0 of a clip is
that; the others are further yaws. The picture does not depend on the yaw and is stored once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from spatialfoley.codecs.stored import load_stored_codec
from spatialfoley.dataset.clip_encoding import SoundEncoder
from spatialfoley.dataset.clip_tensors import TYPES, ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.shard_encoding import encoded_clips
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings, render_world_cache
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import rotate_field
from spatialfoley.spatial.ytambigen import network_vector

_FIELDS_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class WorldTurnsSettings:
    """Which rendered clips are taken, what encodes them, and how often each is turned."""

    cache: WorldCacheSettings
    codec: str
    """Folder with codec.json and codec.safetensors."""
    tokens: str
    """Folder of clip tensors of the same cache: its pictures (variant 0) are taken, whatever its codes are."""
    clips: int
    """The first so many."""
    turns: int = 0
    """Further yaws of each clip."""
    seed: int = 0
    """Of the yaws."""

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; it must be at least 1")
        if self.turns < 0:
            raise ValueError(f"turns is {self.turns}; it must be at least 0, for one yaw of each clip")


def world_turns(
    settings: WorldTurnsSettings, folder: Path, progress: Callable[[int, int], None] | None = None
) -> ClipTensors:
    """Open the clip tensors in `folder`, making them from the world first when they are not there.

    Raises:
        ValueError: The cache or the clip tensors with the pictures hold too few clips, or the codec has another
            rate than the cache.
    """
    if not (folder / "direction.npy").is_file():
        cache = render_world_cache(settings.cache)
        pictures = ClipTensors(Path(settings.tokens))
        for place, found in ((settings.cache.folder, len(cache)), (settings.tokens, len(pictures))):
            if found < settings.clips:
                raise ValueError(f"clips is {settings.clips}, but {place} holds {found}; take fewer")
        clips = encoded_clips(
            _encode_shard, settings, cache, settings.cache.workers, progress, settings.clips
        )
        write_clip_tensors(folder, clips, settings.clips)
    return ClipTensors(folder)


def camera_yaws_deg(settings: WorldTurnsSettings, clip: int) -> np.ndarray:
    """Where the camera of a clip looks in each variant, in [-180, 180); more turns do not change the first ones."""
    yaws_deg: np.ndarray = np.random.default_rng((settings.seed, clip)).uniform(-180, 180, 1 + settings.turns)
    return yaws_deg


def turned_codes(fields: Sequence[np.ndarray], yaws_deg: Sequence[float], codec: SoundEncoder) -> np.ndarray:
    """Codes of fields heard by a camera, in the axes of the world in which it looks to a yaw.

    Args:
        fields: Of equal shapes (4, N), at the codec's rate, in the camera's axes.
        yaws_deg: One for each, positive to the left.
        codec: Encodes several fields at once.

    Returns:
        int16 codes (len(fields), S, K).
    """
    turned = [
        rotate_field(field, CameraPose(yaw_deg).matrix())
        for field, yaw_deg in zip(fields, yaws_deg, strict=True)
    ]
    codes = [
        codec.encode(torch.from_numpy(np.stack(turned[first : first + _FIELDS_AT_ONCE])))
        for first in range(0, len(turned), _FIELDS_AT_ONCE)
    ]
    whole: np.ndarray = torch.cat(codes).numpy().astype(TYPES["codes"])
    return whole


def _encode_shard(job: tuple[WorldTurnsSettings, int]) -> list[ClipArrays]:
    settings, shard = job
    cache, pictures = WorldCache(Path(settings.cache.folder)), ClipTensors(Path(settings.tokens)).arrays
    codec = load_stored_codec(Path(settings.codec))
    if codec.rate_hz != settings.cache.rate_hz:
        raise ValueError(
            f"the codec in {settings.codec} has {codec.rate_hz} samples a second, but the cache has "
            f"{settings.cache.rate_hz}; take a codec of that rate"
        )
    clips = [clip for clip in cache.clips_of(shard) if clip < settings.clips]
    yaws_deg = {clip: camera_yaws_deg(settings, clip) for clip in clips}
    heard = {clip: cache.take("foa", clip).astype(np.float32) / 32767 for clip in clips}
    codes = turned_codes(
        [heard[clip] for clip in clips for _ in yaws_deg[clip]],
        [yaw_deg for clip in clips for yaw_deg in yaws_deg[clip]],
        codec,
    ).reshape(len(clips), 1 + settings.turns, -1, 4 * codec.levels)
    return [
        ClipArrays(
            codes=codes[row],
            embedding=pictures["embedding"][clip][:1],
            energy_map=pictures["energy_map"][clip][:1],
            direction=np.stack([network_vector(Direction(yaw_deg)) for yaw_deg in yaws_deg[clip]]),
        )
        for row, clip in enumerate(clips)
    ]
