"""Do two sounds swell and fade together: E-L1, the mean absolute difference of their RMS envelopes.

What is known, and what we assume:
    The ViSAGe-SC slides show a column "E-L1" among the semantic scores, lower is better, with values from 0.10 to
    0.20, and say nothing else. Most likely it is the Event-L1 of T-Foley, whose public code scales both sounds to
    their peak and compares frame-wise RMS. From there we take peak scaling, frames of 512 samples and steps of 128
    at 22.05 kHz, here 23.2 ms and 5.8 ms at any rate. Ours are:

    * no smoothing of the envelope (T-Foley's code filters it; which filter made the slides' numbers is unknown),
    * one peak for all channels of a sound, so that the levels between its channels stay, and the mean over channels
      of their differences,
    * only whole frames: no padding at the ends.

    The slides are about fields; which mono sound their numbers are of is unknown. Near them come the field
    decoded towards the camera, or W, as one channel. Scaled to their peak, sounds have RMS levels of 0.05 to 0.3,
    which makes differences of 0.10 to 0.20 plausible; compare ours only with ours.

Silence:
    The envelope of silence is 0 everywhere. Silence against silence scores 0; silence against a sound scores the
    mean envelope of that sound.

References:
    Chung, Lee and Nam, "T-Foley: A Controllable Waveform-Domain Diffusion Model for Temporal-Event-Guided Foley
    Sound Synthesis", ICASSP 2024 (E-L1).
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

FRAME_S = 512 / 22050
STEP_S = 128 / 22050


def rms_envelope(samples: FloatArray, rate_hz: int) -> FloatArray:
    """RMS of overlapping frames of each channel.

    Args:
        samples: Any channels, (C, N).
        rate_hz: Sampling rate in Hz.

    Returns:
        Envelope (C, T), float64; frame t starts at sample t · step, and only whole frames count.

    Raises:
        ValueError: Shape, rate or values are wrong, or there is less than one frame.
    """
    _check("samples", samples, rate_hz)
    return _envelope(np.asarray(samples, np.float64), rate_hz)


def envelope_l1(reference: FloatArray, estimate: FloatArray, rate_hz: int) -> float:
    """E-L1: mean over frames and channels of |difference of RMS envelopes|, each sound scaled to its peak.

    Args:
        reference: True sound, (C, N).
        estimate: Sound to score, the same shape.
        rate_hz: Sampling rate in Hz.

    Returns:
        From 0 (the same envelope) to 1.

    Raises:
        ValueError: Shapes differ, a value is not finite, or there is less than one frame of 23.2 ms.
    """
    _check("reference", reference, rate_hz)
    _check("estimate", estimate, rate_hz)
    if reference.shape != estimate.shape:
        raise ValueError(
            f"estimate has shape {estimate.shape}, reference {reference.shape}; "
            "cut them to one length and give the same channels"
        )
    first, second = (_envelope(_to_peak(sound), rate_hz) for sound in (reference, estimate))
    return float(np.mean(np.abs(first - second)))


def _envelope(samples: FloatArray, rate_hz: int) -> FloatArray:
    frame, step = _frame_samples(rate_hz)
    total = np.cumsum(samples**2, axis=1)
    total = np.concatenate([np.zeros((len(samples), 1)), total], axis=1)
    starts = np.arange(0, samples.shape[1] - frame + 1, step)
    # Differences of a running sum can fall below 0 by rounding where a loud sound is followed by silence.
    return np.sqrt(np.maximum(total[:, starts + frame] - total[:, starts], 0.0) / frame)


def _to_peak(samples: FloatArray) -> FloatArray:
    wide = np.asarray(samples, np.float64)
    peak = float(np.max(np.abs(wide)))
    return wide / peak if peak > 0 else wide


def _frame_samples(rate_hz: int) -> tuple[int, int]:
    return max(1, round(FRAME_S * rate_hz)), max(1, round(STEP_S * rate_hz))


def _check(name: str, samples: FloatArray, rate_hz: int) -> None:
    if rate_hz <= 0:
        raise ValueError(f"rate_hz is {rate_hz}; give a rate above 0 Hz")
    if samples.ndim != 2 or samples.shape[0] < 1:
        raise ValueError(f"{name} has shape {samples.shape}; it must be (channels, samples)")
    frame = _frame_samples(rate_hz)[0]
    if samples.shape[1] < frame:
        raise ValueError(
            f"{name} has {samples.shape[1]} samples, less than one frame of {frame} at {rate_hz} Hz; "
            "give a longer sound"
        )
    if not np.all(np.isfinite(samples)):
        raise ValueError(
            f"{name} holds NaN or infinite samples; repair the file or leave it out and count it"
        )
