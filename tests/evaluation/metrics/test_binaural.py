import numpy as np
import pytest

from spatialfoley.evaluation.metrics.binaural import (
    clear_side,
    delay_error_s,
    delay_side_right,
    difference_share_db,
    ear_cues,
    is_mono_collapse,
    left_right_distance,
    level_error_db,
    level_moments,
    louder_ear_right,
    mean_coherence,
)
from spatialfoley.evaluation.metrics.statistics import correlation_interval
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000
NOISE = np.random.default_rng(1).normal(0, 0.1, (2, 2 * RATE_HZ)).astype(np.float32)
LEFT = np.full(4, 0.5)


def delayed(samples: int) -> np.ndarray:
    """Sound from the left: the right ear hears it later."""
    return np.stack([NOISE[0], np.roll(NOISE[0], samples)])


def louder_left(gain_db: float) -> np.ndarray:
    return NOISE[:1] * np.array([[10 ** (gain_db / 20)], [1.0]])


def heard_from(azimuth_deg: float) -> np.ndarray:
    field = SpatialAudio(encode(NOISE[0], unit_vectors(azimuth_deg, 0)), RATE_HZ, "foa")
    return render_binaural(field).samples


def test_identity_is_perfect() -> None:
    cues = ear_cues(heard_from(40), RATE_HZ)
    assert len(cues.energy) == 4
    assert (level_error_db(cues, cues, LEFT), delay_error_s(cues, cues, LEFT)) == (0, 0)
    assert (louder_ear_right(cues, LEFT), delay_side_right(cues, cues, LEFT)) == (1, 1)
    assert is_mono_collapse(heard_from(40), heard_from(40)) is False


def test_a_pure_delay_is_an_error_of_time_alone() -> None:
    reference, estimate = ear_cues(delayed(2), RATE_HZ), ear_cues(delayed(6), RATE_HZ)
    assert delay_error_s(reference, estimate, LEFT) == pytest.approx(4 / RATE_HZ, abs=4e-6)
    assert level_error_db(reference, estimate, LEFT) == pytest.approx(0, abs=0.05)
    assert delay_side_right(reference, estimate, LEFT) == 1
    assert delay_side_right(reference, ear_cues(delayed(-6), RATE_HZ), LEFT) == 0


def test_a_pure_level_is_an_error_of_level_alone() -> None:
    reference, estimate = ear_cues(louder_left(3), RATE_HZ), ear_cues(louder_left(-2), RATE_HZ)
    assert level_error_db(reference, estimate, LEFT) == pytest.approx(5, abs=1e-3)
    assert delay_error_s(reference, estimate, LEFT) == 0
    assert louder_ear_right(reference, LEFT) == 1
    assert louder_ear_right(estimate, LEFT) == 0
    assert louder_ear_right(estimate, -LEFT) == 1


def test_swapped_ears_are_wrong_on_every_count() -> None:
    true, swapped = ear_cues(heard_from(50), RATE_HZ), ear_cues(heard_from(50)[::-1], RATE_HZ)
    assert (louder_ear_right(swapped, LEFT), delay_side_right(true, swapped, LEFT)) == (0, 0)
    assert level_error_db(true, swapped, LEFT) == pytest.approx(2 * abs(true.level_db).mean(), rel=0.01)
    assert delay_error_s(true, swapped, LEFT) == pytest.approx(2 * abs(true.delay_s).mean(), rel=0.05)
    assert mean_coherence(swapped) == pytest.approx(mean_coherence(true))


def test_one_channel_given_twice_is_found_out_and_scores_by_chance() -> None:
    mono = np.stack([NOISE[0], NOISE[0]])
    true, cues = ear_cues(heard_from(-60), RATE_HZ), ear_cues(mono, RATE_HZ)
    assert (louder_ear_right(cues, -LEFT), delay_side_right(true, cues, -LEFT)) == (0.5, 0.5)
    assert is_mono_collapse(heard_from(-60), mono) is True
    assert is_mono_collapse(mono, mono) is None
    assert difference_share_db(mono) == -200
    assert left_right_distance(mono) == 0
    assert mean_coherence(cues) == pytest.approx(1)


def test_independent_noise_has_no_coherence_and_no_collapse() -> None:
    true, cues = ear_cues(heard_from(60), RATE_HZ), ear_cues(NOISE, RATE_HZ)
    assert mean_coherence(cues) < 0.3 < 0.95 < mean_coherence(true)
    assert difference_share_db(NOISE) == pytest.approx(0, abs=0.1)
    assert is_mono_collapse(heard_from(60), NOISE) is False
    assert delay_error_s(true, cues, LEFT) > 100e-6


