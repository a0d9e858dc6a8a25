import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.evaluation.metrics.energy_overlap import (
    auc_judd,
    correlation,
    covariances_over_time,
    energy_overlap,
    field_points,
    points_overlap,
)
from spatialfoley.evaluation.metrics.energy_points import point_weights, sphere_samples
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode

RATE_HZ = 1000
NOISE = np.random.default_rng(1).normal(0, 0.1, 2 * RATE_HZ)
WINDOWS = (None, 1, 5)
VARIANTS = ("correct", "reference")


def wave(azimuth_deg: float, elevation_deg: float = 0.0, signal: np.ndarray = NOISE) -> np.ndarray:
    return encode(signal, unit_vectors(azimuth_deg, elevation_deg))


@pytest.mark.parametrize("windows_per_s", WINDOWS)
def test_a_field_against_itself_scores_one(windows_per_s: float | None) -> None:
    truth = wave(30, 20)
    correct = energy_overlap(truth, truth, RATE_HZ, windows_per_s)
    assert correct.cc == pytest.approx(1, abs=1e-9)
    assert correct.auc == pytest.approx(1, abs=1e-9)
    published = energy_overlap(truth, truth, RATE_HZ, windows_per_s, "reference")
    assert published.cc == pytest.approx(1, abs=1e-9)
    assert published.auc == pytest.approx(0.9996, abs=2e-4)


def test_opposite_sources_correlate_minus_one() -> None:
    # RMS of a plane wave is |1 + cos(angle)|, its mirror 1 - cos(angle): exactly anti-correlated.
    score = energy_overlap(wave(0), wave(180), RATE_HZ)
    assert score.cc == pytest.approx(-1, abs=1e-6)
    assert score.auc == pytest.approx(0, abs=1e-6)


def test_sources_at_right_angles_are_uncorrelated() -> None:
    # Over the sphere x, y and z are orthogonal; on a map they are only when solid angles weigh its cells.
    for azimuth, elevation in ((90, 0), (0, 90)):
        assert energy_overlap(wave(0), wave(azimuth, elevation), RATE_HZ).cc == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("angle_deg", [20, 60, 130])
def test_cc_of_plane_waves_is_the_cosine_of_their_angle(angle_deg: float) -> None:
    score = energy_overlap(wave(0), wave(angle_deg), RATE_HZ, 5)
    assert score.cc == pytest.approx(np.cos(np.radians(angle_deg)), abs=1e-6)


