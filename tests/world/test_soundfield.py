import dataclasses

import numpy as np
import pytest

from spatialfoley.spatial.direction import angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.foa import rotate_field
from spatialfoley.world import (
    WorldSettings,
    make_scene,
    render_foa,
    render_foa_camera,
    render_mono,
    render_source_signals,
    truth_at,
)
from spatialfoley.world.layout import SourcePath

TIMES_S = np.arange(100) / 20


def scene_with_source_at(azimuth_deg: float, elevation_deg: float, **settings):
    scene = make_scene(4, "centred", "static", settings=WorldSettings(**settings))
    vector = unit_vectors(azimuth_deg, elevation_deg)
    path = SourcePath(np.array([0.0, 5.0]), np.stack([vector, vector]))
    return dataclasses.replace(scene, sources=(dataclasses.replace(scene.sources[0], path=path),))


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "gains"),
    [(0, 0, (1, 0, 0, 1)), (90, 0, (1, 1, 0, 0)), (180, 0, (1, 0, 0, -1)), (-90, 0, (1, -1, 0, 0))],
)
def test_known_directions_have_known_gains(azimuth_deg: float, elevation_deg: float, gains: tuple) -> None:
    scene = scene_with_source_at(azimuth_deg, elevation_deg)
    expected = np.outer(gains, render_mono(scene))
    np.testing.assert_allclose(render_foa(scene), expected, atol=1e-6)


def test_the_energy_peak_is_where_the_truth_says() -> None:
    for seed in range(20):
        scene = make_scene(seed, "in_view", "static")
        signals = render_source_signals(scene)
        truth = truth_at(scene, TIMES_S, signals)
        field = render_foa(scene, signals=signals)
        window = int(np.argmax(truth.level_db[0, :95]))
        part = field[:, window * 800 : (window + 1) * 800]
        peak = peak_vectors(energy_map(covariance(part)))
        assert angle_between_deg(peak, truth.vectors[0, window]) < 3.0


@pytest.mark.parametrize("settings", [WorldSettings(), WorldSettings(room="simulated", ambience_db=-50.0)])
def test_the_camera_hears_the_world_turned_by_its_pose(settings: WorldSettings) -> None:
    for seed in range(4):
        scene = make_scene(seed, "several", "turning", settings=settings)
        matrices = scene.camera.matrices_at(np.arange(80000) / 16000)
        expected = rotate_field(render_foa(scene), np.swapaxes(matrices, 1, 2))
        np.testing.assert_allclose(render_foa_camera(scene), expected, atol=1e-3)


def test_a_followed_source_is_heard_in_front() -> None:
    for seed in range(10):
        field = render_foa_camera(make_scene(seed, "centred", "turning"))
        peak = peak_vectors(energy_map(covariance(field)))
        assert angle_between_deg(peak, [1.0, 0.0, 0.0]) < 5.0


def test_moving_sources_leave_no_steps() -> None:
    scene = make_scene(2, "in_view", "turning")
    tone = np.ones((1, 80000), np.float32)
    gains = render_foa_camera(scene, signals=tone)
    assert np.abs(np.diff(gains, axis=1)).max() < np.deg2rad(120) / 16000


def test_levels_tell_silence_from_sound() -> None:
    scene = make_scene(8, "centred")
    truth = truth_at(scene, TIMES_S)
    first_s = scene.sources[0].events[0].time_s
    before = first_s - 0.03 > TIMES_S
    assert (truth.level_db[0, before] == -120.0).all()
    after = (first_s < TIMES_S) & (first_s + 0.06 > TIMES_S)
    assert (truth.level_db[0, after] > -45.0).all()


def test_ambience_is_diffuse_and_as_loud_as_asked() -> None:
    scene = dataclasses.replace(make_scene(1, settings=WorldSettings(ambience_db=-40.0)), sources=())
    field = render_foa(scene, signals=np.zeros((0, 80000), np.float32))
    powers = np.mean(field**2, axis=1)
    assert 10 * np.log10(powers[0]) == pytest.approx(-40.0, abs=0.2)
    np.testing.assert_allclose(powers[1:] / powers[0], 1 / 3, rtol=0.1)


def test_signals_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"signals has shape \(1, 5\); it must be \(1, 80000\) for 16000 Hz"):
        render_foa(make_scene(0, "centred"), signals=np.zeros((1, 5), np.float32))
