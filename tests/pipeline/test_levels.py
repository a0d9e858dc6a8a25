import numpy as np
import pytest

from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.signal import SpatialAudio


def test_quiet_sound_is_not_touched() -> None:
    audio = SpatialAudio(np.full((2, 4), 1.0), 8000, "binaural")
    assert within_full_scale(audio) == (audio, 0.0)


def test_loud_channels_are_turned_down_together() -> None:
    audio = SpatialAudio(np.array([[2.0, 0.0], [0.5, -0.5]]), 8000, "binaural")
    quiet, gain_db = within_full_scale(audio)
    assert quiet.peak == pytest.approx(0.9999)
    assert gain_db == pytest.approx(-6.02, abs=0.01)
    assert quiet.samples[1, 0] / quiet.samples[0, 0] == pytest.approx(0.25)


def test_the_gain_of_a_field_does_not_depend_on_where_it_is_turned() -> None:
    field = SpatialAudio(np.random.default_rng(0).standard_normal((4, 500)), 8000, "foa")
    gains = [within_full_scale(rotate(field, yaw_deg=yaw))[1] for yaw in (0.0, 30.0, 45.0, 100.0)]
    assert gains == pytest.approx([gains[0]] * 4, abs=1e-5)
    assert within_full_scale(field)[0].peak <= 1
