"""Listening with two channels: binaural through head filters, and stereo through virtual microphones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import CameraPose, Direction, unit_vectors
from spatialfoley.spatial.foa import listen_from, steer
from spatialfoley.spatial.head_filters import HeadFilters, omnitone_filters
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.spatial.sofa import load_sofa
from spatialfoley.spatial.trajectory import CameraTrajectory

__all__ = ["HeadFilters", "load_sofa", "omnitone_filters", "render_binaural", "render_stereo"]

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
    require_layout(foa, "foa", "foa")
    heard = foa if head is None else listen_from(foa, head)
    chosen = (filters or omnitone_filters()).at_rate(foa.rate_hz)
    return SpatialAudio(_filtered(heard.samples, chosen.responses), foa.rate_hz, "binaural")


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


def _filtered(field: npt.NDArray[np.float32], responses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sum over channels of field (4, N) * responses (2, 4, taps), cut to N: shape (2, N), by overlap-add."""
    taps, count = responses.shape[-1], field.shape[-1]
    fft_samples = max(_FFT_SAMPLES, 2 * 2 ** (taps - 1).bit_length())
    block = fft_samples - taps + 1
    spectrum = np.fft.rfft(responses, fft_samples)
    ears = np.zeros((2, count + fft_samples), np.float32)
    for start in range(0, count, block):
        part = np.fft.rfft(field[:, start : start + block], fft_samples)
        ears[:, start : start + fft_samples] += np.fft.irfft(
            np.einsum("ecf,cf->ef", spectrum, part), fft_samples
        )
    return ears[:, :count]
