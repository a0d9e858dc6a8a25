"""CC, AUC-Judd and energy maps against numbers of the published ViSAGe metric scripts (jitter off).

Tolerances: maps 1e-6 of their maximum (the published ones are float32 sums over 80000 samples); scores of the
published maps 1e-12; scores of our maps 1e-6, because points of nearly equal value may change ranks.
"""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.energy_overlap import (
    FieldPoints,
    auc_judd,
    correlation,
    covariances_over_time,
    field_points,
)
from spatialfoley.evaluation.metrics.energy_points import sphere_samples
from spatialfoley.spatial.energy_map import (
    REFERENCE_DURATION_S,
    REFERENCE_RATE_HZ,
    energy_map,
    fit_length,
)
from tests.parity.cases import case_params

RATE_HZ = REFERENCE_RATE_HZ
MAP_TOLERANCE = 1e-6
WINDOWS = {"overall": None, "1fps": 1, "5fps": 5}

pytestmark = pytest.mark.parametrize("case", case_params("visage", "metrics_*.npz"))


def load(case: Path) -> dict[str, np.ndarray]:
    with np.load(case) as arrays:
        return dict(arrays)


def signals(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    count = sum(name.startswith("signal") for name in arrays)
    # The published evaluation brings every clip to five seconds first.
    length = round(REFERENCE_DURATION_S * RATE_HZ)
    return [fit_length(arrays[f"signal{i}_int16"].T.astype(np.float32) / 32768, length) for i in range(count)]


def assert_maps_equal(found: np.ndarray, published: np.ndarray) -> None:
    np.testing.assert_allclose(found, published, rtol=0, atol=MAP_TOLERANCE * np.max(published))


def test_maps_and_their_peaks(case: Path) -> None:
    arrays = load(case)
    for index, signal in enumerate(signals(arrays)):
        overall = energy_map(covariances_over_time(signal, RATE_HZ, None), variant="reference")[0]
        seconds = energy_map(covariances_over_time(signal, RATE_HZ, 1), variant="reference")
        assert_maps_equal(overall, arrays[f"raw_overall{index}"])
        for frame, found in (("1fps", seconds), ("overall", overall[None])):
            peaks = [np.unravel_index(np.argmax(m), m.shape) for m in found]
            np.testing.assert_array_equal(peaks, np.atleast_2d(arrays[f"argmax_{frame}{index}"]))


def test_single_stored_frames(case: Path) -> None:
    arrays = load(case)
    stored = [name for name in arrays if name.startswith(("raw_1fps", "raw_5fps"))]
    assert stored, "the case holds no raw frames"
    for name in stored:
        kind, frame = name.removeprefix("raw_").split("_frame")
        window, index = kind[:4], int(kind[4:])
        covariances = covariances_over_time(signals(arrays)[index], RATE_HZ, WINDOWS[window])
        assert_maps_equal(energy_map(covariances[int(frame)], variant="reference"), arrays[name])


def test_sphere_samples(case: Path) -> None:
    arrays = load(case)
    rows = np.broadcast_to(np.arange(90.0)[:, None], (90, 180))
    np.testing.assert_array_equal(np.bincount(sphere_samples(rows).astype(int)), arrays["er_row_counts"])
    for index, signal in enumerate(signals(arrays)):
        published = arrays[f"raw_overall{index}"]
        np.testing.assert_allclose(sphere_samples(published), arrays[f"er_overall{index}"], rtol=2e-7)
        for window, windows_per_s in WINDOWS.items():
            points = field_points(signal, RATE_HZ, windows_per_s, "reference").points
            if window == "5fps":
                assert_maps_equal(points[:, ::7], arrays[f"er_5fps{index}_stride7"])
            else:
                assert_maps_equal(np.squeeze(points), arrays[f"er_{window}{index}"])


def test_scores_of_the_published_maps(case: Path) -> None:
    arrays = load(case)
    for row, (generated, truth) in enumerate(arrays["pairs_generated_gt"]):
        reference, estimate = (sphere_samples(arrays[f"raw_overall{i}"])[None] for i in (truth, generated))
        cc, auc = arrays["cc_overall"][row], arrays["auc_overall_nojitter"][row]
        assert correlation(reference, estimate, "reference")[0] == pytest.approx(cc, abs=1e-12)
        assert auc_judd(reference, estimate, "reference")[0] == pytest.approx(auc, abs=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
def test_scores_of_the_signals(case: Path, window: str) -> None:
    arrays = load(case)
    fields: list[FieldPoints] = [
        field_points(signal, RATE_HZ, WINDOWS[window], "reference") for signal in signals(arrays)
    ]
    for row, (generated, truth) in enumerate(arrays["pairs_generated_gt"]):
        reference, estimate = fields[truth].points, fields[generated].points
        cc, auc = arrays[f"cc_{window}"][row], arrays[f"auc_{window}_nojitter"][row]
        np.testing.assert_allclose(
            correlation(reference, estimate, "reference"), np.atleast_1d(cc), atol=1e-6
        )
        np.testing.assert_allclose(auc_judd(reference, estimate, "reference"), np.atleast_1d(auc), atol=1e-6)
