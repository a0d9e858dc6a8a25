"""Rendered world clips -> what the tiny flow models train on: continuous latents instead of tokens.

The field is that around the camera; the ears hear it through the package's head filters. Everything is stored once,
unmirrored: the mirror image of a clip swaps the ears and turns the sign of Y, which `taken` does as it reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from spatialfoley.codecs.tiny import TinyCodec, frame_gains, signed_ratios
from spatialfoley.conventions import Y
from spatialfoley.dataset.array_folder import open_array_folder, write_array_folder
from spatialfoley.dataset.shard_encoding import encoded_clips
from spatialfoley.dataset.world_cache import WorldCache, render_world_cache
from spatialfoley.dataset.world_tokens import WorldTokensSettings, world_clip_tensors
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.interaural import shift_ears
from spatialfoley.spatial.parametric import band_weights, ear_parameters, field_ratios
from spatialfoley.spatial.short_time import analyse, hop_samples
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import CLASSES

TYPES = {
    "field_shape": np.float16,  # (4, S, D), with the sign of W
    "field_level_db": np.float16,  # (4, S)
    "field_sign": np.int8,  # (4, S)
    "ear_shape": np.float16,  # (2, S, D), both ears moved to the same time
    "own_ear_shape": np.float16,  # (2, S, D), as the ears are
    "ear_level_db": np.float16,  # (2, S)
    "delay_s": np.float32,  # (S,)
    "ratios": np.float16,  # (3, bands, S)
    "gains_db": np.float16,  # (2, bands, S)
    "band_level_db": np.float16,  # (bands, S), of W
    "classes": np.bool_,  # (classes,)
}
_SILENCE = 1e-9


@dataclasses.dataclass(frozen=True)
class WorldLatentsSettings:
    """Where the visual features lie and what they and the sound are made with."""

    tokens: str
    """Folder of the clip tensors, made where they are missing; their visual features are used."""
    world: WorldTokensSettings


class WorldLatents:
    """Sound and visual features of all clips, mapped into memory."""

    def __init__(self, folder: Path, tokens: Path) -> None:
        remedy = "delete the folder, and the recipe makes it anew"
        self.sound = open_array_folder(folder, TYPES, remedy)
        self.seen = open_array_folder(tokens, ("embedding", "energy_map"), remedy)
        if len(self.sound["classes"]) != len(self.seen["embedding"]):
            raise ValueError(
                f"{folder} holds {len(self.sound['classes'])} clips and {tokens} {len(self.seen['embedding'])}; "
                "they must be made of the same world"
            )

    def __len__(self) -> int:
        return len(self.sound["classes"])

    def taken(self, clips: np.ndarray, mirrored: np.ndarray) -> dict[str, torch.Tensor]:
        """Arrays of the clips (B,), float32, those of mirrored (B,) as their mirror image."""
        taken = {
            name: torch.from_numpy(array[clips].astype(np.float32)) for name, array in self.sound.items()
        }
        flip = torch.from_numpy(mirrored)
        taken["field_sign"][:, Y] *= torch.where(flip, -1.0, 1.0)[:, None]
        taken["ratios"][:, Y - 1] *= torch.where(flip, -1.0, 1.0)[:, None, None]
        taken["delay_s"] *= torch.where(flip, -1.0, 1.0)[:, None]
        for name in ("ear_shape", "own_ear_shape", "ear_level_db", "gains_db"):
            kept = flip.view(-1, *[1] * (taken[name].ndim - 1))
            taken[name] = torch.where(kept, taken[name].flip(1), taken[name])
        variants = mirrored.astype(np.int64)
        for name, array in self.seen.items():
            taken[name] = torch.from_numpy(array[clips, variants].astype(np.float32))
        return taken


def world_latents(
    settings: WorldLatentsSettings, folder: Path, progress: Callable[[int, int], None] | None = None
) -> WorldLatents:
    """Open the latents in `folder`, making them from the world first when they are not there.

    Raises:
        ValueError: The clips are of recordings of which it is not known what sounds.
    """
    tokens, missing = Path(settings.tokens), not (folder / "classes.npy").is_file()
    if missing:
        _refuse_unnamed(render_world_cache(settings.world.cache), settings.world.cache.folder)
    world_clip_tensors(settings.world, tokens)
    if missing:
        cache = render_world_cache(settings.world.cache)
        clips = encoded_clips(_encode_shard, settings.world, cache, settings.world.cache.workers, progress)
        write_array_folder(folder, clips, len(cache), TYPES)
    return WorldLatents(folder, tokens)


def _refuse_unnamed(cache: WorldCache, folder: str) -> None:
    """Recordings other than scenes of the world have one class: that something sounds."""
    classes = len(cache.take("level", 0))
    if classes != len(CLASSES):
        raise ValueError(
            f"{folder} tells of {classes} class of things, but the tiny flow models read words for {len(CLASSES)}; "
            "train them on scenes of the world"
        )


def _encode_shard(job: tuple[WorldTokensSettings, int]) -> list[dict[str, np.ndarray]]:
    settings, shard = job
    cache = WorldCache(Path(settings.cache.folder))
    codec = TinyCodec.load(Path(settings.codec))
    return [
        {
            **encode_field(cache.take("foa", clip).astype(np.float32) / 32767, codec),
            "classes": cache.take("level", clip).astype(np.float32).sum(axis=1) > 0,
        }
        for clip in cache.clips_of(shard)
    ]


@torch.inference_mode()
def encode_field(foa: np.ndarray, codec: TinyCodec) -> dict[str, np.ndarray]:
    """Latents of a field (4, N) around the camera, at the codec's rate; all of TYPES but the classes."""
    rate_hz = codec.rate_hz
    ears = render_binaural(SpatialAudio(foa, rate_hz, "foa")).samples
    gains_db, delays_s = ear_parameters(ears, foa[0], rate_hz)
    hop = hop_samples(rate_hz)
    bands = np.einsum("ctk,bk->bt", np.abs(analyse(foa[:1], hop)) ** 2, band_weights(hop, rate_hz)) / hop
    frames = codec.mdct(torch.from_numpy(foa))[:, 1:]
    gains = frame_gains(frames)
    ratios = signed_ratios(frames[None], gains[None])[0]
    sign = torch.cat([torch.ones_like(ratios[:1]), torch.where(ratios < 0, -1.0, 1.0)])
    shape = codec.latents(frames * (sign / gains.clamp_min(_SILENCE))[..., None])
    aligned, ear_gains = codec.channel_latents(torch.from_numpy(shift_ears(ears, rate_hz, delays_s)))
    own, _ = codec.channel_latents(torch.from_numpy(ears))
    return {
        "field_shape": shape.numpy(),
        "field_level_db": _decibels(gains.numpy()),
        "field_sign": sign.numpy(),
        "ear_shape": aligned.numpy(),
        "own_ear_shape": own.numpy(),
        "ear_level_db": _decibels(ear_gains.numpy()),
        # The codec's first frame is centred one hop after the start.
        "delay_s": delays_s[1:],
        "ratios": field_ratios(foa, rate_hz)[..., 1:],
        "gains_db": gains_db[..., 1:],
        "band_level_db": _decibels(np.sqrt(bands))[:, 1:],
    }


def _decibels(gain: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(gain, _SILENCE))