def test_correct_score_does_not_depend_on_where_the_pair_stands() -> None:
    low = energy_overlap(wave(0, 0), wave(50, 0), RATE_HZ)
    high = energy_overlap(wave(10, 40), wave(10, 90), RATE_HZ)
    assert low.cc == pytest.approx(high.cc, abs=5e-4)
    assert low.auc == pytest.approx(high.auc, abs=5e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_level_does_not_matter(variant: str) -> None:
    truth, estimate = wave(0, 30), wave(40, -10)
    loud = energy_overlap(truth, estimate, RATE_HZ, 5, variant)
    soft = energy_overlap(truth, 0.01 * estimate, RATE_HZ, 5, variant)
    assert soft.cc == pytest.approx(loud.cc, abs=1e-6)
    assert soft.auc == pytest.approx(loud.auc, abs=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_silent_estimate_scores_chance_and_is_counted(variant: str) -> None:
    score = energy_overlap(wave(30), np.zeros((4, 2 * RATE_HZ), np.float32), RATE_HZ, 5, variant)
    assert (score.cc, score.auc, score.scored, score.estimate_flat) == (0.0, 0.5, 10, 10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_silent_reference_windows_are_counted_not_scored(variant: str) -> None:
    burst = NOISE * (np.arange(2 * RATE_HZ) < RATE_HZ)
    score = energy_overlap(wave(30, signal=burst), wave(30), RATE_HZ, 5, variant)
    assert (score.windows, score.scored, score.reference_silent) == (10, 5, 5)
    assert score.cc == pytest.approx(1, abs=1e-6)
    nothing = energy_overlap(np.zeros((4, 2 * RATE_HZ)), wave(30), RATE_HZ, 5, variant)
    assert (nothing.cc, nothing.auc, nothing.scored, nothing.reference_silent) == (None, None, 0, 10)


def test_omnidirectional_estimate_scores_chance() -> None:
    omni = np.stack([NOISE, 0 * NOISE, 0 * NOISE, 0 * NOISE])
    score = energy_overlap(wave(30), omni, RATE_HZ)
    assert (score.cc, score.auc, score.estimate_flat) == (0.0, 0.5, 1)


def test_as_published_leaves_undefined_windows_out() -> None:
    half = NOISE * (np.arange(2 * RATE_HZ) < RATE_HZ)
    truth, estimate = wave(30), wave(30, signal=half)
    published = energy_overlap(truth, estimate, RATE_HZ, 5, "reference", as_published=True)
    ours = energy_overlap(truth, estimate, RATE_HZ, 5, "reference")
    assert (published.scored, published.cc) == (5, pytest.approx(1))
    assert (ours.scored, ours.cc, ours.estimate_flat) == (10, pytest.approx(0.5), 5)


def test_random_maps_score_chance() -> None:
    rng = np.random.default_rng(3)
    reference, estimate = rng.uniform(size=(2, 40, 4050))
    assert np.mean(auc_judd(reference, estimate)) == pytest.approx(0.5, abs=0.01)
    assert np.mean(correlation(reference, estimate)) == pytest.approx(0, abs=0.01)


def test_auc_counts_every_pair() -> None:
    rng = np.random.default_rng(4)
    reference, estimate = rng.uniform(size=(2, 1, 10312))
    # Quantised, so that ties occur; the lagging curve is then checked point by point against its definition.
    estimate = np.round(estimate, 2)
    fixated = reference[0] > reference[0].max() - reference[0].std()
    thresholds = np.sort(estimate[0][fixated])[::-1]
    hits, others = len(thresholds), int(np.sum(~fixated))
    true_rate, false_rate = [0.0], [0.0]
    for rank, threshold in enumerate(thresholds):
        true_rate.append(rank / hits)
        false_rate.append((np.sum(estimate[0] >= threshold) - rank) / others)
    expected = np.trapezoid([*true_rate, 1.0], [*false_rate, 1.0])
    assert auc_judd(reference, estimate, "reference")[0] == pytest.approx(expected, abs=1e-12)


def test_correct_auc_weighs_every_pair_by_solid_angle() -> None:
    rng = np.random.default_rng(5)
    reference, estimate = rng.uniform(size=(2, 1, 4050))
    estimate = np.round(estimate, 2)
    weights = point_weights("correct", 4050)
    mean = reference[0] @ weights
    fixated = reference[0] > reference[0].max() - np.sqrt((reference[0] - mean) ** 2 @ weights)
    # Of every fixation and every other point: louder counts 1, equal 1/2.
    gaps = estimate[0][fixated][:, None] - estimate[0][~fixated][None]
    wins = (np.sign(gaps) + 1) / 2
    pairs = weights[fixated][:, None] * weights[~fixated][None]
    assert auc_judd(reference, estimate)[0] == pytest.approx(np.sum(wins * pairs) / np.sum(pairs), abs=1e-12)


@given(
    seed=st.integers(0, 2**31),
    gain=st.floats(0.01, 100),
    power=st.floats(0.3, 3),
    variant=st.sampled_from(VARIANTS),
)
@settings(max_examples=20, deadline=None)
def test_cc_minds_the_shape_and_auc_only_the_order(
    seed: int, gain: float, power: float, variant: str
) -> None:
    count = 4050 if variant == "correct" else 10312
    reference, estimate = np.random.default_rng(seed).uniform(0.1, 1, size=(2, 2, count))
    cc, auc = correlation(reference, estimate, variant), auc_judd(reference, estimate, variant)
    assert np.all(np.abs(cc) <= 1)
    assert np.all((auc >= 0) & (auc <= 1))
    np.testing.assert_allclose(correlation(estimate, gain * reference + 1, variant), cc, atol=1e-9)
    np.testing.assert_allclose(auc_judd(reference, gain * estimate**power, variant), auc, atol=1e-9)
    # Upside down, what was loudest is softest; the published curve is not symmetric by one fixation.
    tolerance = 1e-9 if variant == "correct" else 2e-3
    np.testing.assert_allclose(auc_judd(reference, -estimate, variant), 1 - auc, atol=tolerance)


def test_sphere_samples_thin_out_towards_the_poles() -> None:
    columns = np.broadcast_to(np.arange(180.0), (90, 180))
    rows = np.broadcast_to(np.arange(90.0)[:, None], (90, 180))
    counts = np.bincount(sphere_samples(rows).astype(int))
    assert counts.sum() == 10312
    assert counts[:4].tolist() == [3, 9, 16, 22]
    assert counts[44:46].tolist() == [180, 180]
    np.testing.assert_allclose(sphere_samples(columns)[:3], [0, 50, 100])


def test_windows_tile_the_clip_and_leave_the_rest_out() -> None:
    field = wave(0)
    covariances = covariances_over_time(field[:, :1550], RATE_HZ, 5)
    assert covariances.shape == (7, 4, 4)
    block = field[:, 200:400].astype(float)
    np.testing.assert_allclose(covariances[1], block @ block.T / 200)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"samples has shape \(2, 10\); energy maps need FOA"):
        covariances_over_time(np.zeros((2, 10)), RATE_HZ, None)
    with pytest.raises(ValueError, match="samples has 100 samples, less than one window of 200"):
        covariances_over_time(np.zeros((4, 100)), RATE_HZ, 5)
    with pytest.raises(ValueError, match="windows_per_s is -1"):
        covariances_over_time(np.zeros((4, 100)), RATE_HZ, -1)
    with pytest.raises(ValueError, match=r"estimate has shape \(4, 9\), reference \(4, 10\)"):
        energy_overlap(np.ones((4, 10)), np.ones((4, 9)), RATE_HZ)
    with pytest.raises(ValueError, match="variant is 'new'"):
        field_points(wave(0), RATE_HZ, None, "new")  # type: ignore[arg-type]
    correct, published = (field_points(wave(0), RATE_HZ, None, v) for v in VARIANTS)
    with pytest.raises(ValueError, match="same windows and variant"):
        points_overlap(correct, published)
    with pytest.raises(ValueError, match="maps have 10 points"):
        correlation(np.ones((1, 10)), np.ones((1, 10)))


def test_nan_is_refused_by_the_name_of_the_argument() -> None:
    sound, broken = wave(0), wave(0)
    broken[2, 7] = np.nan
    with pytest.raises(ValueError, match="estimate holds NaN or infinite samples; repair the file"):
        energy_overlap(sound, broken, RATE_HZ)
    with pytest.raises(ValueError, match="reference holds NaN"):
        energy_overlap(broken, sound, RATE_HZ)
    with pytest.raises(ValueError, match="samples holds NaN"):
        field_points(broken, RATE_HZ, 5, "correct")
