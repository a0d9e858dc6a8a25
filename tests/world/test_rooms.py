import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.direction import angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import WorldSettings, make_scene, render_foa
from spatialfoley.world.layout import SourcePath
from spatialfoley.world.rooms import convolve, measured_tail, simulated_tail

RATE_HZ = 16000
SHARED = Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", Path(__file__).parents[3] / "shared"))


def write_response(folder: Path, direct_deg: float, echo_deg: float) -> None:
    """A response with a direct sound at 100 samples and an echo of half its level 20 ms later."""
    impulse = np.eye(1, RATE_HZ // 4, 100)[0]
    samples = encode(0.8 * impulse, unit_vectors(direct_deg, 0))
    samples += encode(0.4 * np.roll(impulse, 320), unit_vectors(echo_deg, 0))
    write_audio(folder / f"room_{direct_deg:+.0f}_ambix.wav", SpatialAudio(samples, RATE_HZ, "foa"), "FLOAT")


def test_a_measured_room_is_turned_to_the_source(tmp_path: Path) -> None:
    write_response(tmp_path, direct_deg=90, echo_deg=0)
    write_response(tmp_path, direct_deg=-90, echo_deg=0)
    tail = measured_tail(tmp_path, unit_vectors(60, 0), RATE_HZ)
    # The response from 90° is nearer; it turns by -30°, and its echo at 0° with it.
    assert np.argmax(np.abs(tail[0])) == 320
    np.testing.assert_allclose(tail[:, 320], encode(np.array([0.5]), unit_vectors(-30, 0))[:, 0], atol=1e-3)
    assert not tail[:, :40].any()


def test_a_simulated_room_decays_and_is_weaker_than_the_direct_sound() -> None:
    tail = simulated_tail(np.random.default_rng(3), unit_vectors(20, 10), 1.2, RATE_HZ)
    energy = np.array([np.sum(part**2) for part in np.array_split(tail[0], 4)])
    assert (np.diff(energy) < 0).all()
    assert 0.005 < np.sum(tail[0] ** 2) < 2.0


@pytest.mark.parametrize("room", ["simulated", "measured"])
def test_a_room_keeps_the_direction_of_the_source(room: str, tmp_path: Path) -> None:
    for direct_deg in (0, 90, 180, -90):
        write_response(tmp_path, direct_deg, direct_deg + 120)
    vector = unit_vectors(40, 10)
    settings = WorldSettings(room=room, room_responses=tmp_path)
    scene = make_scene(2, "centred", "static", settings=settings)
    path = SourcePath(np.array([0.0, 5.0]), np.stack([vector, vector]))
    scene = dataclasses.replace(scene, sources=(dataclasses.replace(scene.sources[0], path=path),))
    field = render_foa(scene)
    cov = covariance(field)
    assert angle_between_deg(peak_vectors(energy_map(cov)), vector) < 25.0
    # Not a pure plane wave any more: intensity is less than energy.
    assert np.linalg.norm(cov[0, 1:]) < 0.97 * 0.5 * np.trace(cov)
    assert np.abs(field).max() <= 1.0


def test_real_room_responses_work_where_they_are_at_hand() -> None:
    folder = SHARED / "data" / "srir"
    if not folder.is_dir():
        pytest.skip(f"no measured room responses in {folder}")
    tail = measured_tail(folder, unit_vectors(10, 0), RATE_HZ)
    assert tail.shape[0] == 4
    assert 0.001 < np.sum(tail[0] ** 2) < 3.0


def test_convolving_with_a_delayed_impulse_delays() -> None:
    signal = np.random.default_rng(0).standard_normal(50)
    response = np.zeros((2, 8))
    response[0, 3], response[1, 0] = 2.0, -1.0
    np.testing.assert_allclose(convolve(signal, response)[0, 3:], 2 * signal[:-3], atol=1e-6)
    np.testing.assert_allclose(convolve(signal, response)[1], -signal, atol=1e-6)


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="room_responses is None; a measured room needs a folder"):
        WorldSettings(room="measured")
    with pytest.raises(ValueError, match="room is 'cave'"):
        WorldSettings(room="cave")
    with pytest.raises(ValueError, match=r"ambience_db is 3\.0; it must be from -100 to -20"):
        WorldSettings(ambience_db=3.0)
    with pytest.raises(ValueError, match="it must be a folder with AmbiX files"):
        measured_tail(tmp_path, unit_vectors(0, 0), RATE_HZ)
