"""Listening with two channels: binaural through head filters, and stereo through virtual microphones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import CameraPose, Direction, unit_vectors
from spatialfoley.spatial.foa import listening_blocks, steer
from spatialfoley.spatial.head_filters import HeadFilters, omnitone_filters
from spatialfoley.spatial.signal import Sound, SpatialAudio, rechunked, require_layout
from spatialfoley.spatial.sofa import load_sofa
from spatialfoley.spatial.trajectory import CameraTrajectory

__all__ = [
    "HeadFilters",
    "binaural_blocks",
    "load_sofa",
    "omnitone_filters",
    "render_binaural",
    "render_stereo",
]

_FFT_SAMPLES = 32768


def render_binaural(
    foa: SpatialAudio,
    filters: HeadFilters | None = None,
    head: Direction | CameraPose | CameraTrajectory | None = None,
) -> SpatialAudio:
    """Binaural sound of a field, of the same length and rate.

    Args:
        foa: Sound of layout "foa".
        filters: Head filters, by default Omnitone's; `load_sofa` reads others.
        head: Where the listener looks, fixed or moving; by default to the front.

    Returns:
        Sound of layout "binaural"; the tail after the last sample is cut off. Nothing is limited: loud sound
        beside one ear can exceed full scale by a few decibels.
    """
    ears = np.empty((2, foa.frames), np.float32)
    start = 0
    for block in binaural_blocks(foa, filters, head):
        ears[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return SpatialAudio(ears, foa.rate_hz, "binaural")


def binaural_blocks(
    foa: Sound,
    filters: HeadFilters | None = None,
    head: Direction | CameraPose | CameraTrajectory | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield what `render_binaural` makes of a sound that need not fit into memory, in blocks (2, n).

    Args:
        foa: Sound of layout "foa", in memory or on disk.
        filters: Head filters, by default Omnitone's.
        head: Where the listener looks, fixed or moving; by default to the front.
    """
    require_layout(foa, "foa", "foa")
    chosen = (filters or omnitone_filters()).at_rate(foa.rate_hz)
    heard = foa.blocks() if head is None else listening_blocks(foa, head)
    return _filtered(heard, chosen.responses)


def render_stereo(foa: SpatialAudio, angle_deg: float = 90.0, pattern: float = 0.5) -> SpatialAudio:
    """Stereo of a field through two virtual microphones at ± an angle.

    Args:
        foa: Sound of layout "foa".
        angle_deg: Azimuth of the left microphone, 0 to 180 degrees. With 90 and cardioids, left + right = W.
        pattern: 0 omnidirectional, 0.5 cardioid, 1 figure of eight.
    """
    require_layout(foa, "foa", "foa")
    if not 0.0 < angle_deg < 180.0:
        raise ValueError(f"angle_deg is {angle_deg}; the left microphone must be between 0 and 180 degrees")
    ears = [steer(foa.samples, unit_vectors(side * angle_deg, 0.0), pattern) for side in (1.0, -1.0)]
    return SpatialAudio(np.stack(ears), foa.rate_hz, "stereo")


def _filtered(
    field: Iterable[npt.NDArray[np.float32]], responses: npt.NDArray[np.float32]
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the sum over channels of field (4, n each) * responses (2, 4, taps), cut to the field's length.

    Overlap-add: what a block's filters ring on beyond its end is carried to the next one.
    """
    taps = responses.shape[-1]
    fft_samples = max(_FFT_SAMPLES, 2 * 2 ** (taps - 1).bit_length())
    spectrum = np.fft.rfft(responses, fft_samples)
    ringing = np.zeros((2, taps - 1), np.float32)
    for block in rechunked(field, fft_samples - taps + 1):
        part = np.fft.rfft(block, fft_samples)
        ears = np.fft.irfft(np.einsum("ecf,cf->ef", spectrum, part), fft_samples).astype(np.float32)
        ears[:, : taps - 1] += ringing
        ringing = ears[:, block.shape[1] : block.shape[1] + taps - 1].copy()
        yield ears[:, : block.shape[1]]
