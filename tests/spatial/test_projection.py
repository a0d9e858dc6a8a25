import numpy as np
import pytest

from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.foa import encode, listen_from
from spatialfoley.spatial.projection import (
    panorama_directions,
    panorama_pixels,
    perspective,
    view_directions,
    view_pixels,
)
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

HEIGHT_PX = 180


def panorama_with_dot(vector, radius_deg=3.0):
    """A black panorama with a soft white dot at a direction."""
    angle_deg = angle_between_deg(panorama_directions(HEIGHT_PX), vector)
    level = np.clip(1.0 - angle_deg / radius_deg, 0.0, 1.0)
    return np.repeat(np.rint(255 * level).astype(np.uint8)[..., None], 3, axis=2)


def bright_direction(view, fov_deg):
    """Direction, in the camera's axes, of the centre of brightness of a view."""
    weight = view[..., 0].astype(float)
    vector = np.tensordot(weight, view_directions(view.shape[:2], fov_deg), axes=2)
    return vector / np.linalg.norm(vector)


def test_picture_and_sound_agree_for_100_random_poses():
    rng = np.random.default_rng(0)
    for _ in range(100):
        pose = CameraPose(*rng.uniform([-180, -90, -180], [180, 90, 180]))
        in_camera = unit_vectors(*rng.uniform([-35, -35], [35, 35]))
        source = pose.matrix() @ in_camera
        seen = bright_direction(perspective(panorama_with_dot(source), pose, 90.0, 96), 90.0)
        heard = listen_from(SpatialAudio(encode(np.ones(4), source), 16000, "foa"), pose)
        peak = peak_vectors(energy_map(covariance(heard.samples)))
        assert angle_between_deg(seen, peak) < 2.0
        assert angle_between_deg(seen, in_camera) < 1.0


def colours_of_panorama():
    """Red front, green left, blue back, white right, grey up, black down; sectors of 90°."""
    vectors = panorama_directions(HEIGHT_PX)
    colours = {
        (1, 0, 0): (255, 0, 0),
        (0, 1, 0): (0, 255, 0),
        (-1, 0, 0): (0, 0, 255),
        (0, -1, 0): (255, 255, 255),
    }
    colours |= {(0, 0, 1): (128, 128, 128), (0, 0, -1): (0, 0, 0)}
    nearest = (vectors @ np.array(list(colours)).T).argmax(axis=-1)
    return np.array(list(colours.values()), np.uint8)[nearest]


