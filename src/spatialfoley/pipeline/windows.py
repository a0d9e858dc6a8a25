"""Long clips in windows the model can hold: where they start, and how their sound is joined.

All windows of a clip have the same length, at most the model's, and neighbours overlap by a fixed time. They
are joined by an equal-power crossfade, right for sounds that are alike but not the same wave, and in one
world frame, so that a source stays where it is while the camera turns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowPlan:
    """Windows over a clip, counted in samples so that they fit without a remainder.

    Attributes:
        clip_samples: length of the whole clip.
        window_samples: length of every window but the last, which ends with the clip.
        overlap_samples: samples that two neighbours share.
        starts: first sample of each window.
        rate_hz: sample rate of all counts above.
    """

    clip_samples: int
    window_samples: int
    overlap_samples: int
    starts: tuple[int, ...]
    rate_hz: int

    @property
    def lengths(self) -> tuple[int, ...]:
        """Samples of each window."""
        return tuple(min(self.window_samples, self.clip_samples - start) for start in self.starts)


def plan_windows(clip_samples: int, rate_hz: int, longest_s: float, overlap_s: float) -> WindowPlan:
    """Cover a clip by the fewest windows of equal length.

    Args:
        clip_samples: length of the clip, at least 1.
        rate_hz: sample rate.
        longest_s: longest window the model can hold, in seconds.
        overlap_s: seconds shared by neighbours, below half of longest_s.

    Raises:
        ValueError: if a length is not positive or the overlap does not fit.
    """
    if clip_samples < 1:
        raise ValueError(
            f"clip_samples is {clip_samples}, but a clip has at least 1 sample; give a longer video"
        )
    longest, overlap = round(longest_s * rate_hz), round(overlap_s * rate_hz)
    if not 0 <= overlap * 2 < longest:
        raise ValueError(
            f"overlap_s is {overlap_s}, but must lie in [0, {longest_s / 2}), half of the longest window"
        )
    if clip_samples <= longest:
        return WindowPlan(clip_samples, clip_samples, 0, (0,), rate_hz)
    count = math.ceil((clip_samples - overlap) / (longest - overlap))
    length = math.ceil((clip_samples + (count - 1) * overlap) / count)
    return WindowPlan(
        clip_samples, length, overlap, tuple(i * (length - overlap) for i in range(count)), rate_hz
    )


def join_windows(plan: WindowPlan, pieces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the sound of all windows into one clip by equal-power crossfades.

    Args:
        plan: the windows.
        pieces: one array (C, N_i) for each window, N_i as in ``plan.lengths``.

    Returns:
        array (C, plan.clip_samples).
    """
    joined = np.zeros((pieces[0].shape[0], plan.clip_samples), np.float32)
    phase = (np.arange(plan.overlap_samples) + 0.5) / max(plan.overlap_samples, 1) * (np.pi / 2)
    rising = np.sin(phase).astype(np.float32)
    for index, (start, length, piece) in enumerate(zip(plan.starts, plan.lengths, pieces, strict=True)):
        faded = np.array(piece[:, :length], np.float32)
        if index > 0:
            faded[:, : rising.size] *= rising
        if index < len(plan.starts) - 1 and rising.size:
            faded[:, -rising.size :] *= rising[::-1]
        joined[:, start : start + length] += faded
    return joined
