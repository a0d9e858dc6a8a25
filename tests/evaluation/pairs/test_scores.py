from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.pairs.measures import MEASURES
from spatialfoley.evaluation.pairs.scores import (
    ear_scores,
    field_scores,
    require_sound,
    sound_of_field,
    sound_scores,
)
from tests.evaluation.pairs.sounds import ears, mono, sound, wave


def test_two_plane_waves_differ_by_their_angle() -> None:
    truth, found = wave(0).samples, wave(60).samples
    scores = field_scores(truth, found)
    assert scores["cc/all/correct"] == pytest.approx(0.5, abs=1e-3)
    assert scores["peak_angle_deg"] == pytest.approx(60, abs=1)
    assert scores["intensity_angle_deg"] == pytest.approx(60, abs=0.1)
    # Two waves from opposite sides have 0.5; the distance grows with the sine of half the angle.
    assert scores["energy_l1/all"] == pytest.approx(0.25, abs=5e-3)
    assert scores["field_coherence"] == pytest.approx(1, abs=1e-6)
    same = field_scores(truth, truth)
    assert (same["peak_angle_deg"], same["energy_l1/5fps"]) == (0, 0)
    assert same["auc/all/correct"] == pytest.approx(1)
    assert same["auc/all/reference"] == pytest.approx(0.9996, abs=1e-4)


def test_silence_is_scored_as_what_it_is() -> None:
    truth, nothing = wave(30).samples, np.zeros((4, 32000), np.float32)
    scores = field_scores(truth, nothing)
    assert (scores["cc/5fps/correct"], scores["auc/5fps/correct"], scores["peak_angle_deg"]) == (0, 0.5, 90)
    assert sound_scores(truth[:1], nothing[:1])["level_db"] is None
    assert ear_scores(ears(30).samples, nothing[:2])["louder_ear_right"] is None


def test_a_truth_without_direction_has_no_angle() -> None:
    everywhere = np.zeros((4, 32000), np.float32)
    everywhere[0] = wave(0).samples[0]
    assert field_scores(everywhere, wave(0).samples)["peak_angle_deg"] is None


def test_as_published_leaves_undefined_windows_out_of_the_reference_variant_only() -> None:
    truth = wave(30).samples
    late = truth.copy()
    late[:, :16000] = 0
    ours, theirs = field_scores(truth, late), field_scores(truth, late, as_published=True)
    assert ours["cc/1fps/reference"] == pytest.approx(0.5, abs=1e-3)
    assert theirs["cc/1fps/reference"] == pytest.approx(1.0, abs=1e-3)
    assert theirs["cc/1fps/correct"] == ours["cc/1fps/correct"] == pytest.approx(0.5, abs=1e-3)


def test_a_silent_truth_is_an_error_of_its_file() -> None:
    silent = sound(np.zeros((4, 100), np.float32), "foa")
    with pytest.raises(
        ValueError, match=r"t\.wav is silent \(peak 0\); nothing can be compared with silence"
    ):
        require_sound(silent, Path("t.wav"))
    require_sound(wave(0), Path("t.wav"))


def test_two_ears_are_compared_by_side_level_and_time() -> None:
    truth = ears(60).samples
    right, wrong = ear_scores(truth, truth), ear_scores(truth, ears(-60).samples)
    assert right["level_error_db"] == pytest.approx(0, abs=1e-3)
    assert right["delay_error_us"] == 0
    assert (right["louder_ear_right"], right["earlier_ear_right"]) == (1, 1)
    assert (wrong["louder_ear_right"], wrong["earlier_ear_right"]) == (0, 0)
    assert wrong["level_error_db"] > 10
    assert wrong["delay_error_us"] > 500
    assert right["ear_coherence"] == pytest.approx(right["true_ear_coherence"])
    assert right["one_channel_twice"] == 0
    assert ear_scores(truth, np.repeat(mono().samples, 2, axis=0))["one_channel_twice"] == 1


def test_one_channel_is_timed_and_measured() -> None:
    truth = wave(10).samples
    scores = sound_scores(sound_of_field(truth), 0.5 * sound_of_field(truth))
    assert scores["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert scores["envelope_l1"] == pytest.approx(0, abs=1e-6)
    assert scores["onset_error_s"] == 0


def test_every_score_has_a_measure_and_a_table() -> None:
    field, two, one = wave(0).samples, ears(0).samples, mono().samples
    made = set(field_scores(field, field)) | set(ear_scores(two, two)) | set(sound_scores(one, one))
    known = {measure.metric.key for measure in MEASURES}
    assert made <= known
    assert known - made == {"desync_s", "agreement"}
