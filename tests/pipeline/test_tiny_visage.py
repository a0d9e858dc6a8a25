"""The trained token models in the package, on clips of the world that they were not trained on. Free-running."""

import numpy as np
import pytest

from spatialfoley import world
from spatialfoley.evaluation.metrics.direction import weighted_angle_deg, window_directions
from spatialfoley.media.video import Video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.clip import GenerationSettings
from spatialfoley.pipeline.model_folder import find_model
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.energy_map import window_covariances
from spatialfoley.timeline import frame_times_s

MOST_BYTES = {"tiny-visage": 25_000_000, "tiny-visage-sc": 10_000_000}


@pytest.fixture(scope="module")
def tiny_visage() -> Pipeline:
    return load_pipeline("tiny-visage")


@pytest.mark.parametrize("name", MOST_BYTES)
def test_its_weights_fit_into_the_package(name: str) -> None:
    files = [path for path in find_model(name).iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES[name]


@pytest.mark.parametrize("name", MOST_BYTES)
def test_sound_comes_from_where_the_source_is_seen(name: str) -> None:
    pipe = load_pipeline(name)
    errors_deg = []
    for index in range(6):
        scene = world.make_scene(world.held_out_seed(index, 3), "in_view")
        pictures = world.render_view(scene, frame_times_s(scene.duration_s, 20), size_px=56)
        foa = pipe(Video.from_frames(pictures, 20), scene.camera, seed=index)
        heard = window_directions(window_covariances(foa.samples, foa.rate_hz // 4))
        meant = world.truth_at(scene, (np.arange(len(heard.energy)) + 0.5) / 4).vectors[0]
        errors_deg.append(weighted_angle_deg(meant, heard))
    assert np.median(errors_deg) < 12, errors_deg


def test_a_picture_in_which_nothing_sounds_is_not_given_a_silent_file(tiny_visage: Pipeline) -> None:
    grey = Video.from_frames(np.full((30, 48, 64, 3), 90, np.uint8), 15)
    made = [
        tiny_visage.generate(grey, Direction(0.0), GenerationSettings(seed=seed), lambda part: None)
        for seed in range(6)
    ]
    assert all(one.foa.peak > 1e-3 for one in made)
    assert max(one.draws for one in made) > 1, "none of these seeds shows the case"
    again = tiny_visage(grey, Direction(0.0), seed=0)
    assert np.array_equal(again.samples, made[0].foa.samples)
