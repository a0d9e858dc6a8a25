"""A picture whose clock runs faster."""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video, read_video


def grey(levels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 32, 32, 3)).astype(np.uint8)


@pytest.fixture(params=["memory", "file", "walked"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Video:
    """Eight seconds; the frame at second t is as bright as 20 t."""
    frames = grey(np.arange(80) * 2)
    if request.param == "memory":
        return Video.from_frames(frames, 10)
    write_frames(tmp_path / "ramp.mp4", iter(frames), 10, crf=1)
    read = read_video(tmp_path / "ramp.mp4")
    return read.walked() if request.param == "walked" else read


def test_all_of_a_clip_is_seen_in_less_time(video: Video) -> None:
    fast = video.sped_up(1.6)
    assert fast.duration_s == pytest.approx(5.0)
    assert (fast.frame_count, fast.average_rate_hz) == (80, pytest.approx(16.0))
    times_s = np.arange(100) / 20
    np.testing.assert_array_equal(fast.frames_at(times_s), video.frames_at(times_s * 1.6))
    np.testing.assert_allclose(fast.frames_at([4.99])[0].mean(), 158, atol=3)


def test_a_stretch_stays_the_same_stretch(tmp_path: Path) -> None:
    write_frames(tmp_path / "ramp.mp4", iter(grey(np.arange(80) * 2)), 10, crf=1)
    part = read_video(tmp_path / "ramp.mp4", 3.0, 4.0)
    np.testing.assert_array_equal(part.sped_up(2.0).frames_at([0.0, 1.0]), part.frames_at([0.0, 2.0]))


def test_there_and_back_is_the_same_clock(video: Video) -> None:
    again = video.sped_up(1.6).sped_up(1 / 1.6)
    np.testing.assert_allclose(again.frame_times_s(), video.frame_times_s(), atol=1e-9)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_clock_runs_forward(factor: float) -> None:
    with pytest.raises(ValueError, match=r"factor is .*; give a number above 0"):
        Video.from_frames(grey(np.arange(2)), 10).sped_up(factor)
