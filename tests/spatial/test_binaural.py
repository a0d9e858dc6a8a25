import numpy as np
import pytest

from spatialfoley.conventions import Y
from spatialfoley.spatial.binaural import (
    HeadFilters,
    binaural_blocks,
    omnitone_filters,
    render_binaural,
    render_stereo,
)
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import encode, rotate
from spatialfoley.spatial.signal import ComputedSound, SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory


def noise_from(azimuth_deg, rate_hz=48000, elevation_deg=0.0):
    sound = 0.1 * np.random.default_rng(0).standard_normal(rate_hz // 4)
    return SpatialAudio(encode(sound, Direction(azimuth_deg, elevation_deg).vector()), rate_hz, "foa")


def level_difference_db(ears):
    left, right = np.sqrt(np.mean(ears.samples.astype(float) ** 2, axis=1))
    return 20 * np.log10(left / right)


def lead_of_left_s(ears):
    """How much earlier the left ear hears, by cross-correlation below 1.5 kHz, eight-fold interpolated."""
    count = ears.samples.shape[1]
    spectrum = np.fft.rfft(ears.samples.astype(float), 2 * count)
    spectrum[:, np.fft.rfftfreq(2 * count, 1 / ears.rate_hz) > 1500] = 0.0
    correlation = np.fft.irfft(spectrum[0] * spectrum[1].conj(), 16 * count)
    lag = np.argmax(correlation)
    return -(lag if lag < 8 * count else lag - 16 * count) / (8 * ears.rate_hz)


@pytest.mark.parametrize(
    ("azimuth_deg", "difference_db", "lead_ms"),
    [(0, 0.0, 0.0), (30, 5.6, 0.31), (90, 10.8, 0.42), (180, 0.0, 0.0), (-90, -10.8, -0.42)],
)
def test_cues_of_the_built_in_head(azimuth_deg, difference_db, lead_ms):
    ears = render_binaural(noise_from(azimuth_deg))
    assert ears.layout == "binaural"
    assert level_difference_db(ears) == pytest.approx(difference_db, abs=0.3)
    assert 1000 * lead_of_left_s(ears) == pytest.approx(lead_ms, abs=0.02)


@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100, 96000])
def test_cues_hold_at_other_rates(rate_hz):
    ears = render_binaural(noise_from(90, rate_hz))
    assert ears.rate_hz == rate_hz
    assert level_difference_db(ears) > 8.0
    assert 1000 * lead_of_left_s(ears) == pytest.approx(0.42, abs=0.03)


def test_impulse_gives_the_filters_themselves():
    filters = omnitone_filters()
    impulse = np.zeros((4, 40000), np.float32)
    impulse[:, 35000] = (1.0, 1.0, 0.0, 0.0)  # beyond the first block of the convolution
    ears = render_binaural(SpatialAudio(impulse, 48000, "foa")).samples
    w, y = filters.responses[0, :2]
    np.testing.assert_allclose(ears[0, 35000:35256], w + y, atol=1e-6)
    np.testing.assert_allclose(ears[1, 35000:35256], w - y, atol=1e-6)
    np.testing.assert_allclose(ears[:, :35000], 0.0, atol=1e-6)
    np.testing.assert_allclose(ears[:, 35256:], 0.0, atol=1e-6)


def test_convolution_is_that_of_numpy():
    rng = np.random.default_rng(2)
    field = rng.standard_normal((4, 70000)).astype(np.float32)
    responses = rng.standard_normal((2, 4, 100)).astype(np.float32)
    ears = render_binaural(SpatialAudio(field, 8000, "foa"), HeadFilters(responses, 8000, "noise")).samples
    for ear in range(2):
        expected = sum(np.convolve(field[c].astype(float), responses[ear, c]) for c in range(4))[:70000]
        np.testing.assert_allclose(ears[ear], expected, atol=1e-3)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 96000])
