"""What the frozen encoders of MMAudio and ViSAudio make of one window: the same in training and in use."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.features.resize import crop_centre, squash
from spatialfoley.features.window_frames import chosen_times_s, resized_frames
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig
from spatialfoley.media.video import Video
from spatialfoley.pipeline.flow_clip import FlowEncoders


def window_features(
    encoders: FlowEncoders,
    sizes: MMAudioConfig,
    video: Video,
    frame_times_s: NDArray[np.float64],
    window_s: tuple[float, float],
    text: Tensor | None = None,
    panorama: bool | None = None,
) -> ClipFeatures:
    """Features of one window of a video, batch 1, on the CPU.

    Args:
        encoders: of frames.
        sizes: of the generator, for its rates.
        video: the picture.
        frame_times_s: of all its frames (N,), from ``video.frame_times_s()``.
        window_s: start and length of the window.
        text: features (1, W, d) of a text; None marks it as absent.
        panorama: True for an equirectangular picture, of which the view ahead is seen; None asks its shape.
    """
    resizes = [lambda frames: _picture(squash(frames, encoders.clip.size_px))]
    if (patch_encoder := encoders.patches) is not None:
        resizes.append(lambda frames: _picture(squash(frames, patch_encoder.size_px, mode="bilinear")))
    times_s = chosen_times_s(frame_times_s, *window_s, sizes.clip_rate_hz)
    seen = resized_frames(video, times_s, resizes, panorama)
    sync_times_s = chosen_times_s(frame_times_s, *window_s, sizes.sync_rate_hz)
    moving = resized_frames(
        video,
        sync_times_s,
        [lambda frames: _picture(crop_centre(frames, encoders.sync.size_px))],
        panorama,
    )
    return ClipFeatures(
        clip=encoders.clip(seen[0])[None].cpu(),
        sync=encoders.sync(moving[0])[None].cpu(),
        text=torch.zeros(1, sizes.text_tokens, sizes.text_dim) if text is None else text,
        # In 16 bits, as the paper stores them: the patches of one window are 34 MB even so.
        patches=None if patch_encoder is None else patch_encoder(seen[1])[None].half().cpu(),
        text_dropped=torch.ones(1, dtype=torch.bool) if text is None else None,
    )


def _picture(pixels: Tensor) -> np.ndarray:
    """uint8 (T, 3, H, W) as the array (T, H, W, 3) that encoders take."""
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()
