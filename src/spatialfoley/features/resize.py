"""Frames to the pixels that a frozen encoder was trained on: resized as 8-bit pictures, then standardised.

The published encoders resize 8-bit pictures with antialiasing and round to 8 bits before anything else; only then
are the colours scaled. Rounding is part of the numbers, so it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def check_frames(frames: np.ndarray) -> None:
    """Check that `frames` is uint8 RGB (T, H, W, 3) with at least one pixel.

    Raises:
        ValueError: If the frames have another shape or type.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(
            f"frames is {frames.dtype} of shape {frames.shape}, but must be uint8 (frames, height, width, 3)"
        )


def squash(frames: np.ndarray, size_px: int, mode: str = "bicubic") -> Tensor:
    """Frames resized to a square whatever their shape: the aspect ratio is not kept.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        size_px: Side of the square.
        mode: "bicubic" or "bilinear", both with antialiasing.

    Returns:
        uint8 (T, 3, size_px, size_px).

    Raises:
        ValueError: If the frames have another shape or type.
    """
    check_frames(frames)
    return _resized(frames, (size_px, size_px), mode)


def stretch(frames: np.ndarray, height_px: int, width_px: int, mode: str = "bicubic") -> Tensor:
    """Frames resized to a height and a width, whatever their shape.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        height_px: Height wanted.
        width_px: Width wanted.
        mode: "bicubic" or "bilinear", both with antialiasing.

    Returns:
        uint8 (T, 3, height_px, width_px).

    Raises:
        ValueError: If the frames have another shape or type.
    """
    check_frames(frames)
    return _resized(frames, (height_px, width_px), mode)


def crop_centre(frames: np.ndarray, size_px: int, mode: str = "bicubic") -> Tensor:
    """Frames with their shorter side resized to `size_px`, and the square in their centre.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        size_px: Side of the square.
        mode: "bicubic" or "bilinear", both with antialiasing.

    Returns:
        uint8 (T, 3, size_px, size_px).

    Raises:
        ValueError: If the frames have another shape or type.
    """
    check_frames(frames)
    height, width = frames.shape[1:3]
    shorter = min(height, width)
    # Truncated, and the crop rounded to even: as published.
    target = (int(size_px * height / shorter), int(size_px * width / shorter))
    pixels = _resized(frames, target, mode)
    top, left = (round((side - size_px) / 2) for side in target)
    return pixels[:, :, top : top + size_px, left : left + size_px]


def standardise(pixels: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """Colours as networks want them: (value / 255 - mean) / deviation per channel.

    Args:
        pixels: uint8 (..., 3, H, W).
        mean: Of red, green and blue in [0, 1].
        deviation: Of red, green and blue.

    Returns:
        float32 of the same shape.
    """
    shift, scale = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (mean, deviation))
    return (pixels.float() / 255 - shift) / scale


def _resized(frames: np.ndarray, target: tuple[int, int], mode: str) -> Tensor:
    pixels = torch.tensor(frames).permute(0, 3, 1, 2)
    if frames.shape[1:3] == target:
        return pixels
    return functional.interpolate(pixels, target, mode=mode, align_corners=False, antialias=True)
