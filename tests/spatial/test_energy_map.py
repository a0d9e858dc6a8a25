import numpy as np
import pytest

from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg
from spatialfoley.spatial.energy_map import (
    beam_gains,
    beam_rms,
    covariance,
    energy_map,
    energy_maps_over_time,
    fit_length,
    grid_angles_deg,
    grid_directions,
    peak_cells,
    peak_direction,
    peak_vectors,
    window_covariances,
)
from spatialfoley.spatial.foa import encode, rotate_field, steer
from spatialfoley.spatial.statistics import coherence_with_w, directionality, intensity_directions


def wave(azimuth_deg, elevation_deg=0.0, samples=500):
    sound = np.random.default_rng(0).standard_normal(samples)
    return encode(sound, Direction(azimuth_deg, elevation_deg).vector())


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "row", "column"),
    [(90, 0, 44, 44), (-90, 0, 44, 134), (0, 0, 44, 89), (0, 45, 26, 89), (30, 20, 37, 74)],
)
def test_peaks_of_the_reference_map(azimuth_deg, elevation_deg, row, column):
    cells = peak_cells(energy_map(covariance(wave(azimuth_deg, elevation_deg)), "reference"))
    np.testing.assert_array_equal(cells, (row, column))


def test_reference_peaks_are_drawn_to_the_horizon_and_correct_ones_are_not():
    cov = covariance(wave(0, 45))
    expected_deg = np.degrees(np.arctan(np.tan(np.radians(45)) / np.sqrt(2)))
    assert peak_direction(energy_map(cov, "reference")).elevation_deg == pytest.approx(expected_deg, abs=0.1)
    assert peak_direction(energy_map(cov, "sn3d")).elevation_deg == pytest.approx(45, abs=0.1)


def test_grid_reads_like_a_panorama():
    azimuth_deg, elevation_deg = grid_angles_deg()
    assert (azimuth_deg[0], azimuth_deg[89], azimuth_deg[-1]) == (178, 0, -180)
    assert (elevation_deg[0], elevation_deg[44], elevation_deg[-1]) == (88, 0, -90)
    np.testing.assert_allclose(
        grid_directions()[44, [44, 89, 134]], [(0, 1, 0), (1, 0, 0), (0, -1, 0)], atol=1e-12
    )


def test_gains_of_both_variants():
    directions = [Direction(0).vector(), Direction(90).vector(), Direction(0, 90).vector()]
    np.testing.assert_allclose(beam_gains(directions), [(1, 0, 0, 1), (1, 1, 0, 0), (1, 0, 1, 0)], atol=1e-12)
    root = np.sqrt(2)
    expected = [(1, 0, 0, root), (1, root, 0, 0), (1, 0, 1, 0)]
    np.testing.assert_allclose(beam_gains(directions, "reference"), expected, atol=1e-12)


def test_map_is_the_rms_of_the_beams():
    field = np.random.default_rng(1).standard_normal((4, 300)).astype(np.float32)
    energy = energy_map(covariance(field))
    for row, column in ((0, 0), (44, 89), (60, 150), (89, 3)):
        beam = 2.0 * steer(field, grid_directions()[row, column])
        assert energy[row, column] == pytest.approx(np.sqrt(np.mean(beam.astype(float) ** 2)), rel=1e-5)


def test_levels_of_a_plane_wave_and_its_null():
    field = wave(0)
    rms = np.sqrt(np.mean(field[0].astype(float) ** 2))
    energy = energy_map(covariance(field))
    assert np.isfinite(energy).all()
    assert energy[44, 89] == pytest.approx(2 * rms, rel=1e-6)
    assert energy[44, 179] == pytest.approx(0.0, abs=1e-6)
    reference = energy_map(covariance(field), "reference")
    assert reference[44, 89] == pytest.approx((1 + np.sqrt(2)) * rms, rel=1e-6)
    assert reference[44, 179] == pytest.approx((np.sqrt(2) - 1) * rms, rel=1e-5)


@pytest.mark.parametrize("variant", ["sn3d", "reference"])
def test_silence_has_a_zero_map_and_no_peak(variant):
    maps = energy_maps_over_time(np.zeros((4, 100)), variant=variant)
    assert not maps.any()
    assert np.isnan(peak_vectors(maps)).all()
    with pytest.raises(ValueError, match="no peak: is the sound silent"):
        peak_direction(maps[0])


def test_sound_in_w_only_has_no_peak():
    field = np.zeros((4, 100))
    field[0] = 1.0
    assert np.isnan(peak_vectors(energy_map(covariance(field)))).all()


