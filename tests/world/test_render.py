import dataclasses

import numpy as np
import pytest

from spatialfoley.spatial.direction import CameraPose, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.projection import perspective
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.world import (
    CLASSES,
    Scene,
    make_scene,
    render_foa_camera,
    render_panorama,
    render_view,
    truth_at,
)
from spatialfoley.world.activity import activity_at
from spatialfoley.world.kinds import source_class
from spatialfoley.world.layout import SourcePath
from spatialfoley.world.raster import panorama_raster, view_raster


def with_class(scene: Scene, name: str) -> Scene:
    source = dataclasses.replace(scene.sources[0], kind=source_class(name))
    events = tuple(
        dataclasses.replace(event, length_s=0.5 * source.kind.sustained) for event in source.events
    )
    return dataclasses.replace(scene, sources=(dataclasses.replace(source, events=events),))


def blob(picture: np.ndarray, empty: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Mean ray of the pixels that a source changed."""
    changed = np.abs(picture.astype(int) - empty.astype(int)).max(axis=-1) > 6
    assert changed.any()
    return rays[changed].mean(axis=0)


def random_poses(count: int) -> list[tuple[CameraPose, np.ndarray]]:
    """Poses, each with a world direction inside its view."""
    rng = np.random.default_rng(5)
    poses = []
    while len(poses) < count:
        pose = CameraPose(*rng.uniform((-180, -30, -10), (180, 30, 10)))
        vector_cam = unit_vectors(rng.uniform(-32, 32), rng.uniform(-28, 28))
        poses.append((pose, pose.matrix() @ vector_cam))
    return poses


def test_picture_and_sound_agree_within_two_degrees_for_100_poses() -> None:
    rays = view_raster(96, 90.0).rays
    base = with_class(make_scene(1, "centred", "static"), "horn")
    for pose, vector in random_poses(100):
        path = SourcePath(np.array([0.0, 5.0]), np.stack([vector, vector]))
        source = dataclasses.replace(base.sources[0], path=path)
        scene = dataclasses.replace(base, sources=(source,), camera=CameraTrajectory.static(pose))
        moment = np.array([source.events[0].time_s - 0.02])
        seen = blob(
            render_view(scene, moment, 96)[0],
            render_view(dataclasses.replace(scene, sources=()), moment, 96)[0],
            rays,
        )
        truth = truth_at(scene, moment).camera_vectors[0, 0]
        heard = peak_vectors(energy_map(covariance(render_foa_camera(scene, 8000))))
        assert angle_between_deg(seen, truth) < 2.0
        assert angle_between_deg(heard, truth) < 1.5


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_stays_about_its_direction(name: str) -> None:
    scene = with_class(make_scene(6, "in_view", "static"), name)
    event_s = scene.sources[0].events[0].time_s
    moments = event_s + np.array([-0.3, 0.01, 0.06, 0.3])
    rays = view_raster(128, 90.0).rays
    empty = render_view(dataclasses.replace(scene, sources=()), moments, 128)
    truth = truth_at(scene, moments).camera_vectors[0]
    for index, picture in enumerate(render_view(scene, moments, 128)):
        offset_deg = angle_between_deg(blob(picture, empty[index], rays), truth[index])
        # The ball at its lowest is the worst: its path, from plate to apex, is what lies about the direction.
        assert offset_deg < 0.75 * scene.sources[0].radius_deg


@pytest.mark.parametrize("camera", ["static", "turning"])
def test_view_and_panorama_show_the_same_world(camera: str) -> None:
    moments = np.array([0.4, 2.2])
    for seed in range(3):
        scene = make_scene(seed, "several", camera)
        panorama = render_panorama(scene, moments, 512)
        seen = perspective(panorama, scene.camera, 90.0, 96, times_s=moments)
        view = render_view(scene, moments, 96)
        difference = np.abs(seen.astype(int) - view.astype(int))
        assert difference.mean() < 2.0
        assert np.percentile(difference, 99) < 40


def test_panorama_blob_is_where_the_truth_says_even_over_the_seam() -> None:
    base = with_class(make_scene(1, "centred", "static"), "horn")
    rays = panorama_raster(128).rays
    for azimuth_deg, elevation_deg in ((0, 0), (90, 30), (179, -10), (-179, 45), (-60, -45)):
        vector = unit_vectors(azimuth_deg, elevation_deg)
        path = SourcePath(np.array([0.0, 5.0]), np.stack([vector, vector]))
        scene = dataclasses.replace(base, sources=(dataclasses.replace(base.sources[0], path=path),))
        moment = np.array([0.0])
        empty = render_panorama(dataclasses.replace(scene, sources=()), moment, 128)[0]
        seen = blob(render_panorama(scene, moment, 128)[0], empty, rays)
        assert angle_between_deg(seen, vector) < 2.0


@pytest.mark.parametrize("name", CLASSES)
def test_an_onset_is_seen_in_the_first_frame_after_it(name: str) -> None:
    for seed in (3, 6, 8):
        scene = with_class(make_scene(seed, "centred", "static"), name)
        onset_s = scene.sources[0].events[0].time_s
        after = int(np.ceil(onset_s * 20))
        moments = (after + np.arange(-1, 1)) / 20
        frames = render_view(scene, moments, 64).astype(float)
        body = angle_between_deg(view_raster(64, 90.0).rays, truth_at(scene, moments).camera_vectors[0, 1])
        inside = body < 0.8 * scene.sources[0].radius_deg
        change = np.abs(frames[1] - frames[0])[inside].mean()
        assert change > 12.0


def test_the_flash_tells_the_time_since_the_onset() -> None:
    scene = with_class(make_scene(3, "centred"), "bell")
    event = scene.sources[0].events[0]
    ages_s = np.array([0.0, 0.05, 0.1, 0.15])
    flash = activity_at(scene.sources[0], event.time_s + 1e-9 + ages_s).flash.ravel()
    np.testing.assert_allclose(np.diff(flash), np.diff(flash)[0], atol=1e-5)
    assert np.diff(flash)[0] < -0.1


@pytest.mark.parametrize("name", CLASSES)
def test_idle_sources_stand_still(name: str) -> None:
    scene = with_class(make_scene(3, "centred", "static"), name)
    late = dataclasses.replace(scene.sources[0].events[0], time_s=4.0)
    scene = dataclasses.replace(scene, sources=(dataclasses.replace(scene.sources[0], events=(late,)),))
    frames = render_view(scene, np.arange(0, 3, 0.25))
    assert (frames == frames[0]).all()


def test_frames_do_not_depend_on_which_others_are_asked_for() -> None:
    scene = make_scene(5, "several", "turning")
    times_s = np.arange(40) / 8
    whole = render_view(scene, times_s)
    assert whole.shape == (40, 64, 64, 3)
    assert whole.dtype == np.uint8
    # Window sizes differ between calls, and with them the last bit of a few products.
    difference = np.abs(whole[7].astype(int) - render_view(scene, times_s[7:8])[0].astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size_px": 4}, "size_px is 4; it must be 8 or more"),
        ({"fov_deg": 170.0}, r"fov_deg is 170\.0; it must be from 10 to 150"),
        ({"times_s": np.array([[0.0]])}, r"times_s has shape \(1, 1\)"),
    ],
)
def test_bad_arguments_are_named_with_their_limit(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_view(**{"scene": make_scene(0), "times_s": np.array([0.0]), **arguments})
