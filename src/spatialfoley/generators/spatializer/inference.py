"""Inference maths of "Audio Spatialization": a window slides over the sound, and what overlaps is averaged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.objective import normalised
from spatialfoley.generators.spatializer.unet import AudioSpatializer, Seen, analyse, apply_masks, synthesise

SeenAt = Callable[[NDArray[np.int64]], Seen]
"""What is seen in windows, from their first samples (B,)."""

_WINDOWS_AT_ONCE = 16


@torch.inference_mode()
def make_channels(
    network: AudioSpatializer, mono: NDArray[np.float32], seen_at: SeenAt
) -> NDArray[np.float32]:
    """The channels that belong to a mono sound.

    Args:
        network: In evaluation mode.
        mono: Sound (N,) at the network's rate.
        seen_at: Tells what is seen in windows by their first samples.

    Returns:
        Y, Z, X, or half the difference of left and right: (targets, N). Silence stays silence.

    Raises:
        ValueError: `mono` has another shape.
    """
    c = network.config
    if mono.ndim != 1:
        raise ValueError(f"mono has shape {mono.shape}; give one channel of shape (samples,)")
    device = next(network.parameters()).device
    sound = torch.from_numpy(np.pad(mono, (0, max(0, c.window_samples - mono.size)))).float()
    starts = window_starts(sound.numel(), c)
    total = torch.zeros(c.targets, sound.numel())
    count = torch.zeros(sound.numel())
    for first in range(0, len(starts), _WINDOWS_AT_ONCE):
        block = starts[first : first + _WINDOWS_AT_ONCE]
        windows = torch.stack([sound[start : start + c.window_samples] for start in block.tolist()])
        made = make_windows(network, windows.to(device), seen_at(block)).cpu()
        for start, window in zip(block.tolist(), made, strict=True):
            total[:, start : start + c.window_samples] += window
            count[start : start + c.window_samples] += 1
    return (total / count)[:, : mono.size].numpy()


def make_windows(network: AudioSpatializer, windows: Tensor, seen: Seen) -> Tensor:
    """Channels (B, targets, window_samples) of mono windows (B, window_samples), at their own level."""
    c = network.config
    loud, gain = normalised(windows, c.rms)
    spectrum = analyse(loud, c)
    masks = network(torch.view_as_real(spectrum).movedim(-1, 1).contiguous(), seen)
    return synthesise(apply_masks(masks, spectrum), c) / gain[:, None]


def window_starts(samples: int, config: SpatializerConfig) -> NDArray[np.int64]:
    """First samples of the windows over a sound of at least one window; the last one ends with the sound."""
    last = samples - config.window_samples
    hop = max(1, round(config.overlap_hop_s * config.rate_hz))
    return np.append(np.arange(0, last, hop, dtype=np.int64), last)