def test_peaks_and_intensity_find_100_random_directions():
    rng = np.random.default_rng(4)
    directions = [Direction(*angles) for angles in rng.uniform([-180, -80], [180, 80], (100, 2))]
    cov = np.stack([covariance(wave(d.azimuth_deg, d.elevation_deg, samples=50)) for d in directions])
    true = np.stack([d.vector() for d in directions])
    maps = energy_map(cov)
    assert angle_between_deg(peak_vectors(maps), true).max() < 0.1
    assert angle_between_deg(peak_vectors(maps, sub_cell=False), true).max() < 1.5
    assert angle_between_deg(intensity_directions(cov), true).max() < 0.01


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg"), [(180, 0), (-179.3, 10), (179.6, -40), (10, 90), (0, -90)]
)
def test_peaks_at_the_seam_and_the_poles(azimuth_deg, elevation_deg):
    direction = Direction(azimuth_deg, elevation_deg)
    peak = peak_direction(energy_map(covariance(wave(azimuth_deg, elevation_deg))))
    limit_deg = 2.1 if elevation_deg == 90 else 0.1  # the grid has no row at +90
    assert angle_between_deg(peak.vector(), direction.vector()) < limit_deg


def test_turned_field_has_a_turned_map():
    field = wave(20, 10)
    turned = rotate_field(field, CameraPose(yaw_deg=60).matrix())
    np.testing.assert_allclose(
        np.roll(energy_map(covariance(field)), -30, axis=1), energy_map(covariance(turned)), atol=1e-5
    )


def test_windows_follow_a_source_that_jumps():
    field = np.concatenate([wave(azimuth, samples=16000) for azimuth in (0, 90, 180, -90, 30)], axis=1)
    maps = energy_maps_over_time(field, maps_per_s=1)
    assert maps.shape == (5, 90, 180)
    np.testing.assert_array_equal(peak_cells(maps)[:, 1], (89, 44, 179, 134, 74))
    assert energy_maps_over_time(field, maps_per_s=5).shape == (25, 90, 180)
    assert energy_maps_over_time(field).shape == (1, 90, 180)


def test_short_clips_are_padded_and_long_ones_cut():
    field = wave(0, samples=8000)
    maps = energy_maps_over_time(field, maps_per_s=1)
    assert maps[0].any()
    assert not maps[1:].any()
    long = np.concatenate([np.zeros((4, 80000)), field], axis=1)
    assert not energy_maps_over_time(long).any()
    assert energy_maps_over_time(long, duration_s=None).any()
    assert fit_length(np.ones((4, 3)), 5).sum() == 12
    assert window_covariances(np.ones((4, 7)), 3).shape == (2, 4, 4)


def test_beams_at_the_pixels_of_a_view():
    cov = covariance(np.stack([wave(0), wave(90)]))
    np.testing.assert_allclose(beam_rms(cov, grid_directions()), energy_map(cov), rtol=1e-12)
    assert beam_rms(cov[0], Direction(0).vector()).shape == ()


def test_coherence_and_directionality():
    cov = covariance(wave(30))
    np.testing.assert_allclose(coherence_with_w(cov), (1, 0, 1), atol=1e-6)
    np.testing.assert_allclose(coherence_with_w(covariance(wave(-30))), (-1, 0, 1), atol=1e-6)
    assert directionality(cov) == pytest.approx(1.0)
    assert directionality(np.zeros((4, 4))) == 0.0
    assert not coherence_with_w(np.zeros((4, 4))).any()
    assert np.isnan(intensity_directions(np.zeros((4, 4)))).all()
    diffuse = covariance(np.random.default_rng(0).standard_normal((4, 50000)))
    assert directionality(diffuse) < 0.02


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: covariance(np.zeros((3, 10))), r"samples has shape \(3, 10\)"),
        (lambda: energy_map(np.zeros((3, 3))), r"cov has shape \(3, 3\)"),
        (lambda: energy_map(np.eye(4), "n3d"), "variant is 'n3d'"),
        (lambda: peak_vectors(np.zeros((10, 10))), r"maps has shape \(10, 10\)"),
        (lambda: peak_direction(np.zeros((2, 90, 180))), r"energy has shape \(2, 90, 180\)"),
    ],
)
def test_wrong_maps_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_covariances_that_are_not_finite_are_refused():
    broken = np.full((4, 4), np.nan)
    for figure in (energy_map, intensity_directions, directionality, coherence_with_w):
        with pytest.raises(ValueError, match="cov holds NaN or infinity; give covariances of finite samples"):
            figure(broken)


def test_a_map_of_every_second_cell_is_part_of_the_whole():
    cov = covariance(wave(70, 20))
    np.testing.assert_allclose(energy_map(cov, cell_step=2), energy_map(cov)[::2, ::2], rtol=1e-12, atol=1e-9)
    assert energy_map(cov[None], "reference", cell_step=7).shape == (1, 13, 26)
    with pytest.raises(ValueError, match="cell_step is 0; give 1 or more"):
        energy_map(cov, cell_step=0)