def test_resampled_filters_keep_their_gain(rate_hz):
    original, other = omnitone_filters(), omnitone_filters().at_rate(rate_hz)
    frequency_hz = np.array([200.0, 500.0, 1000.0, 3000.0, 6000.0])

    def gains(filters):
        taps = np.arange(filters.responses.shape[-1]) / filters.rate_hz
        return filters.responses @ np.exp(-2j * np.pi * taps[:, None] * frequency_hz)

    np.testing.assert_allclose(gains(other), gains(original), atol=0.02)


def test_mirrored_scene_swaps_the_ears():
    scene = noise_from(70, elevation_deg=20)
    mirrored = scene.samples.copy()
    mirrored[Y] *= -1
    ears = render_binaural(scene).samples
    np.testing.assert_allclose(
        render_binaural(SpatialAudio(mirrored, 48000, "foa")).samples, ears[::-1], atol=1e-6
    )


def test_level_is_sane_and_silence_is_silent():
    for azimuth_deg in range(0, 360, 45):
        scene = noise_from(azimuth_deg)
        ears = render_binaural(scene).samples
        gain_db = 10 * np.log10(
            np.mean(ears.astype(float) ** 2) / np.mean(scene.samples[0].astype(float) ** 2)
        )
        assert -8.0 < gain_db < 0.0
    silent = SpatialAudio(np.zeros((4, 100)), 48000, "foa")
    assert not render_binaural(silent).samples.any()
    assert render_binaural(SpatialAudio(np.zeros((4, 0)), 48000, "foa")).samples.shape == (2, 0)


def test_head_that_faces_the_source_hears_it_in_the_middle():
    scene = noise_from(60, elevation_deg=10)
    np.testing.assert_allclose(*render_binaural(scene, head=Direction(60, 10)).samples, atol=1e-5)
    turned = render_binaural(rotate(scene, yaw_deg=-60))
    np.testing.assert_allclose(render_binaural(scene, head=CameraPose(60)).samples, turned.samples, atol=1e-6)
    moving = CameraTrajectory([0.0, 0.25], [60.0, -60.0], [10.0, 10.0], [0.0, 0.0])
    difference = render_binaural(scene, head=moving).samples
    assert np.abs(difference[0, :300] - difference[1, :300]).max() < np.abs(difference[0, -300:]).max()


def test_stereo_microphones():
    left = render_stereo(noise_from(90))
    assert left.layout == "stereo"
    np.testing.assert_allclose(left.samples[0], noise_from(90).samples[0], atol=1e-6)
    np.testing.assert_allclose(left.samples[1], 0.0, atol=1e-6)
    front = render_stereo(noise_from(0), angle_deg=45.0)
    np.testing.assert_allclose(*front.samples, atol=1e-6)
    np.testing.assert_allclose(
        render_stereo(noise_from(37)).samples.sum(axis=0), noise_from(37).samples[0], atol=1e-6
    )


MONO = SpatialAudio(np.zeros((1, 4)), 16000, "mono")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: render_binaural(MONO), "foa has layout 'mono'"),
        (lambda: render_stereo(MONO), "foa has layout 'mono'"),
        (lambda: render_stereo(noise_from(0), angle_deg=200), "angle_deg is 200"),
        (
            lambda: HeadFilters(np.zeros((2, 3, 5), np.float32), 48000, "x"),
            r"responses has shape \(2, 3, 5\)",
        ),
        (lambda: HeadFilters(np.zeros((2, 4, 5), np.float32), 0, "x"), "rate_hz is 0"),
    ],
)
def test_wrong_listening_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "head", [None, CameraTrajectory([0.1, 2.0], [0.0, 300.0], [0.0, 40.0], [0.0, -80.0])]
)
@pytest.mark.parametrize("count", [1, 32513, 100001])
def test_ears_in_blocks_are_those_of_the_whole(head, count):
    scene = SpatialAudio(0.1 * np.random.default_rng(3).standard_normal((4, count)), 48000, "foa")
    ragged = ComputedSound(48000, "foa", count, lambda: np.split(scene.samples, [1, 90, 5000], axis=1))
    blocks = np.concatenate(list(binaural_blocks(ragged, head=head)), axis=1)
    np.testing.assert_array_equal(blocks, render_binaural(scene, head=head).samples)
