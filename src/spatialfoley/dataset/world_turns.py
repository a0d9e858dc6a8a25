"""Rendered world clips in world axes, each under several yaws of the camera: rotation augmentation by any angle.

A cache holds the sound as the camera hears it. A yaw, drawn over the whole circle, says where that camera looks in
the world: the field is turned by it, encoded anew, and the network is told the direction. Variant 0 of a clip is
that; the others are further yaws. The picture does not depend on the yaw and is stored once.

Clips can be chosen by what is in the middle of the picture, as the views of YT-Ambigen are cut where it sounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import islice
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

LARGEST_ELEVATION_DEG = 60.0
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
    """The first so many (of those within `within_deg`)."""
    turns: int = 0
    """Further yaws of each clip."""
    seed: int = 0
    """Of the yaws and elevations."""
    within_deg: float | None = None
    """Only clips with one source that stays, on the mean, so near to the middle of the picture; None for all."""
    elevation_spread_deg: float = 0.0
    """Deviation of where the camera looks above or below the horizon, the same in all variants of a clip."""

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; it must be at least 1")
        if self.turns < 0:
            raise ValueError(f"turns is {self.turns}; it must be at least 0, for one yaw of each clip")
        if self.within_deg is not None and not 0 < self.within_deg <= 180:
            raise ValueError(f"within_deg is {self.within_deg}; it must be above 0 and at most 180")
        if not 0 <= self.elevation_spread_deg <= LARGEST_ELEVATION_DEG:
            raise ValueError(
                f"elevation_spread_deg is {self.elevation_spread_deg}; it must be from 0 to "
                f"{LARGEST_ELEVATION_DEG:g}"
            )


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
        chosen = chosen_clips(settings, cache)

        def report(done: int, _: int) -> None:
            if progress is not None:
                progress(done, settings.clips)

        workers, reach = settings.cache.workers, chosen[-1] + 1
        clips = encoded_clips(_encode_shard, _Job(settings, frozenset(chosen)), cache, workers, report, reach)
        write_clip_tensors(folder, clips, settings.clips)
    return ClipTensors(folder)


def chosen_clips(settings: WorldTurnsSettings, cache: WorldCache) -> list[int]:
    """Numbers of the clips that are taken, in order.

    Raises:
        ValueError: Too few have one source within `within_deg` of the middle of the picture.
    """
    if settings.within_deg is None:
        return list(range(settings.clips))
    near = (clip for clip in range(len(cache)) if _off_centre_deg(cache, clip) <= settings.within_deg)
    chosen = list(islice(near, settings.clips))
    if len(chosen) < settings.clips:
        raise ValueError(
            f"clips is {settings.clips}, but only {len(chosen)} of {len(cache)} have one source within "
            f"{settings.within_deg:g} degrees of the middle; take fewer or a wider within_deg"
        )
    return chosen


def _off_centre_deg(cache: WorldCache, clip: int) -> float:
    """Angle between the picture's middle and the mean direction of a clip's only source; 180 if it has others."""
    sounding = np.flatnonzero(cache.take("level", clip).any(axis=1))
    if len(sounding) != 1:
        return 180.0
    x, y, z = cache.take("vectors", clip)[sounding[0]].astype(np.float64).mean(axis=0)
    return float(np.degrees(np.arctan2(np.hypot(y, z), x)))


def camera_elevation_deg(settings: WorldTurnsSettings, clip: int) -> float:
    """How far above the horizon the camera of a clip looks, within LARGEST_ELEVATION_DEG."""
    # Another stream than that of the yaws, which stay what they are.
    drawn = np.random.default_rng((settings.seed, clip, 1)).normal(0.0, settings.elevation_spread_deg)
    return float(np.clip(drawn, -LARGEST_ELEVATION_DEG, LARGEST_ELEVATION_DEG))


def camera_yaws_deg(settings: WorldTurnsSettings, clip: int) -> np.ndarray:
    """Where the camera of a clip looks in each variant, in [-180, 180); more turns do not change the first ones."""
    yaws_deg: np.ndarray = np.random.default_rng((settings.seed, clip)).uniform(-180, 180, 1 + settings.turns)
    return yaws_deg


def camera_looks(settings: WorldTurnsSettings, clip: int) -> list[Direction]:
    """Where the camera of a clip looks in each variant."""
    elevation_deg = camera_elevation_deg(settings, clip)
    return [Direction(float(yaw_deg), elevation_deg) for yaw_deg in camera_yaws_deg(settings, clip)]


def turned_codes(fields: Sequence[np.ndarray], looks: Sequence[Direction], codec: SoundEncoder) -> np.ndarray:
    """Codes of fields heard by a camera, in the axes of the world in which it looks to a direction.

    Args:
        fields: Of equal shapes (4, N), at the codec's rate, in the camera's axes.
        looks: One for each.
        codec: Encodes several fields at once.

    Returns:
        int16 codes (len(fields), S, K).
    """
    turned = [
        rotate_field(field, CameraPose(look.azimuth_deg, look.elevation_deg).matrix())
        for field, look in zip(fields, looks, strict=True)
    ]
    codes = [
        codec.encode(torch.from_numpy(np.stack(turned[first : first + _FIELDS_AT_ONCE])))
        for first in range(0, len(turned), _FIELDS_AT_ONCE)
    ]
    whole: np.ndarray = torch.cat(codes).numpy().astype(TYPES["codes"])
    return whole


@dataclasses.dataclass(frozen=True)
class _Job:
    settings: WorldTurnsSettings
    chosen: frozenset[int]


def _encode_shard(work: tuple[_Job, int]) -> list[ClipArrays]:
    job, shard = work
    settings = job.settings
    cache, pictures = WorldCache(Path(settings.cache.folder)), ClipTensors(Path(settings.tokens)).arrays
    codec = load_stored_codec(Path(settings.codec))
    if codec.rate_hz != settings.cache.rate_hz:
        raise ValueError(
            f"the codec in {settings.codec} has {codec.rate_hz} samples a second, but the cache has "
            f"{settings.cache.rate_hz}; take a codec of that rate"
        )
    clips = [clip for clip in cache.clips_of(shard) if clip in job.chosen]
    looks = {clip: camera_looks(settings, clip) for clip in clips}
    heard = {clip: cache.take("foa", clip).astype(np.float32) / 32767 for clip in clips}
    codes = turned_codes(
        [heard[clip] for clip in clips for _ in looks[clip]],
        [look for clip in clips for look in looks[clip]],
        codec,
    ).reshape(len(clips), 1 + settings.turns, -1, 4 * codec.levels)
    return [
        ClipArrays(
            codes=codes[row],
            embedding=pictures["embedding"][clip][:1],
            energy_map=pictures["energy_map"][clip][:1],
            direction=np.stack([network_vector(look) for look in looks[clip]]),
        )
        for row, clip in enumerate(clips)
    ]
