"""The trained flow twins in the package, on clips of the world that they were not trained on. Free-running."""

import numpy as np
import pytest

from spatialfoley import world
from spatialfoley.evaluation.metrics.direction import weighted_angle_deg, window_directions
from spatialfoley.media.video import Video
from spatialfoley.pipeline import load_pipeline
from spatialfoley.pipeline.model_folder import find_model
from spatialfoley.spatial.energy_map import window_covariances
from spatialfoley.spatial.interaural import interaural_delays_s, interaural_levels_db
from spatialfoley.timeline import frame_times_s
from spatialfoley.world.scenes import Scene

MOST_BYTES = 25_000_000
CLIPS = 4


@pytest.fixture(scope="module")
def clips() -> list[tuple[Scene, Video]]:
    found = []
    for index in range(30):
        scene = world.make_scene(world.held_out_seed(index, 3), "in_view")
        if abs(_lateral(scene)) > 0.25:
            pictures = world.render_view(scene, frame_times_s(scene.duration_s, 20), size_px=56)
            found.append((scene, Video.from_frames(pictures, 20)))
        if len(found) == CLIPS:
            return found
    raise AssertionError("the world holds no sources at the side")


def _lateral(scene: Scene) -> float:
    """How far to the left of the camera the source is, on average, -1 to 1."""
    return float(world.truth_at(scene, frame_times_s(scene.duration_s, 10)).camera_vectors[0][:, 1].mean())


def test_their_weights_fit_into_the_package_together() -> None:
    folders = [find_model(name) for name in ("tiny-visaudio", "tiny-visaudio-foa")]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) <= MOST_BYTES


def test_the_field_comes_from_where_the_source_is_seen(clips: list[tuple[Scene, Video]]) -> None:
    pipe = load_pipeline("tiny-visaudio-foa")
    errors_deg = []
    for index, (scene, video) in enumerate(clips):
        foa = pipe(video, camera=scene.camera, seed=index)
        heard = window_directions(window_covariances(foa.samples, foa.rate_hz // 4))
        meant = world.truth_at(scene, (np.arange(len(heard.energy)) + 0.5) / 4).vectors[0]
        errors_deg.append(weighted_angle_deg(meant, heard))
    assert np.median(errors_deg) < 10, errors_deg


def test_the_nearer_ear_is_louder_and_first(clips: list[tuple[Scene, Video]]) -> None:
    pipe = load_pipeline("tiny-visaudio")
    for index, (scene, video) in enumerate(clips):
        ears = pipe(video, seed=index).samples
        side = np.sign(_lateral(scene))
        assert interaural_levels_db(ears, 16000, None)[0] * side > 0
        assert interaural_delays_s(ears, 16000, None)[0] * side > 0


def test_a_word_gives_what_is_off_screen_its_spectrum() -> None:
    pipe = load_pipeline("tiny-visaudio-foa")
    scene = world.make_scene(world.held_out_seed(0, 3), "off_screen")
    pictures = world.render_view(scene, frame_times_s(scene.duration_s, 20), size_px=56)
    video = Video.from_frames(pictures, 20)

    def high_share(text: str) -> float:
        spectrum = np.abs(np.fft.rfft(pipe(video, text=text, seed=0).samples[0])) ** 2
        return float(spectrum[len(spectrum) // 4 :].sum() / spectrum.sum())  # above 2 kHz

    assert high_share("bird") > high_share("rotor") + 0.5
