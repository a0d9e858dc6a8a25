"""One stretch of a video with its sound -> what a generator trains on, with its augmented variant.

A model that generates in world axes gets the published quarter turn: the field and the camera turn 90° to the
right, the picture stays; or, where that is wanted, several turns by any yaw, drawn anew for each clip. A model that
generates around the camera gets the mirror image of picture and sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spatialfoley.conventions import FOA_CHANNELS, Y
from spatialfoley.dataset.clip_tensors import TYPES, ClipArrays
from spatialfoley.features import FrameFeatures
from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.media.video import Video
from spatialfoley.media.view import network_frames
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import listen_from, rotate_field
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import network_vector, quarter_turn_right
from spatialfoley.timeline import sample_count, token_frames

FRONT = Direction(0.0)


class VisualEncoder(Protocol):
    """Frames uint8 (T, size_px, size_px, 3) at frame_rate_hz to features."""

    @property
    def size_px(self) -> int:
        """Side of a frame."""
        ...

    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """Features of one clip."""
        ...


class SoundEncoder(Protocol):
    """Sound (B, C, N) at rate_hz to codes (B, S, C * levels)."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Tokens are below it."""
        ...

    def encode(self, samples: Tensor) -> Tensor:
        """Codes of sound."""
        ...


@dataclass(frozen=True)
class ClipEncoder:
    """What a model hears and sees of a clip.

    Attributes:
        features: The visual encoder.
        codec: The codec.
        config: Of the generator: lengths, rates and the field's frame.
        description: Name and weights, to tell prepared clips of two models apart.
        mono: Whether sound is one channel, for pre-training, where it is a field otherwise.
        panorama: Whether pictures are equirectangular; None asks the shape of each.
        device: Where the codec computes.
        turns: In world axes: so many variants, each turned by a yaw from anywhere on the circle, instead of the
            quarter turn; 0 for that.

    Raises:
        ValueError: There is nothing to turn.
    """

    features: VisualEncoder
    codec: SoundEncoder
    config: VisageConfig
    description: Mapping[str, Any]
    mono: bool = False
    panorama: bool | None = None
    device: torch.device | str = "cpu"
    turns: int = 0

    def __post_init__(self) -> None:
        if self.turns < 0:
            raise ValueError(f"turns is {self.turns}; it must be at least 0, for the published quarter turn")
        if self.turns and (self.mono or self.config.field_frame == "camera"):
            why = "mono sound has no direction" if self.mono else "the model works in the camera's axes"
            raise ValueError(f"turns is {self.turns}, but {why}, so there is nothing to turn; leave it out")

    @property
    def channels(self) -> int:
        """Channels of the sound."""
        return 1 if self.mono else len(FOA_CHANNELS)

    @cached_property
    def video_frames(self) -> int:
        """Frames of a clip: as many as the generator has positions for, in picture and in sound."""
        c = self.config
        by_rows = c.longest_frames / c.dac_frame_rate
        return min(c.max_source_length, int(by_rows * c.clip_frame_rate))

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        return self.video_frames / self.config.clip_frame_rate

    @property
    def codec_frames(self) -> int:
        """Codec frames that are kept of a clip."""
        return token_frames(self.video_frames, self.config.clip_frame_rate, self.config.dac_frame_rate)

    def refuse_misfit(self) -> None:
        """Encode silence, so that a codec that does not fit is found before the first clip.

        Raises:
            ValueError: The codec takes other channels, or makes other codes than the generator wants or may take.
        """
        tokens, known = self.codec.vocabulary_size, self.config.dac_vocab_size
        if tokens > known:
            raise ValueError(
                f"the generator knows the tokens 0 to {known - 1} (dac_vocab_size), but the codec writes 0 to "
                f"{tokens - 1}; use the files of one model"
            )
        silence = np.zeros((self.channels, sample_count(self.clip_s, self.codec.rate_hz)), np.float32)
        codes, wanted = self._encoded(silence), (self.codec_frames, self.channels * self.config.num_rvq)
        found = tuple(codes.shape)
        if found != wanted:
            raise ValueError(
                f"the codec makes codes of shape {found} of a clip, but the model wants {wanted}; "
                "use the files of one model"
            )
        self._refuse_tokens(codes)

    def encode(self, video: Video, start_s: float, sound: np.ndarray, camera: Direction) -> ClipArrays:
        """All variants of one clip.

        Args:
            video: The picture.
            start_s: Where the clip starts in it.
            sound: The clip's sound (C, N) at the codec's rate, a field in world axes or mono.
            camera: Where the picture's centre points in that field. Of a panorama, whose middle is the front of
                the field, the view in that direction is taken.
        """
        times_s = start_s + np.arange(self.video_frames) / self.config.clip_frame_rate
        times_s = np.minimum(times_s, video.duration_s)
        frames = network_frames(video, times_s, self.features.size_px, self.panorama, camera)
        if self.mono:
            return self._arrays([frames], [sound], [network_vector(FRONT)])
        if self.config.field_frame == "camera":
            heard = listen_from(SpatialAudio(sound, self.codec.rate_hz, "foa"), camera).samples
            mirrored = heard.copy()
            mirrored[Y] *= -1
            pictures = [frames, np.ascontiguousarray(frames[:, :, ::-1])]
            return self._arrays(pictures, [heard, mirrored], [network_vector(FRONT)] * 2)
        facing = network_vector(camera)
        if not self.turns:
            return self._arrays([frames], [sound, quarter_turn_right(sound)], [facing, turned_right(facing)])
        name = "" if video.path is None else video.path.name
        yaws_deg = clip_yaws_deg(f"{name} {start_s:g}", self.turns)
        fields = [rotate_field(sound, CameraPose(yaw_deg).matrix()) for yaw_deg in yaws_deg]
        turned = [Direction(camera.azimuth_deg + yaw_deg, camera.elevation_deg) for yaw_deg in yaws_deg]
        return self._arrays([frames], [sound, *fields], [facing, *map(network_vector, turned)])

    def _arrays(
        self, pictures: list[np.ndarray], sounds: list[np.ndarray], directions: list[np.ndarray]
    ) -> ClipArrays:
        """Arrays of the variants; a single picture belongs to all of them."""
        seen = [self.features(frames) for frames in pictures]
        seen *= len(sounds) // len(seen)
        return ClipArrays(
            codes=np.stack([self._codes(sound) for sound in sounds]).astype(TYPES["codes"]),
            embedding=np.stack([_half(view.embedding) for view in seen]),
            energy_map=np.stack([_half(view.energy_map) for view in seen]),
            direction=np.stack(directions).astype(TYPES["direction"]),
        )

    def _codes(self, sound: np.ndarray) -> np.ndarray:
        codes = self._encoded(sound)
        self._refuse_tokens(codes)
        array: np.ndarray = codes.numpy()
        return array

    def _encoded(self, sound: np.ndarray) -> Tensor:
        samples = torch.from_numpy(np.ascontiguousarray(sound, np.float32)).to(self.device)
        return self.codec.encode(samples[None])[0, : self.codec_frames].cpu()

    def _refuse_tokens(self, codes: Tensor) -> None:
        """Refuse tokens (S, K) that the generator may not draw."""
        allowed = self.config.layout.allowed
        if allowed is not None:
            # The sound for mono pre-training has the codebooks of W alone.
            own = AllowedTokens(allowed.ranges[: codes.shape[-1]])
            own.refuse(codes, self.config.dac_pad_token_id)


def clip_yaws_deg(clip: str, turns: int) -> np.ndarray:
    """Turns of a clip to the left in [-180, 180), drawn from its name; more turns do not change the first ones."""
    seed = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:8], "little")
    yaws_deg: np.ndarray = np.random.default_rng(seed).uniform(-180, 180, turns)
    return yaws_deg


def turned_right(vector: np.ndarray) -> np.ndarray:
    """A (right, down, forward) vector turned 90° to the right, as `quarter_turn_right` turns the field."""
    right, down, forward = vector
    return np.array([forward, down, -right], vector.dtype)


def _half(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.half().cpu().numpy()
    return array
