import numpy as np
import pytest

from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.trajectory import CameraTrajectory, as_trajectory


def turning(yaw_deg):
    zeros = np.zeros(len(yaw_deg))
    return CameraTrajectory(np.arange(len(yaw_deg), dtype=float), np.array(yaw_deg, float), zeros, zeros)


def test_angles_run_linearly_and_hold_at_the_ends():
    trajectory = turning([0, 90])
    assert trajectory.pose_at(0.5) == CameraPose(45.0)
    assert trajectory.pose_at(-1.0) == CameraPose(0.0)
    assert trajectory.pose_at(9.0) == CameraPose(90.0)


def test_a_full_turn_is_a_full_turn_and_tracker_jumps_are_not():
    assert turning([0, 360]).pose_at(0.5).yaw_deg == 180.0
    zeros = np.zeros(2)
    wrapped = CameraTrajectory.from_wrapped([0, 1], [170, -170], zeros, zeros)
    assert wrapped.pose_at(0.5).yaw_deg == 180.0


def test_matrices_are_those_of_the_poses():
    rng = np.random.default_rng(0)
    trajectory = CameraTrajectory(np.array([0.0, 0.4, 1.0]), *rng.uniform(-90, 90, (3, 3)))
    times = rng.uniform(-0.2, 1.2, 20)
    expected = [trajectory.pose_at(t).matrix() for t in times]
    np.testing.assert_allclose(trajectory.matrices_at(times), expected, atol=1e-12)


def test_anything_that_looks_somewhere_is_a_trajectory():
    assert as_trajectory(Direction(30, 10)).pose_at(3.0) == CameraPose(30, 10)
    assert as_trajectory(CameraPose(1, 2, 3)).is_static
    assert as_trajectory(turning([0, 1])).is_static is False


def test_arrays_are_kept_apart_from_the_caller():
    yaw_deg = np.array([0.0, 10.0])
    trajectory = CameraTrajectory(np.array([0.0, 1.0]), yaw_deg, yaw_deg, yaw_deg)
    yaw_deg[1] = 99.0
    assert trajectory.pose_at(1.0).yaw_deg == 10.0


@pytest.mark.parametrize(
    ("times_s", "yaw_deg", "message"),
    [
        ([0.0, 0.0], [0, 1], "times_s must grow"),
        ([0.0, 1.0], [0, np.nan], "yaw_deg holds a value that is not finite at index 1"),
        ([0.0, 1.0], [0.0], "yaw_deg has 1 values for 2 times"),
        ([], [], r"times_s has shape \(0,\)"),
    ],
)
def test_wrong_trajectories_are_named(times_s, yaw_deg, message):
    zeros = np.zeros(len(times_s))
    with pytest.raises(ValueError, match=message):
        CameraTrajectory(np.array(times_s), np.array(yaw_deg), zeros, zeros)
