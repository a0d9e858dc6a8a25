import io

import av
import numpy as np
import pytest

from spatialfoley.evaluation.report.colours import LEVELS, css_gradient, rgb_of_lab, scale_lab, scale_rgb
from spatialfoley.evaluation.report.outlines import view_outline
from spatialfoley.evaluation.report.pictures import (
    frequency_height,
    level_png,
    map_moments,
    map_sheet,
    rgb_png,
    spectrogram_levels,
    top_frequency_hz,
)
from spatialfoley.spatial.direction import CameraPose, unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000


def decoded(png):
    with av.open(io.BytesIO(png)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def levels_of(picture):
    """Levels in [0, 1] of a picture in the colours of the scale."""
    packed, known = (
        np.asarray(colours).astype(int) @ (1 << 16, 1 << 8, 1) for colours in (picture, scale_rgb())
    )
    order = np.argsort(known)
    index = order[np.searchsorted(known[order], packed).clip(max=LEVELS - 1)]
    np.testing.assert_array_equal(known[index], packed)
    return index / (LEVELS - 1)


def field_from(azimuth_deg, elevation_deg=0.0, gain=0.1):
    count = np.size(azimuth_deg) if np.ndim(azimuth_deg) else RATE_HZ
    mono = gain * np.random.default_rng(0).normal(size=count)
    return SpatialAudio(encode(mono, unit_vectors(azimuth_deg, elevation_deg)), RATE_HZ, "foa")


def test_colours_rise_evenly_in_lightness_and_difference():
    lab = scale_lab()
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert np.all(np.diff(lab[:, 0]) > 0)
    assert steps.max() / steps.min() < 1.1
    inside = rgb_of_lab(lab)
    assert inside.min() >= 0
    assert inside.max() <= 1


def test_lab_knows_white_grey_and_red():
    lab = np.array([[100.0, 0, 0], [53.585, 0, 0], [53.2408, 80.0925, 67.2032]])
    expected = [[1, 1, 1], [128 / 255] * 3, [1, 0, 0]]
    np.testing.assert_allclose(rgb_of_lab(lab), expected, atol=2e-3)


def test_gradient_runs_over_the_whole_scale():
    ends = ["#" + bytes(scale_rgb()[index]).hex() for index in (0, -1)]
    assert css_gradient().startswith(f"linear-gradient(to right,{ends[0]},")
    assert css_gradient().endswith(f",{ends[1]})")


def test_level_png_says_every_level_and_clips():
    levels = np.linspace(-0.5, 1.5, 300).reshape(10, 30)
    picture = decoded(level_png(levels))
    wanted = np.round(np.clip(levels, 0, 1) * (LEVELS - 1)) / (LEVELS - 1)
    np.testing.assert_allclose(levels_of(picture), wanted, atol=1e-12)


def test_rgb_png_is_exact_or_averages_whole_blocks():
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decoded(rgb_png(picture, 9)), picture)
    small = decoded(rgb_png(picture, 3))
    assert small.shape == (2, 3, 3)
    assert abs(float(small[0, 0, 0]) - picture[:3, :3, 0].mean()) <= 0.5


@pytest.mark.parametrize(
    ("duration_s", "moments"), [(5.0, (25, 0.2)), (0.1, (1, 0.2)), (5.05, (26, 0.2)), (30.0, (60, 0.5))]
)
def test_maps_come_every_fifth_of_a_second_but_not_too_many(duration_s, moments):
    assert map_moments(duration_s) == moments


@pytest.mark.parametrize(("azimuth_deg", "elevation_deg"), [(0, 0), (90, 0), (-135, 0), (30, 60), (180, -45)])
def test_a_map_is_brightest_where_the_sound_comes_from(azimuth_deg, elevation_deg):
    sheet = map_sheet(field_from(azimuth_deg, elevation_deg), 1.0)
    picture = levels_of(decoded(sheet.png))
    height, width = picture.shape[0] / sheet.scale[1], picture.shape[1] / sheet.scale[0]
    assert (width, height) == pytest.approx((120, 60))
    left, top = (round(at * size) for at, size in zip(sheet.offset(2), (width, height), strict=True))
    cell = picture[top : top + 60, left : left + 120]
    rows, columns = np.nonzero(cell == cell.max())
    bright = np.array([180 - 3 * (columns + 0.5), 90 - 3 * (rows + 0.5)])
    towards = unit_vectors(*bright) @ unit_vectors(azimuth_deg, elevation_deg)
    assert np.degrees(np.arccos(towards.min())) < 16  # one of the 128 colours is that wide
    assert np.degrees(np.arccos(towards.max())) < 3
    peak_azimuth_deg, peak_elevation_deg = sheet.peaks_deg[2]
    peak = unit_vectors(peak_azimuth_deg, peak_elevation_deg)
    assert peak @ unit_vectors(azimuth_deg, elevation_deg) > np.cos(np.radians(1.5))


