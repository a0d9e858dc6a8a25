"""Seconds to samples, frames, tokens and decoder rows: the one home of these roundings.

Every length is derived from a duration and a rate by a function of this module. The roundings are those of
the published models (truncation for tokens, ceiling for codec frames), so none may be "improved" in place.
"""

import math

import numpy as np
import numpy.typing as npt


def sample_count(duration_s: float, rate_hz: float) -> int:
    """Number of samples (or video frames) that a duration holds, rounded to the nearest.

    Args:
        duration_s: Duration in seconds, not negative.
        rate_hz: Samples or frames per second, positive.

    Raises:
        ValueError: If the duration is negative, or the rate is not positive, or either is not finite.
    """
    _check_duration(duration_s)
    _check_rate("rate_hz", rate_hz)
    return round(duration_s * rate_hz)


def frame_times_s(duration_s: float, rate_hz: float, start_s: float = 0.0) -> npt.NDArray[np.float64]:
    """Start time of each frame of a clip: ``start_s + k / rate_hz`` for k < round(duration * rate).

    Returns:
        Times in seconds, shape (T,).
    """
    return start_s + np.arange(sample_count(duration_s, rate_hz)) / rate_hz


def token_frames(clip_frames: int, clip_frame_rate_hz: float, token_rate_hz: float) -> int:
    """Codec frames that a generator makes for a clip of video frames: truncated, as published.

    The published model asks for ``int(20 / 4 * 86) = 430`` of the 431 codec frames of five seconds.
    """
    _check_count("clip_frames", clip_frames)
    _check_rate("clip_frame_rate_hz", clip_frame_rate_hz)
    _check_rate("token_rate_hz", token_rate_hz)
    return int(clip_frames / clip_frame_rate_hz * token_rate_hz)


def codec_frames(samples: int, hop_samples: int) -> int:
    """Codec frames that cover a number of samples: the last frame may be part empty (ceiling)."""
    _check_count("samples", samples)
    if hop_samples <= 0:
        raise ValueError(f"hop_samples is {hop_samples}; it must be at least 1")
    return -(-samples // hop_samples)


def decoder_rows(frames: int, rows_per_frame: int = 2, delay_rows: int = 1) -> int:
    """Rows of a token layout for some codec frames; ViSAGe's has two per frame and one for the delay."""
    _check_count("frames", frames)
    return rows_per_frame * frames + delay_rows


def latent_frames(duration_s: float, rate_hz: float, hop_samples: int, mel_frames: int) -> int:
    """Latent frames that cover a duration, each of `mel_frames` mel frames of `hop_samples` (ceiling).

    The published model makes ``ceil(8 * 44100 / 512 / 2) = 345`` of eight seconds.
    """
    _check_duration(duration_s)
    _check_rate("rate_hz", rate_hz)
    if hop_samples <= 0 or mel_frames <= 0:
        raise ValueError(f"hop_samples {hop_samples} and mel_frames {mel_frames} must be at least 1")
    return math.ceil(duration_s * rate_hz / hop_samples / mel_frames)


def segment_count(frames: int, segment_frames: int, step_frames: int) -> int:
    """Full segments of `segment_frames` video frames, one beginning every `step_frames`; 0 if none fits."""
    _check_count("frames", frames)
    if segment_frames <= 0 or step_frames <= 0:
        raise ValueError(f"segment_frames {segment_frames} and step_frames {step_frames} must be at least 1")
    return max(0, (frames - segment_frames) // step_frames + 1)


def window_bounds(samples: int, window_samples: int) -> list[tuple[int, int]]:
    """Bounds (start, stop) of consecutive full windows; an incomplete last window is dropped."""
    _check_count("samples", samples)
    if window_samples <= 0:
        raise ValueError(f"window_samples is {window_samples}; it must be at least 1")
    return [(k * window_samples, (k + 1) * window_samples) for k in range(samples // window_samples)]


def _check_duration(duration_s: float) -> None:
    if not math.isfinite(duration_s) or duration_s < 0:
        raise ValueError(f"duration_s is {duration_s}; it must be a finite number of seconds, 0 or more")


def _check_rate(name: str, rate_hz: float) -> None:
    if not math.isfinite(rate_hz) or rate_hz <= 0:
        raise ValueError(f"{name} is {rate_hz}; it must be a finite positive number per second")


def _check_count(name: str, count: int) -> None:
    if count < 0:
        raise ValueError(f"{name} is {count}; it must be 0 or more")
