import numpy as np
import pytest

from spatialfoley.features.frame_choice import published_frame_indices


def test_first_frame_at_or_after_each_tick() -> None:
    times_s = np.array([0.0, 0.1, 0.3, 0.45, 0.9])
    assert published_frame_indices(times_s, 4, 1.0).tolist() == [0, 2, 4, 4]


def test_slow_video_repeats_the_later_frame() -> None:
    assert published_frame_indices([0.0, 1.0], 4, 1.0).tolist() == [0, 1, 1, 1]


def test_same_rate_takes_every_frame() -> None:
    assert published_frame_indices(np.arange(17) / 8, 8, 2.0).tolist() == list(range(16))


def test_short_video_gives_fewer_frames() -> None:
    assert len(published_frame_indices(np.arange(30) / 30, 8, 8.0)) == 8


def test_frames_after_the_end_are_not_looked_at() -> None:
    assert published_frame_indices([0.0, 0.1, 5.0], 10, 1.0).tolist() == [0, 1]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frame_times_s of shape \(2,\) must be one row of finite times"):
        published_frame_indices([1.0, 0.0], 8, 1.0)
    with pytest.raises(ValueError, match="finite times in order"):
        published_frame_indices([0.0, float("nan")], 8, 1.0)
    with pytest.raises(ValueError, match=r"rate_hz is 0 and duration_s 1\.0; both must be positive"):
        published_frame_indices([0.0], 0, 1.0)
