import numpy as np
import pytest

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import CameraPose, Direction, unit_vectors
from spatialfoley.spatial.energy_map import covariance
from spatialfoley.spatial.foa import (
    as_world,
    encode,
    from_fuma,
    from_n3d,
    listen_from,
    listening_blocks,
    rotate,
    rotate_field,
    steer,
    to_fuma,
    to_n3d,
)
from spatialfoley.spatial.signal import ComputedSound, SpatialAudio
from spatialfoley.spatial.statistics import intensity_directions
from spatialfoley.spatial.trajectory import CameraTrajectory

RATE_HZ = 16000


def noise_field(seed=0, samples=2000):
    return np.random.default_rng(seed).standard_normal((4, samples)).astype(np.float32)


def plane_wave(azimuth_deg, elevation_deg=0.0, samples=400):
    tone = np.sin(np.arange(samples) * 0.3)
    return SpatialAudio(encode(tone, Direction(azimuth_deg, elevation_deg).vector()), RATE_HZ, "foa")


def gains_of(audio):
    return audio.samples @ audio.samples[W] / (audio.samples[W] @ audio.samples[W])


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "wyzx"),
    [
        (0, 0, (1, 0, 0, 1)),
        (90, 0, (1, 1, 0, 0)),
        (-90, 0, (1, -1, 0, 0)),
        (180, 0, (1, 0, 0, -1)),
        (0, 90, (1, 0, 1, 0)),
        (0, -90, (1, 0, -1, 0)),
        (30, 60, (1, 0.25, np.sqrt(0.75), np.sqrt(0.1875))),
    ],
)
def test_plane_waves(azimuth_deg, elevation_deg, wyzx):
    np.testing.assert_allclose(gains_of(plane_wave(azimuth_deg, elevation_deg)), wyzx, atol=1e-6)


def test_encoding_a_moving_source():
    vectors = unit_vectors(np.linspace(0, 90, 100), 0.0)
    field = encode(np.ones(100), vectors)
    np.testing.assert_allclose(field[[X, Y, Z]].T, vectors, atol=1e-6)


def test_scene_turned_left_moves_the_front_to_the_left():
    np.testing.assert_allclose(gains_of(rotate(plane_wave(0), yaw_deg=90)), (1, 1, 0, 0), atol=1e-6)
    np.testing.assert_allclose(gains_of(rotate(plane_wave(0), pitch_deg=90)), (1, 0, 1, 0), atol=1e-6)
    np.testing.assert_allclose(gains_of(rotate(plane_wave(-90), roll_deg=90)), (1, 0, -1, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("source", "pose"),
    [
        (Direction(90), CameraPose(yaw_deg=90)),
        (Direction(0, 30), CameraPose(pitch_deg=30)),
        (Direction(-120, -50), Direction(-120, -50)),
    ],
)
def test_a_camera_that_faces_a_source_hears_it_in_front(source, pose):
    heard = listen_from(plane_wave(source.azimuth_deg, source.elevation_deg), pose)
    np.testing.assert_allclose(gains_of(heard), (1, 0, 0, 1), atol=1e-6)


def test_four_quarter_turns_change_nothing():
    audio = SpatialAudio(noise_field(), RATE_HZ, "foa")
    turned = audio
    for _ in range(4):
        turned = rotate(turned, yaw_deg=90)
    np.testing.assert_allclose(turned.samples, audio.samples, atol=1e-6)


def test_round_trip_for_100_random_poses():
    audio = SpatialAudio(noise_field(samples=64), RATE_HZ, "foa")
    for angles in np.random.default_rng(3).uniform(-180, 180, (100, 3)):
        pose = CameraPose(*angles)
        np.testing.assert_allclose(as_world(listen_from(audio, pose), pose).samples, audio.samples, atol=2e-6)


def test_rotation_keeps_energy_and_silence():
    field = noise_field()
    R = CameraPose(20, 30, 40).matrix()
    np.testing.assert_allclose(
        np.trace(covariance(rotate_field(field, R))), np.trace(covariance(field)), rtol=1e-6
    )
    assert not rotate_field(np.zeros((4, 10)), R).any()
    assert rotate(SpatialAudio(np.zeros((4, 0)), RATE_HZ, "foa"), yaw_deg=5).samples.shape == (4, 0)


def test_moving_rotation_follows_the_trajectory_at_every_sample():
    trajectory = CameraTrajectory([0.0, 1.0, 3.0], [0.0, 200.0, -90.0], [0.0, 40.0, 10.0], [0.0, -20.0, 5.0])
    audio = SpatialAudio(noise_field(samples=3 * RATE_HZ), RATE_HZ, "foa")  # several blocks
    R = trajectory.matrices_at(np.arange(3 * RATE_HZ) / RATE_HZ)
    expected = np.einsum("nij,jn->in", R, audio.samples[[X, Y, Z]])
    turned = rotate(audio, trajectory=trajectory)
    np.testing.assert_allclose(turned.samples[[X, Y, Z]], expected, atol=1e-5)
    np.testing.assert_array_equal(turned.samples[W], audio.samples[W])
    np.testing.assert_allclose(
        as_world(listen_from(audio, trajectory), trajectory).samples, audio.samples, atol=1e-5
    )


def test_moving_rotation_has_no_zipper_noise():
    # A 1 kHz tone in front, turned at 1 Hz, is exactly two lines at 999 and 1001 Hz in X and Y. A rotation
    # updated in blocks, even interpolated linearly between blocks, leaves lines far from the tone.
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ)
    audio = SpatialAudio(encode(tone, Direction(0).vector()), RATE_HZ, "foa")
    turned = rotate(audio, trajectory=CameraTrajectory([0.0, 1.0], [0.0, 360.0], np.zeros(2), np.zeros(2)))
    for channel in (X, Y):
        level = np.abs(np.fft.rfft(turned.samples[channel].astype(np.float64))) / (RATE_HZ / 2)
        np.testing.assert_allclose(level[[999, 1001]], 0.5, atol=1e-3)
        level[[999, 1001]] = 0.0
        assert 20 * np.log10(level.max()) < -110


