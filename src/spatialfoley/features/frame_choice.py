"""Which frames of a file the published MMAudio code looks at.

It walks through the frames with a clock that is a running sum of 1 / rate, and takes a frame while the clock has
not passed it: the first frame at or after each tick, not the one on screen. Where a tick and a frame coincide, the
rounding of the running sum decides, so the sum is kept as it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def published_frame_indices(
    frame_times_s: npt.ArrayLike, rate_hz: float, duration_s: float
) -> npt.NDArray[np.int64]:
    """Indices of the frames taken at `rate_hz` from the start of a video.

    Args:
        frame_times_s: Times (N,) of the frames of the file in seconds from the start, not descending.
        rate_hz: Frames per second wanted: 8 for CLIP, 25 for Synchformer.
        duration_s: Frames after this time are not looked at.

    Returns:
        At most int(rate_hz * duration_s) indices; fewer if the video ends before. A video shorter than
        `duration_s` is given the duration len(indices) / rate_hz by the published code.

    Raises:
        ValueError: If times are not finite or descend, or the rate or the duration is not positive.
    """
    times = np.asarray(frame_times_s, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError(f"frame_times_s of shape {times.shape} must be one row of finite times in order")
    if not (np.isfinite(rate_hz) and rate_hz > 0 and np.isfinite(duration_s) and duration_s > 0):
        raise ValueError(f"rate_hz is {rate_hz} and duration_s {duration_s}; both must be positive")
    count = int(rate_hz * duration_s)
    chosen: list[int] = []
    tick_s = 0.0
    for index, time_s in enumerate(times):
        if time_s > duration_s:
            break
        while time_s >= tick_s:
            chosen.append(index)
            tick_s += 1 / rate_hz
    return np.array(chosen[:count], dtype=np.int64)
