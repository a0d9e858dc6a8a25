import numpy as np
import pytest
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.motion_onset import frame_changes, motion_onsets, onset_agreement
from spatialfoley.evaluation.metrics.onset import OnsetScore
from spatialfoley.world import make_scene, render_mono, render_view, truth_at

RATE_HZ = 25.0


def flashes(*at: int, count: int = 75) -> NDArray[np.uint8]:
    """A dark picture in which a light goes on at some frames and fades."""
    frames = np.full((count, 16, 16, 3), 30, np.uint8)
    for index in at:
        for later, level in enumerate((250, 200, 150, 100, 60)):
            frames[index + later, 4:8, 4:8] = level
    return frames


def clicks(*seconds: float) -> NDArray[np.float64]:
    mono = np.zeros(3 * 16000)
    for second in seconds:
        start = round(second * 16000)
        mono[start : start + 800] = np.sin(np.arange(800)) * np.linspace(1, 0, 800)
    return mono


def test_change_is_the_root_mean_square_difference_of_luminance() -> None:
    frames = np.zeros((3, 2, 2, 3), np.uint8)
    frames[1, 0, 0] = 100
    frames[2] = frames[1]
    np.testing.assert_allclose(frame_changes(frames), [0.0, 50.0, 0.0], atol=1e-4)
    frames[2, 1, 1, 1] = 200  # green alone
    assert frame_changes(frames)[2] == pytest.approx(0.587 * 200 / 2, abs=1e-3)


def test_blocks_of_frames_are_joined_without_a_seam() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (150, 4, 4, 3), dtype=np.uint8)
    alone = [frame_changes(frames[index - 1 : index + 1])[1] for index in range(1, 150)]
    np.testing.assert_allclose(frame_changes(frames), [0.0, *alone], atol=1e-4)


def test_a_light_goes_on_between_two_frames() -> None:
    found = motion_onsets(flashes(10, 30, 50), RATE_HZ)
    np.testing.assert_allclose(found, [9.5 / 25, 29.5 / 25, 49.5 / 25])


def test_steady_motion_and_stillness_are_no_onsets() -> None:
    frames = np.zeros((75, 16, 96, 3), np.uint8)
    for index in range(75):
        frames[index, :, index : index + 12] = 200
    assert len(motion_onsets(frames, RATE_HZ)) == 0
    assert len(motion_onsets(frames[:1].repeat(75, axis=0), RATE_HZ)) == 0
    assert len(motion_onsets(frames[:1], RATE_HZ)) == 0


def test_faint_flicker_beside_a_strike_is_no_onset() -> None:
    frames = flashes(30)
    frames[50:, :2, :2] += 5
    np.testing.assert_allclose(motion_onsets(frames, RATE_HZ), [29.5 / 25])


def test_sound_that_goes_with_the_picture_overlaps_fully() -> None:
    score = onset_agreement(flashes(10, 30, 50), RATE_HZ, clicks(0.38, 1.18, 1.98), 16000)
    assert score.overlap == 1.0
    assert score.median_abs_error_s is not None
    assert score.median_abs_error_s < 0.02


def test_sound_without_picture_and_picture_without_sound_are_told_apart() -> None:
    score = onset_agreement(flashes(10, 50), RATE_HZ, clicks(0.38, 1.2), 16000)
    assert (len(score.errors_s), score.misses, score.false_alarms) == (1, 1, 1)
    assert score.overlap == pytest.approx(1 / 3)


def test_sound_that_comes_late_shows_it() -> None:
    score = onset_agreement(flashes(10, 30, 50), RATE_HZ, clicks(0.48, 1.28, 2.08), 16000)
    assert float(np.median(score.errors_s)) == pytest.approx(0.1, abs=0.02)
    assert onset_agreement(flashes(10, 50), RATE_HZ, clicks(0.78, 2.38), 16000).overlap == 0.0


def test_nothing_at_all_has_no_figure() -> None:
    assert onset_agreement(flashes(), RATE_HZ, np.zeros(48000), 16000).overlap is None
    assert OnsetScore(np.zeros(0), 0, 0).overlap is None


def test_events_of_the_world_are_seen_when_they_are_heard() -> None:
    times_s = np.arange(125) / 25
    scenes = [make_scene(seed, kind="centred", camera="static", duration_s=5.0) for seed in (11, 12, 13)]
    views = [render_view(scene, times_s, size_px=48) for scene in scenes]
    sounds = [render_mono(scene, 16000) for scene in scenes]
    own, foreign = [], []
    for index, (scene, view) in enumerate(zip(scenes, views, strict=True)):
        seen = motion_onsets(view, RATE_HZ)
        for true_s in truth_at(scene, times_s).onset_times_s[0]:
            assert np.min(np.abs(seen - true_s)) < 0.05
        own.append(onset_agreement(view, RATE_HZ, sounds[index], 16000).overlap or 0.0)
        foreign.append(onset_agreement(view, RATE_HZ, sounds[index - 1], 16000).overlap or 0.0)
    assert np.mean(own) > 0.6
    assert np.mean(own) > np.mean(foreign) + 0.2


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"frames is float64 of shape \(5, 4, 4, 3\); give uint8 RGB"):
        motion_onsets(np.zeros((5, 4, 4, 3)), RATE_HZ)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"frame_rate_hz is 4; onsets 0\.15 s apart need at least 6\.7 frames"
    ):
        motion_onsets(flashes(), 4)
    with pytest.raises(ValueError, match="mono has shape"):
        onset_agreement(flashes(), RATE_HZ, np.zeros((2, 48000)), 16000)
