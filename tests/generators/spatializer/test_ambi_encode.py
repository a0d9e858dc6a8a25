import numpy as np
import pytest

from spatialfoley.generators.spatializer.ambi_encode import ambi_encode
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

MONO = SpatialAudio(np.random.default_rng(0).uniform(-0.3, 0.3, (1, 400)), 100, "mono")
S = MONO.samples[0]


def test_camera_facing_left_hears_only_y() -> None:
    field = ambi_encode(MONO, Direction(90.0)).samples
    np.testing.assert_allclose(field, [S, S, 0 * S, 0 * S], atol=1e-6)


def test_released_script_mirrors_left_and_right_and_is_3_db_too_directional() -> None:
    correct = ambi_encode(MONO, Direction(40.0, 20.0)).samples
    released = ambi_encode(MONO, Direction(40.0, 20.0), variant="reference").samples
    gains = np.array([1.0, -np.sqrt(2), np.sqrt(2), np.sqrt(2)])[:, None]
    np.testing.assert_allclose(released, correct * gains, rtol=1e-5, atol=1e-7)


def test_sound_follows_a_turning_camera() -> None:
    turning = CameraTrajectory([0.0, 4.0], [0.0, 90.0], [0.0, 0.0], [0.0, 0.0])  # type: ignore[arg-type]
    field = ambi_encode(MONO, turning).samples
    yaw = np.radians(np.arange(400) / 100 * 22.5)
    np.testing.assert_allclose(field[1], S * np.sin(yaw), atol=1e-5)
    np.testing.assert_allclose(field[3], S * np.cos(yaw), atol=1e-5)


def test_roll_does_not_move_the_centre() -> None:
    tilted = ambi_encode(MONO, CameraPose(30.0, 10.0, 50.0)).samples
    np.testing.assert_allclose(tilted, ambi_encode(MONO, Direction(30.0, 10.0)).samples, atol=1e-6)


def test_unknown_variant_and_layout_are_refused() -> None:
    with pytest.raises(ValueError, match=r"variant is 'old'"):
        ambi_encode(MONO, Direction(0.0), variant="old")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"mono has layout 'foa'"):
        ambi_encode(SpatialAudio(np.zeros((4, 5)), 100, "foa"), Direction(0.0))


def test_released_formula_at_every_moment_of_a_turning_camera() -> None:
    turning = CameraTrajectory([0.0, 4.0], [0.0, 90.0], [30.0, 30.0], [0.0, 0.0])  # type: ignore[arg-type]
    correct = ambi_encode(MONO, turning).samples
    released = ambi_encode(MONO, turning, variant="reference").samples
    gains = np.array([1.0, -np.sqrt(2), np.sqrt(2), np.sqrt(2)])[:, None]
    np.testing.assert_allclose(released, correct * gains, rtol=1e-5, atol=1e-6)
