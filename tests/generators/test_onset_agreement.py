import numpy as np
import pytest

from spatialfoley.generators.visage.onset_agreement import loudness_rise, onset_agreement, seen_change

FRAMES, HOP = 40, 100


def strikes(*frames: int) -> np.ndarray:
    """Noise that begins at video frames, and dies away."""
    sound = np.zeros(FRAMES * HOP)
    noise = np.random.default_rng(0).standard_normal(FRAMES * HOP)
    for frame in frames:
        rest = np.arange(FRAMES * HOP - frame * HOP)
        sound[frame * HOP :] += noise[rest] * np.exp(-rest / (3 * HOP))
    return sound


def flashes(*frames: int) -> np.ndarray:
    """One patch that lights up and stays lit."""
    energy = np.full((FRAMES, 49), 1 / 49)
    for number, frame in enumerate(frames):
        energy[frame:] = np.eye(49)[number]
    return energy


def test_a_sound_that_begins_when_something_is_seen_agrees_best() -> None:
    right = onset_agreement(strikes(8, 25), flashes(8, 25))
    assert right > 0.9
    assert onset_agreement(strikes(14, 33), flashes(8, 25)) < 0.1 < right


def test_what_neither_rises_nor_changes_says_nothing() -> None:
    assert onset_agreement(np.zeros(FRAMES * HOP), flashes(8)) == 0.0
    assert onset_agreement(strikes(8), np.full((FRAMES, 49), 1 / 49)) == 0.0
    assert onset_agreement(np.ones(5), np.ones((1, 49))) == 0.0


def test_loudness_rises_by_decibels_and_not_out_of_faint_tails() -> None:
    levels = np.repeat([1e-9, 0.1, 1.0, 0.5], HOP)
    assert loudness_rise(levels, 4) == pytest.approx([0.0, 20.0, 20.0, 0.0])


def test_change_is_counted_from_frame_to_frame() -> None:
    assert seen_change(flashes(3)[:5]) == pytest.approx([0, 0, 0, 2 * 48 / 49, 0])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"energy_map has the shape \(0, 49\)"):
        seen_change(np.zeros((0, 49)))
    with pytest.raises(ValueError, match=r"mono has the shape \(3,\), not \(N,\) with N at least parts, 4"):
        loudness_rise(np.zeros(3), 4)
