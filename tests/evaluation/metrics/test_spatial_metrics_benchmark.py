"""The benchmark's two sides agree, and what it prints are the figures it measured."""

import numpy as np
import pytest
from benchmarks.spatial_metrics import (
    SCORE_RATE_HZ,
    file_figures,
    main,
    make_field,
    memory_of,
    our_scores,
    published_auc,
    published_maps,
    published_samples,
    report,
)

from spatialfoley.evaluation.metrics.energy_overlap import auc_judd, correlation, covariances_over_time
from spatialfoley.evaluation.metrics.energy_points import field_points
from spatialfoley.spatial.energy_map import energy_map


def test_both_sides_have_the_same_maps_and_scores() -> None:
    fields = [make_field(seed, 0.2, SCORE_RATE_HZ) for seed in (0, 1)]
    maps = [published_maps(field, 5.0) for field in fields]
    for field, published in zip(fields, maps, strict=True):
        ours = energy_map(covariances_over_time(field, SCORE_RATE_HZ, 5.0), "reference")
        np.testing.assert_allclose(ours, published, rtol=0, atol=1e-6 * published.max())
    points = [field_points(field, SCORE_RATE_HZ, 5.0, "reference").points for field in fields]
    true, found = (published_samples(side[0]) for side in maps)
    expected = np.corrcoef(true, found)[0, 1]
    assert correlation(*points, "reference")[0] == pytest.approx(expected, abs=1e-6)
    assert auc_judd(*points, "reference")[0] == pytest.approx(published_auc(true, found), abs=1e-6)


def test_the_whole_set_has_every_score() -> None:
    fields = [make_field(seed, 1.0, SCORE_RATE_HZ) for seed in (0, 1)]
    whole = our_scores(*fields)
    same = our_scores(*fields, ("reference",))
    assert len(whole) == 3 * 3 * 2 + 3
    assert set(same) == {
        f"{kind}/{name}/reference" for kind in ("cc", "auc") for name in ("all", "1fps", "5fps")
    }
    assert all(whole[key] == pytest.approx(value) for key, value in same.items())
    assert all(np.isfinite(value) for value in whole.values() if value is not None)
    assert None not in whole.values()


def test_memory_and_files_are_measured() -> None:
    memory = memory_of("ours", 1.0)
    assert 10 < memory["before_mb"] <= memory["after_mb"] < 200
    files = file_figures(2, 1.0)
    assert files["clips"] == 2
    assert 0 < files["cpu_s_per_clip"] < 5


def test_the_report_holds_the_figures() -> None:
    clip = {
        "duration_s": 5.0,
        "published_cpu_s": 30.0,
        "ours_same_cpu_s": 0.02,
        "ours_whole_cpu_s": 0.05,
        "map_difference": 3e-8,
        "cc_difference": 1e-9,
        "auc_difference": 2e-8,
    }
    memory = {"before_mb": 59.0, "after_mb": 70.0}
    files = {"clips": 60.0, "wall_s_per_clip": 0.04, "cpu_s_per_clip": 0.06}
    text = report({"clip": clip, "memory": memory, "published_memory": memory, "files": files})
    assert "| 50 ms | 600× (target 300×) | 70 MB, 59 MB before (target 200 MB) |" in text
    assert "(10.4 GB at once, calculated)" in text
    assert "Largest difference of maps 3.0e-08 of their maximum (target 1e-06)" in text
    # 11166 pairs at 60 ms each on two processors.
    assert "| 11166 pairs, extrapolated | 5.6 min of two processors, 7.4 min by the clock" in text


def test_too_short_fields_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--duration-s", "0.5"])
    assert "--duration-s is 0.5; windows of one second need 1 or more" in capsys.readouterr().err