@pytest.mark.parametrize(
    ("camera", "colour"),
    [
        (Direction(0), (255, 0, 0)),
        (Direction(90), (0, 255, 0)),
        (Direction(180), (0, 0, 255)),
        (Direction(-180), (0, 0, 255)),
        (Direction(-90), (255, 255, 255)),
        (Direction(0, 90), (128, 128, 128)),
        (Direction(0, -90), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("variant", ["correct", "reference"])
def test_cameras_look_where_they_say(camera, colour, variant):
    view = perspective(colours_of_panorama(), camera, 60.0, 32, variant)
    np.testing.assert_array_equal(view[16, 16], colour)


def test_left_is_left_and_roll_lowers_the_right():
    panorama = colours_of_panorama()
    view = perspective(panorama, Direction(45), 90.0, 33)
    np.testing.assert_array_equal(view[16, 2], (0, 255, 0))
    np.testing.assert_array_equal(view[16, 30], (255, 0, 0))
    # Right side down: what was at the right of the picture moves up in it.
    rolled = perspective(panorama, CameraPose(45, 0, 90), 90.0, 33)
    np.testing.assert_array_equal(rolled[16 - 14, 16], (255, 0, 0))
    np.testing.assert_array_equal(rolled[16 + 14, 16], (0, 255, 0))


def test_there_is_no_seam_behind():
    azimuth = np.arange(2 * HEIGHT_PX) / (2 * HEIGHT_PX) * 2 * np.pi
    row = np.rint(127 + 100 * np.cos(azimuth)).astype(np.uint8)
    panorama = np.broadcast_to(row[None, :, None], (HEIGHT_PX, 2 * HEIGHT_PX, 3)).copy()
    view = perspective(panorama, Direction(180), 90.0, 101)[50, :, 0].astype(int)
    assert np.abs(np.diff(view)).max() <= 3
    np.testing.assert_allclose(view, view[::-1], atol=2)


def test_panorama_pixels_are_the_inverse_of_panorama_directions():
    column, row = panorama_pixels(panorama_directions(30), 30, 60)
    np.testing.assert_allclose(column, np.tile(np.arange(60), (30, 1)), atol=1e-9)
    np.testing.assert_allclose(row, np.tile(np.arange(30)[:, None], (1, 60)), atol=1e-9)


@pytest.mark.parametrize(("size_px", "fov_deg"), [(32, 90.0), ((18, 32), 70.0), ((31, 21), 120.0)])
def test_view_pixels_are_the_inverse_of_view_directions(size_px, fov_deg):
    pose = CameraPose(100, -30, 15)
    world = view_directions(size_px, fov_deg) @ pose.matrix().T
    column, row, inside = view_pixels(world, pose, size_px, fov_deg)
    rows, columns = np.indices(column.shape)
    np.testing.assert_allclose(column, columns, atol=1e-9)
    np.testing.assert_allclose(row, rows, atol=1e-9)
    assert inside.all()


def test_directions_outside_a_view():
    _, _, inside = view_pixels(unit_vectors([0, 44, 46, 180], 0.0), Direction(0), 32, 90.0)
    np.testing.assert_array_equal(inside, [True, True, False, False])
    column, _, _ = view_pixels(unit_vectors(180, 0.0), Direction(0), 32, 90.0)
    assert np.isnan(column)


def test_field_of_view_is_that_of_the_pixel_edges():
    view = view_directions(90, 90.0)
    edge_deg = np.degrees(np.arctan(1 - 1 / 90))
    assert angle_between_deg(view[45, 0] * [1, 1, 0], [1, 0, 0]) == pytest.approx(edge_deg)
    reference = view_directions(224, 90.0, "reference")
    np.testing.assert_allclose(reference[112, 112], [1, 0, 0])


def test_moving_camera_sees_each_frame_from_its_pose():
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 80, 3), dtype=np.uint8)
    zeros = np.zeros(2)
    trajectory = CameraTrajectory([0.0, 1.0], [0.0, 90.0], [0.0, 20.0], zeros)
    moving = perspective(frames, trajectory, 80.0, 24, times_s=[0.0, 0.5, 1.0])
    for frame, view, time_s in zip(frames, moving, (0.0, 0.5, 1.0), strict=True):
        expected = perspective(frame, trajectory.pose_at(time_s), 80.0, 24)
        assert np.abs(view.astype(int) - expected).max() <= 1
    still = perspective(frames, Direction(30), 80.0, 24)
    np.testing.assert_array_equal(still[1], perspective(frames[1], Direction(30), 80.0, 24))


def moving_camera():
    return CameraTrajectory([0.0, 1.0], [0.0, 90.0], np.zeros(2), np.zeros(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: perspective(np.zeros((4, 8, 3)), Direction(0)), "type float64; it must be uint8"),
        (lambda: perspective(np.zeros((4, 8), np.uint8), Direction(0)), r"shape \(4, 8\)"),
        (lambda: view_directions(10, 180.0), "fov_deg is 180.0"),
        (lambda: view_directions(0, 90.0), "size_px is 0"),
        (lambda: view_directions(10, 90.0, "exact"), "variant is 'exact'"),
        (lambda: perspective(np.zeros((2, 4, 8, 3), np.uint8), moving_camera()), "times_s is missing"),
        (
            lambda: perspective(np.zeros((2, 4, 8, 3), np.uint8), moving_camera(), times_s=[0.0]),
            "one time for each of 2 frames",
        ),
    ],
)
def test_wrong_views_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
