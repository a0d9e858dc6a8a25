import numpy as np
import pytest

from spatialfoley.pipeline.windows import Seams, join_windows, plan_windows


@pytest.mark.parametrize("hop_samples", [1, 8])
@pytest.mark.parametrize("clip_samples", [1, 79, 80, 81, 100, 159, 160, 161, 1000, 1777, 40_001])
def test_windows_cover_every_sample_and_lie_on_the_grid_of_the_codec(
    clip_samples: int, hop_samples: int
) -> None:
    plan = plan_windows(clip_samples, rate_hz=16, longest_s=5.0, overlap_s=0.5, hop_samples=hop_samples)
    covered = np.zeros(clip_samples, int)
    for start, length in zip(plan.starts, plan.lengths, strict=True):
        assert 0 < length <= 80
        assert start % hop_samples == 0
        covered[start : start + length] += 1
    assert covered.min() == 1
    if len(plan.starts) > 1:
        assert plan.window_samples == 80
        assert min(plan.overlaps[1:]) >= plan.overlap_samples == 8
        assert max(plan.overlaps[1:]) - min(plan.overlaps[1:]) <= hop_samples
    assert [plan.shared_with_next(i) for i in range(len(plan.starts))] == [*plan.overlaps[1:], 0]


def test_a_clip_that_fits_is_one_window() -> None:
    assert plan_windows(80, 16, 5.0, 0.5).starts == (0,)
    assert len(plan_windows(81, 16, 5.0, 0.5).starts) == 2
    assert plan_windows(81, 16, 5.0, 0.5, single_s=5.1).starts == (0,)


def test_a_window_is_a_whole_number_of_hops_whatever_the_rounding_of_seconds() -> None:
    plan = plan_windows(10_000_000, 44_100, 345 * 1024 / 44_100, 1.0, 1024)
    assert plan.window_samples == 345 * 1024
    assert plan.overlap_samples == 43 * 1024


def test_join_of_one_window_changes_nothing() -> None:
    piece = np.random.default_rng(0).standard_normal((4, 33)).astype(np.float32)
    assert np.array_equal(join_windows(plan_windows(33, 16, 5.0, 0.5), [piece]), piece)


@pytest.mark.parametrize("seconds", [5.1, 9.3, 9.9, 61.7])
def test_windows_cut_from_one_wave_join_to_that_wave(seconds: float) -> None:
    wave = np.random.default_rng(1).standard_normal((2, round(seconds * 16_000))).astype(np.float32)
    plan = plan_windows(wave.shape[1], 16_000, 5.0, 1.0, 320)
    pieces = [wave[:, s : s + n] for s, n in zip(plan.starts, plan.lengths, strict=True)]
    assert np.array_equal(join_windows(plan, pieces), wave)


def test_the_ends_of_windows_are_not_heard() -> None:
    plan = plan_windows(20 * 16_000, 16_000, 5.0, 1.0, 320)
    pieces = [np.ones((1, n), np.float32) for n in plan.lengths]
    for index, piece in enumerate(pieces):
        if index > 0:
            piece[:, : plan.overlaps[index] // 2 - 400] = 9.0
        if index < len(pieces) - 1:
            piece[:, -(plan.overlaps[index + 1] // 2 - 400) :] = -9.0
    assert np.array_equal(join_windows(plan, pieces), np.ones((1, 20 * 16_000), np.float32))


def test_a_level_that_differs_goes_over_evenly_in_the_middle_of_the_overlap() -> None:
    plan = plan_windows(9 * 16_000, 16_000, 5.0, 1.0, 320)
    joined = join_windows(plan, [np.full((1, n), index, np.float32) for index, n in enumerate(plan.lengths)])
    middle = plan.starts[1] + plan.overlaps[1] // 2
    assert joined[0, middle - 401] == 0
    assert joined[0, middle + 401] == 1
    assert np.allclose(np.diff(joined[0, middle - 400 : middle + 400]), 1 / 800, atol=1e-6)


def test_sound_of_another_length_than_its_window_is_refused() -> None:
    plan = plan_windows(33, 16, 5.0, 0.5)
    with pytest.raises(ValueError, match=r"window of 33 samples has the shape \(1, 32\)"):
        Seams(plan).join(plan.window(0), np.zeros((1, 32), np.float32))


def test_an_overlap_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap_s is 3.0, but must lie in \[0, 2.5\)"):
        plan_windows(100, 16, 5.0, 3.0)
    with pytest.raises(ValueError, match="clip_samples is 0"):
        plan_windows(0, 16, 5.0, 0.5)
