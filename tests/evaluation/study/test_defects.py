"""Defects of the published scripts shift figures as theory says, where theory says anything."""

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.energy_points import sphere_samples
from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.study.defects import defect_row, map_defects, rank_auc, silence_defects, thinned
from spatialfoley.evaluation.study.defects_encoding import (
    decoder_defects,
    encoder_defects,
    encoder_scores,
)
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.energy_map import covariance, energy_map
from spatialfoley.spatial.foa import encode


def test_exact_ranks_of_a_small_map() -> None:
    reference = np.array([1.0, 9.0, 2.0, 8.9, 0.0])
    assert rank_auc(reference, np.array([0.0, 5.0, 1.0, 4.0, 2.0])) == 1.0
    assert rank_auc(reference, np.array([0.0, 1.5, 1.0, 4.0, 2.0])) == pytest.approx(5 / 6)
    assert rank_auc(reference, np.ones(5)) == 0.5


@pytest.mark.parametrize("period", [180.0, 360.0])
def test_the_period_of_the_published_thinning_changes_nothing(period: float) -> None:
    field = encode(np.random.default_rng(0).standard_normal(500), Direction(50.0, -20.0).vector())
    maps = energy_map(covariance(field)[None])
    np.testing.assert_allclose(thinned(maps, period), sphere_samples(maps), rtol=1e-12)
    np.testing.assert_array_equal(thinned(maps, 180.0), thinned(maps, 360.0))


def test_a_mirrored_encoder_scores_the_cosine_to_the_mirror_image() -> None:
    tone = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    camera = Direction(40.0, 20.0)
    right, mirrored, loud, both = encoder_scores(encode(tone, camera.vector()), tone, camera, "correct")
    lateral = np.cos(np.radians(20)) * np.sin(np.radians(40))
    assert right == pytest.approx([1, 1], abs=1e-6)
    assert mirrored[0] == pytest.approx(1 - 2 * lateral**2, abs=1e-4)
    assert mirrored[1] == pytest.approx(1 - lateral**2, abs=4e-3)
    assert 0.97 < loud[0] < 0.99
    assert both[0] < mirrored[0]
    front = encoder_scores(encode(tone, [1.0, 0, 0]), tone, Direction(0.0), "correct")
    assert front[1] == pytest.approx([1, 1], abs=1e-6)


def test_half_a_silent_clip_scores_half_or_all() -> None:
    rows = {(row.scored, row.figure): row for row in silence_defects(2, 40, 2.0)}
    silent = rows["right, then silent", "CC, 5 fps"]
    assert silent.defective == pytest.approx(1.0, abs=1e-6)
    assert 0.2 < silent.right < 0.8
    assert silent.shift.value == pytest.approx(silent.defective - silent.right, abs=1e-9)
    area = rows["right, then silent", "AUC, 5 fps"]
    # A window without any estimate counts 0 for CC and one half for AUC.
    assert area.right == pytest.approx((1 + silent.right) / 2, abs=1e-6)


def test_map_defects_of_two_scenes_per_kind() -> None:
    rows = {(row.defect, row.scored, row.figure): row for row in map_defects(1, 40, 1.0)}
    period = rows["period 360 for 180 columns", "60° off", "CC, All"]
    assert (period.shift.value, period.shift.low, period.shift.high) == (0.0, 0.0, 0.0)
    lag = rows["true-positive rate lags", "60° off", "AUC, All"]
    assert -6e-4 < lag.shift.value < -1e-4
    thin = rows["rows thinned unevenly, no solid angle", "60° off", "CC, All"]
    assert abs(thin.shift.value) < 0.01
    assert rows["X and Y of the maps √2 too strong", "60° off", "CC, All"].right == thin.right


def test_encoder_and_decoder_rows() -> None:
    encoder = encoder_defects(1, 40, 1.0)
    assert {row.scored for row in encoder} >= {"camera near the horizon", "world clip, source in view"}
    ideal = [row for row in encoder if row.scored.startswith("camera") and row.figure == "CC, All"]
    assert all(row.right == pytest.approx(1.0, abs=1e-6) for row in ideal)
    rows = {
        (row.defect, row.scored, row.figure): row
        for row in decoder_defects(1, 40, load_listener("world"), 1.0)
    }
    stray = rows["stray division in the mono decode", "the truth itself", "FD, decoded"]
    assert stray.right == pytest.approx(0.0, abs=1e-3)
    assert stray.defective > 1.0


def test_a_row_pairs_clips() -> None:
    row = defect_row("none", "two clips", "CC", np.array([[0.5, 0.25], [1.0, 0.25]]))
    assert (row.right, row.defective, row.shift.value, row.shift.count) == (0.75, 0.25, -0.5, 2)
    assert (row.shift.low, row.shift.high) == (-0.75, -0.25)
