import numpy as np
import pytest

from spatialfoley.pipeline.windows import join_windows, plan_windows


@pytest.mark.parametrize("clip_samples", [1, 79, 80, 81, 159, 160, 161, 1000, 1777])
def test_windows_cover_every_sample_and_no_more(clip_samples: int) -> None:
    plan = plan_windows(clip_samples, rate_hz=16, longest_s=5.0, overlap_s=0.5)
    covered = np.zeros(clip_samples, int)
    for start, length in zip(plan.starts, plan.lengths, strict=True):
        assert 0 < length <= 80
        covered[start : start + length] += 1
    assert covered.min() == 1
    assert covered.max() <= 2
    assert (covered == 2).sum() == plan.overlap_samples * (len(plan.starts) - 1)


def test_a_clip_that_fits_is_one_window() -> None:
    assert plan_windows(80, 16, 5.0, 0.5).starts == (0,)
    assert len(plan_windows(81, 16, 5.0, 0.5).starts) == 2


def test_join_of_one_window_changes_nothing() -> None:
    piece = np.random.default_rng(0).standard_normal((4, 33)).astype(np.float32)
    assert np.array_equal(join_windows(plan_windows(33, 16, 5.0, 0.5), [piece]), piece)


def test_crossfade_keeps_the_power_of_unlike_sounds() -> None:
    generator = np.random.default_rng(1)
    plan = plan_windows(200_000, 16_000, 5.0, 1.0)
    pieces = [generator.standard_normal((1, n)).astype(np.float32) for n in plan.lengths]
    joined = join_windows(plan, pieces)
    overlap = slice(plan.starts[1], plan.starts[1] + plan.overlap_samples)
    assert np.mean(joined[:, overlap] ** 2) == pytest.approx(1.0, abs=0.05)
    assert np.mean(joined**2) == pytest.approx(1.0, abs=0.02)


def test_an_overlap_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap_s is 3.0, but must lie in \[0, 2.5\)"):
        plan_windows(100, 16, 5.0, 3.0)
    with pytest.raises(ValueError, match="clip_samples is 0"):
        plan_windows(0, 16, 5.0, 0.5)
