import numpy as np
import pytest

from spatialfoley.spatial.direction import angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import beam_gains
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.loudspeakers import SPEAKERS, decoder_matrix, render_loudspeakers
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, SpatialAudio

CIRCLE_DEG = np.arange(-180.0, 180.0, 5.0)


def speaker_vectors(layout):
    return unit_vectors(
        [azimuth or 0.0 for _, azimuth, _ in SPEAKERS[layout]], [e for *_, e in SPEAKERS[layout]]
    )


@pytest.mark.parametrize("layout", ["5.1", "7.1.4"])
def test_energy_is_one_from_every_direction(layout):
    elevation_deg = 0.0 if layout == "5.1" else np.linspace(-80, 80, len(CIRCLE_DEG))
    gains = beam_gains(unit_vectors(CIRCLE_DEG, elevation_deg)) @ decoder_matrix(layout).T
    np.testing.assert_allclose(np.sum(gains**2, axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize(("layout", "limit_deg"), [("5.1", 35.0), ("7.1.4", 20.0)])
def test_energy_vector_points_to_the_source(layout, limit_deg):
    sources = unit_vectors(CIRCLE_DEG, 0.0)
    power = np.square(beam_gains(sources) @ decoder_matrix(layout).T)
    error_deg = angle_between_deg(power @ speaker_vectors(layout), sources)
    assert np.median(error_deg) < 12.0
    assert error_deg.max() < limit_deg
    front = CIRCLE_DEG == 0.0
    assert error_deg[front] < 16.0


@pytest.mark.parametrize("layout", ["5.1", "7.1.4"])
def test_left_and_right_are_mirrored_and_the_lfe_is_silent(layout):
    names = [name for name, *_ in SPEAKERS[layout]]
    assert len(names) == LAYOUT_CHANNELS[layout]
    matrix = decoder_matrix(layout)
    assert not matrix[names.index("LFE")].any()
    swapped = [n.replace("L", "R", 1) if n[0] == "L" else n.replace("R", "L", 1) for n in names]
    swapped[names.index("LFE")] = "LFE"
    np.testing.assert_allclose(matrix[[names.index(n) for n in swapped]] * [1, -1, 1, 1], matrix, atol=1e-9)


def test_loudest_speaker_is_the_nearest():
    def loudest(layout, azimuth_deg, elevation_deg=0.0):
        field = encode(np.ones(4), unit_vectors(azimuth_deg, elevation_deg))
        feeds = render_loudspeakers(SpatialAudio(field, 48000, "foa"), layout)
        assert feeds.layout == layout
        return SPEAKERS[layout][int(np.abs(feeds.samples[:, 0]).argmax())][0]

    assert [loudest("5.1", azimuth) for azimuth in (0, 110, -110)] == ["C", "Ls", "Rs"]
    assert [loudest("7.1.4", azimuth) for azimuth in (0, 90, 135, -135)] == ["C", "Lss", "Lrs", "Rrs"]
    assert loudest("7.1.4", 45, 60) == "Ltf"
    assert loudest("7.1.4", -135, 60) == "Rtb"


def test_unknown_layout_is_named():
    with pytest.raises(ValueError, match=r"layout is '22\.2'; it must be one of 5\.1, 7\.1\.4"):
        decoder_matrix("22.2")
    with pytest.raises(ValueError, match="foa has layout 'mono'"):
        render_loudspeakers(SpatialAudio(np.zeros((1, 4)), 48000, "mono"), "5.1")