def test_maps_follow_a_moving_source_and_have_no_direction_in_silence():
    azimuth_deg = np.repeat([80.0, -40.0], RATE_HZ // 2)
    field = field_from(azimuth_deg)
    field = SpatialAudio(np.pad(field.samples, ((0, 0), (0, RATE_HZ))), RATE_HZ, "foa")
    sheet = map_sheet(field, 2.4)
    assert len(sheet.peaks_deg) == 12
    assert sheet.peaks_deg[0][0] == pytest.approx(80, abs=1)
    assert sheet.peaks_deg[4][0] == pytest.approx(-40, abs=1)
    assert sheet.peaks_deg[5:] == (None,) * 7
    picture = levels_of(decoded(sheet.png))
    assert picture.shape == (3 * 62, 4 * 122)
    assert picture[62 * 2 :].max() == 0  # moments 8 to 11 are silent
    # The border of a map repeats its other side, left and right, and its own edge, above and below.
    np.testing.assert_array_equal(picture[1:61, 0], picture[1:61, 120])
    np.testing.assert_array_equal(picture[0, :122], picture[1, :122])


def test_a_silent_field_is_dark_and_says_so():
    sheet = map_sheet(SpatialAudio(np.zeros((4, 8000)), RATE_HZ, "foa"), 0.5)
    assert sheet.loudest_db == -np.inf
    assert sheet.peaks_deg == (None,) * 3
    assert levels_of(decoded(sheet.png)).max() == 0


def test_the_loudest_direction_of_a_plane_wave_is_twice_its_w():
    field = field_from(0.0)
    level_db = 20 * np.log10(2 * np.sqrt(np.mean(field.samples[0, :3200] ** 2)))
    assert map_sheet(field, 0.2).loudest_db == pytest.approx(level_db, abs=0.01)


def test_only_fields_have_maps():
    with pytest.raises(ValueError, match="field has layout 'mono'"):
        map_sheet(SpatialAudio(np.zeros((1, 10)), RATE_HZ, "mono"), 1.0)


@pytest.mark.parametrize("frequency_hz", [200.0, 1000.0, 5000.0])
def test_a_tone_lies_at_its_height_and_time(frequency_hz):
    times_s = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * frequency_hz * times_s) * ((times_s > 0.5) & (times_s < 1.0))
    sound = SpatialAudio(np.stack([tone, 0 * tone]), RATE_HZ, "binaural")
    levels = spectrogram_levels(sound, 4.0, 8000.0)
    assert levels.shape == (2, 72, 240)
    assert levels.max() == 1.0
    assert levels[1].max() == 0.0
    row = levels[0].max(axis=1).argmax()
    assert 1 - (row + 0.5) / 72 == pytest.approx(frequency_height(frequency_hz, 8000.0), abs=1.5 / 72)
    loud = np.nonzero(levels[0].max(axis=0) > 0.9)[0] / 60
    assert loud.min() == pytest.approx(0.5, abs=0.05)
    assert loud.max() == pytest.approx(1.0, abs=0.05)


def test_spectrograms_of_long_clips_miss_no_click():
    samples = np.zeros((1, 60 * RATE_HZ), np.float32)
    samples[0, 777_777] = 1.0
    levels = spectrogram_levels(SpatialAudio(samples, RATE_HZ, "mono"), 60.0, 8000.0)
    assert levels[0].max(axis=0).argmax() == int(777_777 / samples.shape[1] * 240)


def test_side_by_side_spectrograms_share_their_upper_end():
    sounds = [SpatialAudio(np.zeros((1, 9)), rate_hz, "mono") for rate_hz in (16000, 22050)]
    assert top_frequency_hz(sounds) == 11025
    assert top_frequency_hz([SpatialAudio(np.zeros((1, 9)), 48000, "mono")]) == 16000


def corners(path):
    parts = path.replace("M", " M").replace("L", " L").split(" M")
    return [
        [tuple(map(float, point.split(" "))) for point in part.lstrip("M").split(" L")]
        for part in parts
        if part
    ]


def test_the_view_of_a_camera_to_the_front():
    lines = corners(view_outline(CameraPose().matrix(), 90.0))
    assert len(lines) == 1
    points = np.array(lines[0])
    assert points[0].tolist() == points[-1].tolist()
    # Corners of a square view of 90 degrees: azimuth ±45, elevation ±35.3 degrees.
    assert points.min(axis=0).tolist() == [135, 45]
    assert points.max(axis=0).tolist() == [225, 135]
    assert points[0].tolist() == [135, 55]


def test_a_view_across_the_edge_of_the_panorama_is_broken_there():
    lines = corners(view_outline(CameraPose(yaw_deg=180).matrix(), 60.0, height_by_width=0.5))
    assert len(lines) > 1
    for line in lines:
        assert np.abs(np.diff([x for x, _ in line])).max(initial=0) < 90