def test_a_moving_listener_hears_a_source_that_it_follows_in_front():
    vectors = unit_vectors(np.linspace(0, 300, RATE_HZ), np.linspace(0, 40, RATE_HZ))
    audio = SpatialAudio(encode(np.ones(RATE_HZ), vectors), RATE_HZ, "foa")
    last_s = (RATE_HZ - 1) / RATE_HZ
    heard = listen_from(audio, CameraTrajectory([0.0, last_s], [0.0, 300.0], [0.0, 40.0], np.zeros(2)))
    np.testing.assert_allclose(heard.samples, np.tile([[1], [0], [0], [1]], RATE_HZ), atol=1e-5)


def test_beams():
    source = Direction(50, 20)
    field = encode(np.ones(3), source.vector())
    for pattern in (0.0, 0.5, 0.75, 1.0):
        np.testing.assert_allclose(steer(field, source.vector(), pattern), 1.0, atol=1e-6)
    np.testing.assert_allclose(steer(field, -source.vector(), 0.5), 0.0, atol=1e-6)
    np.testing.assert_allclose(steer(field, -source.vector(), 1.0), -1.0, atol=1e-6)


def test_conversions_of_a_plane_wave():
    field = encode(np.ones(1), Direction(30, 60).vector())
    y, z, x = 0.25, np.sqrt(0.75), np.sqrt(0.1875)
    np.testing.assert_allclose(
        to_n3d(field)[:, 0], np.array([1, *(np.sqrt(3) * np.array([y, z, x]))]), atol=1e-6
    )
    np.testing.assert_allclose(to_fuma(field)[:, 0], (np.sqrt(0.5), x, y, z), atol=1e-6)


@pytest.mark.parametrize(("there", "back"), [(to_n3d, from_n3d), (to_fuma, from_fuma)])
def test_conversions_there_and_back(there, back):
    field = noise_field()
    np.testing.assert_allclose(back(there(field)), field, rtol=1e-6)
    assert not np.allclose(there(field), field)


def test_intensity_points_at_the_source():
    field = plane_wave(-70, 35).samples
    np.testing.assert_allclose(
        intensity_directions(covariance(field)), Direction(-70, 35).vector(), atol=1e-6
    )


MONO = SpatialAudio(np.zeros((1, 4)), RATE_HZ, "mono")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode(np.zeros((2, 3)), [1, 0, 0]), r"mono has shape \(2, 3\)"),
        (lambda: encode(np.zeros(3), [2, 0, 0]), "vector of length 2"),
        (
            lambda: encode(np.zeros(3), np.zeros((2, 3))),
            r"vectors has shape \(2, 3\); it must be \(3,\) or \(3, 3\)",
        ),
        (lambda: steer(np.zeros((4, 3)), [1, 0, 0], 1.5), "pattern is 1.5"),
        (lambda: steer(np.zeros((4, 3)), [1, 1, 0]), "must be a unit vector"),
        (lambda: rotate_field(np.zeros((3, 4)), np.eye(3)), r"samples has shape \(3, 4\)"),
        (lambda: rotate_field(np.zeros((4, 5)), np.zeros((4, 3, 3))), r"rotation has shape \(4, 3, 3\)"),
        (lambda: rotate(MONO, yaw_deg=3), "layout 'mono'; it must be 'foa'"),
        (
            lambda: rotate(plane_wave(0), yaw_deg=3, trajectory=CameraTrajectory.static(CameraPose())),
            "trajectory cannot be combined",
        ),
    ],
)
def test_wrong_fields_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "camera", [Direction(30, 10), CameraTrajectory([0.1, 2], [0, 300], [0, 40], [0, -80])]
)
def test_listening_in_blocks_is_that_of_the_whole(camera):
    scene = SpatialAudio(np.random.default_rng(3).standard_normal((4, 100001)), 48000, "foa")
    ragged = ComputedSound(48000, "foa", 100001, lambda: np.split(scene.samples, [1, 90, 5000], axis=1))
    blocks = np.concatenate(list(listening_blocks(ragged, camera)), axis=1)
    np.testing.assert_array_equal(blocks, listen_from(scene, camera).samples)
    again = np.concatenate(list(listening_blocks(ragged, camera)), axis=1)
    np.testing.assert_array_equal(blocks, again)
