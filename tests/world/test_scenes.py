import numpy as np
import pytest

from spatialfoley.spatial.direction import angle_between_deg, angles_deg
from spatialfoley.world import (
    CLASSES,
    HELD_OUT_SEEDS,
    SCENE_KINDS,
    TRAIN_SEEDS,
    held_out_seed,
    make_scene,
    render_mono,
    truth_at,
)
from spatialfoley.world.layout import off_axis_deg

TIMES_S = np.arange(100) / 20


def test_the_world_has_at_least_eight_classes() -> None:
    assert len(set(CLASSES)) == len(CLASSES) >= 8


@pytest.mark.parametrize("camera", ["static", "turning"])
def test_centred_sources_stay_within_four_degrees_of_the_camera(camera: str) -> None:
    for seed in range(30):
        truth = truth_at(make_scene(seed, "centred", camera), TIMES_S)
        assert angle_between_deg(truth.camera_vectors[0], [1.0, 0.0, 0.0]).max() <= 4.0


@pytest.mark.parametrize("camera", ["static", "turning"])
@pytest.mark.parametrize("kind", ["in_view", "several"])
def test_the_first_source_stays_in_view_with_a_margin(kind: str, camera: str) -> None:
    for seed in range(30):
        truth = truth_at(make_scene(seed, kind, camera), TIMES_S)
        assert off_axis_deg(truth.camera_vectors[0]).max() <= -6.0
        assert truth.in_view[0].all()


@pytest.mark.parametrize("camera", ["static", "turning"])
def test_off_screen_sources_are_never_in_view(camera: str) -> None:
    for seed in range(30):
        truth = truth_at(make_scene(seed, "off_screen", camera), TIMES_S)
        assert not truth.in_view.any()
        assert off_axis_deg(truth.camera_vectors[0]).min() >= 7.0


def test_several_sources_are_two_or_three_of_different_classes() -> None:
    for seed in range(30):
        names = [source.class_name for source in make_scene(seed, "several").sources]
        assert len(names) in (2, 3)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_directions_keep_their_speed_and_elevation_limits(kind: str) -> None:
    for seed in range(30):
        scene = make_scene(seed, kind)
        truth = truth_at(scene, TIMES_S)
        for vectors in truth.vectors:
            assert angle_between_deg(vectors[1:], vectors[:-1]).max() * 20 <= 42.0
            assert np.all((angles_deg(vectors)[1] >= -51) & (angles_deg(vectors)[1] <= 61))
        if scene.camera_kind == "static":
            assert np.ptp(truth.camera_matrices, axis=0).max() == 0


def test_a_seed_gives_one_scene_and_another_seed_another() -> None:
    first, again, other = (truth_at(make_scene(seed), TIMES_S) for seed in (5, 5, 6))
    assert first.document() == again.document()
    assert first.document() != other.document()


def test_azimuths_cover_the_whole_circle() -> None:
    azimuths = [angles_deg(make_scene(seed).sources[0].path.vectors[0])[0] for seed in range(200)]
    assert np.histogram(azimuths, bins=6, range=(-180, 180))[0].min() >= 15


@pytest.mark.parametrize("duration_s", [0.5, 1.0, 12.3])
def test_any_length_has_events_that_sound(duration_s: float) -> None:
    for seed in range(10):
        scene = make_scene(seed, duration_s=duration_s)
        assert all(source.events for source in scene.sources)
        assert np.abs(render_mono(scene)).max() > 0.02


def test_training_and_held_out_seeds_never_meet() -> None:
    seeds = [held_out_seed(index, suite) for suite in range(5) for index in (0, 1, 999_999)]
    assert len(set(seeds)) == len(seeds)
    assert all(seed in HELD_OUT_SEEDS and seed not in TRAIN_SEEDS for seed in seeds)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1, "kind": "nowhere"}, "kind is 'nowhere'"),
        ({"seed": 1, "camera": "shaky"}, "camera is 'shaky'"),
        ({"seed": 1, "duration_s": 0.1}, r"duration_s is 0\.1; it must be 0\.5 or more"),
    ],
)
def test_bad_arguments_are_named_with_their_limit(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_scene(**arguments)
