"""A clip as Qwen2.5-Omni takes it in: patches of pairs of frames, log-mel frames, and tokens that stand for both.

The processor that comes with the model needs torchvision for videos, which this project does without, so the
shapes that the model's code and card document are made here: 2 frames per second, resized to multiples of 28
pixels, two frames and 14 x 14 pixels to a patch, patches in blocks of 2 x 2; sound at 16 kHz, 100 log-mel frames
per second, a quarter as many tokens; tokens of picture and sound taking turns every two seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from spatialfoley.features.resize import standardise, stretch

FRAME_RATE_HZ: Final = 2.0
SOUND_RATE_HZ: Final = 16000
LEAST_S: Final = 0.02
LONGEST_S: Final = 30.0
LEAST_PX: Final = 128 * 28 * 28
MOST_PX: Final = 768 * 28 * 28
"""Pixels of a frame: those of 128 and of 768 tokens."""

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_HOP = 160


@dataclass(frozen=True)
class PatchSizes:
    """How the network cuts pictures: of its own settings."""

    patch: int = 14
    merge: int = 2
    frames: int = 2


@dataclass(frozen=True)
class Patches:
    """A video as rows.

    Attributes:
        rows: float32 (patches, 3 * frames * patch * patch), in blocks of merge x merge.
        grid: Steps in time, rows and columns of patches.
    """

    rows: Tensor
    grid: tuple[int, int, int]

    def tokens_per_step(self, merge: int) -> int:
        """Tokens of one step in time."""
        return self.grid[1] * self.grid[2] // merge**2


def fitting_size(
    height: int, width: int, multiple: int = 28, least_px: int = LEAST_PX, most_px: int = MOST_PX
) -> tuple[int, int]:
    """Height and width that the network takes: multiples, about the same shape, within the limits on pixels.

    Raises:
        ValueError: The picture is empty or 200 times as long as wide.
    """
    if min(height, width) < 1 or max(height, width) > 200 * min(height, width):
        raise ValueError(f"frames are {height} x {width}; one side may be 200 times the other at most")
    sides = [max(multiple, round(side / multiple) * multiple) for side in (height, width)]
    if sides[0] * sides[1] > most_px:
        shrink = math.sqrt(height * width / most_px)
        sides = [max(multiple, math.floor(side / shrink / multiple) * multiple) for side in (height, width)]
    elif sides[0] * sides[1] < least_px:
        grow = math.sqrt(least_px / (height * width))
        sides = [math.ceil(side * grow / multiple) * multiple for side in (height, width)]
    return sides[0], sides[1]


def video_patches(
    frames: np.ndarray, sizes: PatchSizes, least_px: int = LEAST_PX, most_px: int = MOST_PX
) -> Patches:
    """Rows of a video.

    Args:
        frames: uint8 RGB (T, H, W, 3) at `FRAME_RATE_HZ`; the last is repeated where their number is odd.
        sizes: Of the network.
        least_px: Pixels of a resized frame at least.
        most_px: And at most.

    Raises:
        ValueError: The frames have another shape or type.
    """
    height, width = fitting_size(
        frames.shape[1], frames.shape[2], sizes.patch * sizes.merge, least_px, most_px
    )
    pixels = standardise(stretch(frames, height, width), _MEAN, _DEVIATION)
    missing = -len(pixels) % sizes.frames
    pixels = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])
    grid = (len(pixels) // sizes.frames, height // sizes.patch, width // sizes.patch)
    blocks = pixels.reshape(
        grid[0], sizes.frames, 3,
        grid[1] // sizes.merge, sizes.merge, sizes.patch,
        grid[2] // sizes.merge, sizes.merge, sizes.patch,
    )  # fmt: skip
    # (time, block row, block column, row in block, column in block, colour, frame, pixel row, pixel column)
    rows = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return Patches(rows.reshape(math.prod(grid), -1).contiguous(), grid)


def sound_frames(mono: np.ndarray, bands: int) -> Tensor:
    """Log-mel frames float32 (bands, N / 160) of a waveform (N,) at 16 kHz, with Whisper's front end.

    Raises:
        ValueError: It is no waveform, empty, or longer than `LONGEST_S`.
    """
    from transformers import WhisperFeatureExtractor

    if mono.ndim != 1 or not 2 * _HOP <= len(mono) <= LONGEST_S * SOUND_RATE_HZ:
        raise ValueError(
            f"sound has shape {mono.shape}; give one channel of {2 * _HOP} to "
            f"{int(LONGEST_S * SOUND_RATE_HZ)} samples at {SOUND_RATE_HZ} Hz"
        )
    extractor = WhisperFeatureExtractor(feature_size=bands, sampling_rate=SOUND_RATE_HZ)
    made = extractor(mono, sampling_rate=SOUND_RATE_HZ, padding="max_length", return_tensors="pt")
    frames: Tensor = made["input_features"][0, :, : -(-len(mono) // _HOP)]
    return frames


def sound_tokens(frames: int) -> int:
    """Tokens of that many log-mel frames: halved by a convolution and again by pooling."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def interleaved(
    video_steps: int, tokens_per_step: int, step_s: float, sound: int, ids_per_s: int, chunk_s: float
) -> list[bool]:
    """Which tokens of a clip stand for picture (True) and which for sound, in their order.

    Picture and sound of the same `chunk_s` follow each other, picture first.

    Args:
        video_steps: Steps in time of the picture.
        tokens_per_step: Its tokens of one step.
        step_s: Seconds of one step.
        sound: Tokens of the sound.
        ids_per_s: Positions per second, which are sound tokens per second.
        chunk_s: Length of a turn.
    """
    # Counted in positions, as the network counts them when it gives every token its place in time.
    chunk = int(ids_per_s * chunk_s)
    pictures = [math.floor(step * step_s * ids_per_s) // chunk for step in range(video_steps)]
    order: list[bool] = []
    for number in range(max([*pictures, (sound - 1) // chunk]) + 1):
        order += [True] * (pictures.count(number) * tokens_per_step)
        order += [False] * max(0, min(sound - number * chunk, chunk))
    return order
