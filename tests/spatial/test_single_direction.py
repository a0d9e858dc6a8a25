import numpy as np
import pytest

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.single_direction import ambi_encode, mono_decode

SOUND = np.sin(np.arange(200) * 0.2).astype(np.float32)
LEFT_UP = Direction(60, 20)


def test_correct_baseline_comes_from_the_camera_direction():
    field = ambi_encode(SOUND, LEFT_UP)
    assert angle_between_deg(peak_vectors(energy_map(covariance(field))), LEFT_UP.vector()) < 0.1
    np.testing.assert_allclose(field[W], SOUND)


def test_reference_baseline_is_mirrored_and_three_decibels_too_strong():
    field = ambi_encode(SOUND, LEFT_UP, "reference")
    x, y, z = np.sqrt(2) * LEFT_UP.vector()
    np.testing.assert_allclose(field[X], x * SOUND, atol=1e-6)
    np.testing.assert_allclose(field[Y], -y * SOUND, atol=1e-6)
    np.testing.assert_allclose(field[Z], z * SOUND, atol=1e-6)


def test_decode_of_a_source_ahead_and_behind():
    field = ambi_encode(SOUND, LEFT_UP)
    np.testing.assert_allclose(mono_decode(field, LEFT_UP), SOUND, atol=1e-6)
    np.testing.assert_allclose(mono_decode(field, Direction(-120, -20)), 0.0, atol=1e-6)


def test_reference_decode_listens_to_the_mirrored_side():
    field = ambi_encode(SOUND, Direction(-60, 20))
    np.testing.assert_allclose(mono_decode(field, LEFT_UP, "reference"), 2.0 * SOUND, atol=1e-6)


def test_reference_bug_multiplies_two_signals():
    field = np.array([[1.0], [3.0], [5.0], [7.0]])  # W, Y, Z, X
    decoded = mono_decode(field, Direction(45, 30), "reference_bug")
    assert decoded[0] == pytest.approx(1.0 - 0.5 * 7.0 * 3.0 + 0.5 * 5.0)


def test_all_variants_agree_on_a_source_in_front_but_for_gain():
    field = ambi_encode(SOUND, Direction(0))
    np.testing.assert_allclose(
        2.0 * mono_decode(field, Direction(0)), mono_decode(field, Direction(0), "reference")
    )


def test_unknown_variants_are_named():
    with pytest.raises(ValueError, match="variant is 'wrong'; it must be 'correct' or 'reference'"):
        ambi_encode(SOUND, LEFT_UP, "wrong")
    with pytest.raises(
        ValueError, match="variant is 'wrong'; it must be 'correct', 'reference' or 'reference_bug'"
    ):
        mono_decode(np.zeros((4, 3)), LEFT_UP, "wrong")
