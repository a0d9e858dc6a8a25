"""Long clips in windows the model can hold: where they start, and how their sound is joined.

All windows of a clip have the same length and lie on the grid of the codec's frames, so that the end of one
window is, token for token or latent for latent, the beginning of the next. Both decode that overlap to the same
wave, but for its very ends, which lack the neighbours a codec looks at. So the sounds are joined by a short linear
crossfade in the middle of the overlap, where both have seen enough.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FADE_S = 0.05
"""Length of the crossfade; it only has to hide how little two decodings of the same tokens differ."""


@dataclass(frozen=True)
class Window:
    """One stretch of a clip, in samples of its plan's rate.

    Attributes:
        index: number of the window, from 0.
        start: its first sample.
        length: its samples; the last window ends with the clip.
        last: whether it is the last one.
    """

    index: int
    start: int
    length: int
    last: bool


@dataclass(frozen=True)
class WindowPlan:
    """Windows over a clip, counted in samples.

    Attributes:
        clip_samples: length of the whole clip.
        window_samples: length of every window; the last one may reach a little beyond the clip.
        overlap_samples: samples that two neighbours share at least.
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
        """Samples of each window within the clip."""
        return tuple(min(self.window_samples, self.clip_samples - start) for start in self.starts)

    @property
    def overlaps(self) -> tuple[int, ...]:
        """Samples that each window shares with the one before; 0 for the first."""
        return (0, *(a + self.window_samples - b for a, b in zip(self.starts, self.starts[1:], strict=False)))

    @property
    def fade_samples(self) -> int:
        """Length of a crossfade."""
        return min(round(FADE_S * self.rate_hz), self.overlap_samples)

    def window(self, index: int) -> Window:
        """One of the windows."""
        start = self.starts[index]
        length = min(self.window_samples, self.clip_samples - start)
        return Window(index, start, length, index == len(self.starts) - 1)

    def shared_with_next(self, index: int) -> int:
        """Samples that a window shares with the one after it; 0 for the last."""
        if index == len(self.starts) - 1:
            return 0
        return self.starts[index] + self.window_samples - self.starts[index + 1]

    def fade_start(self, index: int) -> int:
        """Sample of the clip at which a window begins to be heard: the crossfade from the one before."""
        if index == 0:
            return 0
        shared = self.shared_with_next(index - 1)
        return self.starts[index] + (shared - self.fade_samples) // 2


def plan_windows(
    clip_samples: int,
    rate_hz: int,
    longest_s: float,
    overlap_s: float,
    hop_samples: int = 1,
    single_s: float | None = None,
) -> WindowPlan:
    """Cover a clip by the fewest windows of the greatest length, spread evenly.

    Args:
        clip_samples: length of the clip, at least 1.
        rate_hz: sample rate.
        longest_s: longest window the model can hold, in seconds.
        overlap_s: seconds shared by neighbours at least, below half of longest_s.
        hop_samples: samples of one codec frame: windows start and end on such frames.
        single_s: a clip up to this long stays one window, of its own length; None for longest_s.

    Raises:
        ValueError: if a length is not positive or the overlap does not fit.
    """
    if clip_samples < 1:
        raise ValueError(
            f"clip_samples is {clip_samples}, but a clip has at least 1 sample; give a longer video"
        )
    # A whole number of hops may come out as 344.9999999 of them.
    longest = math.floor(longest_s * rate_hz / hop_samples + 1e-6)
    overlap = round(overlap_s * rate_hz / hop_samples)
    if not 0 <= overlap * 2 < longest:
        raise ValueError(
            f"overlap_s is {overlap_s}, but must lie in [0, {longest_s / 2}), half of the longest window"
        )
    if clip_samples <= max(longest * hop_samples, round((single_s or 0.0) * rate_hz)):
        return WindowPlan(clip_samples, clip_samples, 0, (0,), rate_hz)
    frames = -(-clip_samples // hop_samples)
    count = math.ceil((frames - overlap) / (longest - overlap))
    starts = tuple((frames - longest) * index // (count - 1) * hop_samples for index in range(count))
    return WindowPlan(clip_samples, longest * hop_samples, overlap * hop_samples, starts, rate_hz)


class Seams:
    """Joins the sound of windows as they come, holding nothing but the end that is still to be faded out.

    Attributes:
        tail: the last window's part of the coming crossfade (C, fade); None before the first window.
    """

    def __init__(self, plan: WindowPlan, tail: NDArray[np.float32] | None = None) -> None:
        """Start, or go on after the window that left `tail`."""
        self._plan, self.tail = plan, tail
        fade = plan.fade_samples
        self._rising = ((np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)

    def join(self, window: Window, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples of the clip that are final once this window is known.

        Args:
            window: the next window, in order.
            piece: its sound (C, window.length).

        Returns:
            array (C, n), following what the call before returned.

        Raises:
            ValueError: if the sound is not as long as the window.
        """
        plan = self._plan
        if piece.ndim != 2 or piece.shape[1] != window.length:
            raise ValueError(f"the sound of a window of {window.length} samples has the shape {piece.shape}")
        begin = plan.fade_start(window.index) - window.start
        end = window.length if window.last else plan.fade_start(window.index + 1) - window.start
        finished = np.array(piece[:, begin:end], np.float32)
        if self.tail is not None:
            fade = self._rising.size
            finished[:, :fade] = self.tail + (finished[:, :fade] - self.tail) * self._rising
        self.tail = np.array(piece[:, end : end + plan.fade_samples], np.float32)
        return finished


def join_windows(plan: WindowPlan, pieces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the sound of all windows into one clip.

    Args:
        plan: the windows.
        pieces: one array (C, N_i) for each window, at least as long as ``plan.lengths`` says.

    Returns:
        array (C, plan.clip_samples).
    """
    seams = Seams(plan)
    windows = (plan.window(index) for index in range(len(plan.starts)))
    parts = [seams.join(w, piece[:, : w.length]) for w, piece in zip(windows, pieces, strict=True)]
    return np.concatenate(parts, axis=1)