def test_left_right_distance_sees_shape_and_not_level() -> None:
    assert left_right_distance(louder_left(12)) == pytest.approx(0, abs=1e-6)
    opposite = np.stack([NOISE[0], -NOISE[0]])
    square = np.array([[1.0, -1.0] * 50, [-1.0, 1.0] * 50])
    assert left_right_distance(square) == pytest.approx(2)
    assert left_right_distance(opposite) > left_right_distance(NOISE) > 0.1
    assert left_right_distance(np.zeros((2, 9))) == 0


def test_sources_near_the_middle_have_no_side() -> None:
    assert clear_side(np.array([0.16, -0.18, 0.18, np.nan])).tolist() == [False, True, True, False]
    cues = ear_cues(heard_from(5), RATE_HZ)
    assert louder_ear_right(cues, np.full(4, 0.1)) is None
    assert level_error_db(cues, cues, np.full(4, 0.1)) is None


def test_only_loud_windows_count_and_loud_ones_count_more() -> None:
    reference = ear_cues(heard_from(60), RATE_HZ)
    estimate = heard_from(60).copy()
    half = RATE_HZ // 2
    estimate[:, :half] = 0.1 * heard_from(-60)[:, :half]
    share = louder_ear_right(ear_cues(estimate, RATE_HZ), LEFT)
    assert share == pytest.approx(1 - 0.01 / 3.01, abs=2e-3)
    estimate[:, :half] *= 1e-2
    assert louder_ear_right(ear_cues(estimate, RATE_HZ), LEFT) == 1
    assert level_error_db(reference, ear_cues(estimate, RATE_HZ), LEFT) == pytest.approx(0, abs=0.01)


def test_silence_has_no_scores() -> None:
    true, silent = ear_cues(heard_from(60), RATE_HZ), ear_cues(np.zeros((2, 2 * RATE_HZ)), RATE_HZ)
    assert not silent.sounding.any()
    assert np.isnan(silent.level_db).all()
    assert louder_ear_right(silent, LEFT) is None
    assert delay_side_right(true, silent, LEFT) is None
    assert level_error_db(true, silent, LEFT) is None
    assert mean_coherence(silent) is None
    assert is_mono_collapse(heard_from(60), np.zeros((2, 2 * RATE_HZ))) is None
    assert level_moments(true, silent)[0] == 0


def test_one_silent_ear_is_the_limit_of_level_without_time() -> None:
    cues = ear_cues(np.stack([NOISE[0], 0 * NOISE[0]]), RATE_HZ)
    assert cues.level_db.tolist() == [40] * 4
    assert (cues.delay_s.tolist(), cues.coherence.tolist()) == ([0] * 4, [0] * 4)
    assert louder_ear_right(cues, LEFT) == 1
    assert delay_side_right(ear_cues(heard_from(60), RATE_HZ), cues, LEFT) == 0.5


def test_no_delay_is_asked_of_sound_without_low_frequencies() -> None:
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    chirp = np.sin(2 * np.pi * 3000 * time_s) * np.hanning(2 * RATE_HZ)
    ears = ear_cues(np.stack([chirp, np.roll(chirp, 5)]), RATE_HZ)
    noise = ear_cues(delayed(5), RATE_HZ)
    assert delay_error_s(ears, noise, LEFT) is None
    assert delay_side_right(ears, noise, LEFT) is None
    assert delay_side_right(noise, noise, LEFT) == 1


def test_level_differences_that_follow_correlate() -> None:
    azimuths = [[60, 40, 10, -20], [-60, -30, 0, 50]]
    half = RATE_HZ // 2

    def moving(path: list[float]) -> np.ndarray:
        parts = [heard_from(azimuth)[:, :half] for azimuth in path]
        return np.concatenate(parts, axis=1)

    true = [ear_cues(moving(path), RATE_HZ) for path in azimuths]
    same = [level_moments(cues, cues) for cues in true]
    assert correlation_interval(same).value == pytest.approx(1)
    assert correlation_interval(same, within=True).value == pytest.approx(1)
    other = [
        level_moments(cues, ear_cues(moving([-a for a in path]), RATE_HZ))
        for cues, path in zip(true, azimuths, strict=True)
    ]
    assert correlation_interval(other, within=True).value < -0.98


def test_bad_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"ears has shape \(3, 5\); it must be \(2, samples\)"):
        ear_cues(np.zeros((3, 5)), RATE_HZ)
    with pytest.raises(ValueError, match="ears holds NaN or infinity"):
        ear_cues(np.full((2, 400), np.nan), RATE_HZ)
    with pytest.raises(ValueError, match=r"lateral has shape \(3,\), the ears have 4 windows"):
        louder_ear_right(ear_cues(NOISE, RATE_HZ), np.zeros(3))
    with pytest.raises(ValueError, match="reference has 2 windows, estimate 4"):
        level_error_db(ear_cues(NOISE[:, :RATE_HZ], RATE_HZ), ear_cues(NOISE, RATE_HZ), LEFT)
