import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.spatial.direction import (
    CameraPose,
    Direction,
    angle_between_deg,
    angles_deg,
    pose_matrices,
    unit_vectors,
)


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "vector"),
    [(0, 0, (1, 0, 0)), (90, 0, (0, 1, 0)), (-90, 0, (0, -1, 0)), (180, 0, (-1, 0, 0)), (0, 90, (0, 0, 1))],
)
def test_front_left_right_back_up(azimuth_deg, elevation_deg, vector):
    np.testing.assert_allclose(Direction(azimuth_deg, elevation_deg).vector(), vector, atol=1e-12)


def test_yaw_left_brings_the_left_to_the_front():
    R = CameraPose(yaw_deg=90).matrix()
    np.testing.assert_allclose(R.T @ Direction(90).vector(), [1, 0, 0], atol=1e-12)


def test_pitch_up_brings_elevation_30_to_the_front():
    R = CameraPose(pitch_deg=30).matrix()
    np.testing.assert_allclose(R.T @ Direction(0, 30).vector(), [1, 0, 0], atol=1e-12)


def test_roll_lowers_the_right_side_of_the_view():
    camera_right_in_world = CameraPose(roll_deg=90).matrix() @ [0, -1, 0]
    np.testing.assert_allclose(camera_right_in_world, [0, 0, -1], atol=1e-12)


def test_pose_is_yaw_then_pitch_then_roll_about_the_moved_axes():
    yaw, pitch, roll = (
        CameraPose(**angle).matrix() for angle in ({"yaw_deg": 40}, {"pitch_deg": 25}, {"roll_deg": -70})
    )
    np.testing.assert_allclose(CameraPose(40, 25, -70).matrix(), yaw @ pitch @ roll, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(*[st.floats(-720, 720) for _ in range(3)])
def test_poses_are_rotations(yaw_deg, pitch_deg, roll_deg):
    R = CameraPose(yaw_deg, pitch_deg, roll_deg).matrix()
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1.0)


def test_camera_that_faces_a_direction_sees_it_ahead():
    for azimuth_deg, elevation_deg in np.random.default_rng(0).uniform([-180, -89], [180, 89], (100, 2)):
        direction = Direction(azimuth_deg, elevation_deg)
        R = CameraPose.facing(direction).matrix()
        np.testing.assert_allclose(R.T @ direction.vector(), [1, 0, 0], atol=1e-9)


def test_angles_and_vectors_are_inverses():
    angles = np.random.default_rng(1).uniform([-180, -90], [180, 90], (100, 2))
    azimuth_deg, elevation_deg = angles_deg(3.0 * unit_vectors(*angles.T))
    np.testing.assert_allclose(np.stack([azimuth_deg, elevation_deg], 1), angles, atol=1e-9)
    assert Direction.from_vector([0, 2, 0]) == Direction(90.0, 0.0)


def test_angle_between_small_and_opposite_directions():
    front = unit_vectors(0, 0)
    assert angle_between_deg(front, unit_vectors(1e-5, 0)) == pytest.approx(1e-5, rel=1e-6)
    assert angle_between_deg(front, -front) == pytest.approx(180.0)
    assert angle_between_deg(front, 5 * unit_vectors(0, 90)) == pytest.approx(90.0)


def test_matrices_broadcast_and_stack():
    assert pose_matrices(np.zeros(7), 10.0, 0.0).shape == (7, 3, 3)
    np.testing.assert_allclose(pose_matrices([10, 20], [0, 5], [3, 0])[1], CameraPose(20, 5, 0).matrix())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Direction(0, 91), "elevation_deg is 91; .* between -90 and 90"),
        (lambda: Direction(400), "azimuth_deg is 400; .* between -360 and 360"),
        (lambda: Direction(float("nan")), "azimuth_deg is nan"),
        (lambda: Direction.from_vector([0, 0, 0]), "not all zero"),
        (lambda: CameraPose(roll_deg=float("inf")), "roll_deg is inf"),
        (lambda: angles_deg([1, 2]), r"shape \(2,\)"),
    ],
)
def test_wrong_angles_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
