"""Clip tensors from one's own recordings: videos with ambisonic sound, cut into pieces of equal length.

A recording is ``NAME.mp4`` (or another video) with ``NAME.foa.wav`` beside it (AmbiX, world axes). ``NAME.json``
with ``azimuth_deg`` and ``elevation_deg`` says where the camera looks; without it, to the front. Of a panorama the
network sees the view in that direction.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from spatialfoley.conventions import Y
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.features import FrameFeatures
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.media.video import Video, read_video
from spatialfoley.media.view import network_frames
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import listen_from
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.spatial.ytambigen import network_vector, quarter_turn_right
from spatialfoley.timeline import frame_times_s, sample_count, token_frames

FOA_SUFFIX = ".foa.wav"
FRONT = Direction(0.0)


class Encoder(Protocol):
    """The visual encoder of a pipeline."""

    @property
    def size_px(self) -> int:
        """Side of a frame."""
        ...

    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """Features of one clip."""
        ...


class Codec(Protocol):
    """The codec of a pipeline."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    def encode(self, samples: Tensor) -> Tensor:
        """Codes (B, S, K) of sound (B, 4, N)."""
        ...


@dataclass(frozen=True)
class Recording:
    """One video with its sound field, and where its camera looks in the world."""

    video: Path
    foa: Path
    camera: Direction = FRONT


def find_recordings(folder: Path) -> list[Recording]:
    """Every video with a sound field of the same name in a folder, sorted.

    Raises:
        ValueError: if there is none, or a field has no video or an unreadable JSON.
    """
    recordings = []
    for foa in sorted(folder.glob(f"*{FOA_SUFFIX}")):
        stem = foa.name.removesuffix(FOA_SUFFIX)
        videos = [p for p in sorted(folder.glob(f"{stem}.*")) if p.suffix.lower() not in (".wav", ".json")]
        if len(videos) != 1:
            raise ValueError(f"{foa} needs exactly one video {stem}.* beside it, but there are {len(videos)}")
        recordings.append(Recording(videos[0], foa, _camera(folder / f"{stem}.json")))
    if not recordings:
        raise ValueError(f"{folder} has no recordings; it needs videos with NAME{FOA_SUFFIX} beside NAME.mp4")
    return recordings


def prepare_recordings(
    folder: str | Path,
    out: str | Path,
    features: Encoder,
    codec: Codec,
    config: VisageConfig,
    duration_s: float = 5.0,
) -> ClipTensors:
    """Cut recordings into pieces and write what a ViSAGe generator trains on.

    Each piece has one augmented variant: the mirror image for a model whose field is the camera's, the published
    quarter turn to the right for one whose field is the world's. A rest shorter than a piece is left out.

    Args:
        folder: recordings, see ``find_recordings``.
        out: folder for the arrays.
        features: ``pipe.features`` of the model to train.
        codec: ``pipe.codec`` of that model.
        config: ``pipe.model.config`` of that model.
        duration_s: length of a piece, at most what the model holds.

    Raises:
        ValueError: if no recording is long enough, or a file cannot be used.
    """
    recordings = find_recordings(Path(folder))
    pieces = [piece for recording in recordings for piece in _pieces(recording, duration_s)]
    if not pieces:
        raise ValueError(f"duration_s is {duration_s}, but no recording in {folder} is that long; give less")
    clips = (_encoded(*piece, features, codec, config) for piece in pieces)
    write_clip_tensors(Path(out), clips, len(pieces))
    return ClipTensors(Path(out))


def _camera(path: Path) -> Direction:
    if not path.is_file():
        return FRONT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Direction(float(content.get("azimuth_deg", 0.0)), float(content.get("elevation_deg", 0.0)))
    except (ValueError, AttributeError, TypeError) as problem:
        raise ValueError(f"{path} does not say where the camera looks ({problem})") from problem


def _pieces(recording: Recording, duration_s: float) -> Iterator[tuple[Recording, float, float]]:
    """(recording, start, length) of each whole piece."""
    whole_s = read_video(recording.video).duration_s
    # A video of 4.999 s is meant to be one of 5 s.
    for index in range(int((whole_s + 0.01) / duration_s)):
        start_s = index * duration_s
        yield recording, start_s, min(duration_s, whole_s - start_s)


def _encoded(
    recording: Recording,
    start_s: float,
    length_s: float,
    features: Encoder,
    codec: Codec,
    config: VisageConfig,
) -> ClipArrays:
    video = read_video(recording.video, start_s, length_s)
    in_camera = config.field_frame == "camera"
    frames = _frames(video, features.size_px, config, recording.camera)
    field = _field(recording, start_s, length_s, codec.rate_hz)
    heard = listen_from(field, recording.camera).samples if in_camera else field.samples
    facing = FRONT if in_camera else recording.camera
    if in_camera:
        mirrored = heard.copy()
        mirrored[Y] *= -1
        variants = [(frames, heard, facing), (np.ascontiguousarray(frames[:, :, ::-1]), mirrored, facing)]
    else:
        turned = Direction((facing.azimuth_deg - 90.0) % 360.0, facing.elevation_deg)
        variants = [(frames, heard, facing), (frames, quarter_turn_right(heard), turned)]
    seen = [features(pictures) for pictures, _, _ in variants]
    count = token_frames(len(frames), config.clip_frame_rate, config.dac_frame_rate)
    codes = [codec.encode(torch.from_numpy(sound)[None])[0, :count] for _, sound, _ in variants]
    return ClipArrays(
        codes=torch.stack(codes).cpu().numpy().astype(np.int16),
        embedding=torch.stack([one.embedding for one in seen]).cpu().numpy().astype(np.float16),
        energy_map=torch.stack([one.energy_map for one in seen]).cpu().numpy().astype(np.float16),
        direction=np.stack([network_vector(direction) for _, _, direction in variants]),
    )


def _frames(video: Video, size_px: int, config: VisageConfig, camera: Direction) -> np.ndarray:
    times_s = frame_times_s(video.duration_s, config.clip_frame_rate)[: config.max_source_length]
    return network_frames(video, times_s, size_px, camera=camera)


def _field(recording: Recording, start_s: float, length_s: float, rate_hz: int) -> SpatialAudio:
    whole = _whole_field(recording.foa)
    first, count = (sample_count(seconds, whole.rate_hz) for seconds in (start_s, length_s))
    samples = fit_length(whole.samples[:, first : first + count], count)
    return SpatialAudio(resample(samples, whole.rate_hz, rate_hz), rate_hz, "foa")


@lru_cache(maxsize=1)
def _whole_field(path: Path) -> SpatialAudio:
    """The pieces of one recording follow each other: it is read once."""
    whole = read_audio(path)
    require_layout(whole, "foa", str(path))
    return whole
