from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.study.ablation import HeldOutClip
from spatialfoley.evaluation.study.slides import (
    SlideScorer,
    SlideScores,
    looking,
    sector_counts,
    slide_changes,
    slide_clips,
    slide_figures,
)
from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import HELD_OUT_SEEDS

CLIPS = 6


@pytest.fixture(scope="module")
def clips() -> list[HeldOutClip]:
    return slide_clips(CLIPS, seed=3, duration_s=2.0)


@pytest.fixture(scope="module")
def scorer(clips: list[HeldOutClip]) -> SlideScorer:
    return SlideScorer(clips, [load_listener("world")])


@pytest.fixture(scope="module")
def truth(scorer: SlideScorer, clips: list[HeldOutClip]) -> SlideScores:
    return scorer.score(lambda clip: clips[clip.index].truth.field)


def test_most_cameras_stand_still_and_look_all_around() -> None:
    clips = slide_clips(20, seed=0, duration_s=0.5)
    cameras = [item.clip.scene.camera_kind for item in clips]
    assert cameras == ["static", "static", "static", "static", "turning"] * 4
    assert {item.clip.scene.kind for item in clips} == {"centred"}
    assert all(item.clip.seed in HELD_OUT_SEEDS for item in clips)
    quadrants = sector_counts(clips, 4)
    assert sum(quadrants) == 20
    assert min(quadrants) >= 1
    with pytest.raises(ValueError, match="count is 1; intervals need 2 clips or more"):
        slide_clips(1, seed=0)


def test_a_sector_is_counted_from_the_middle_of_the_front(clips: list[HeldOutClip]) -> None:
    azimuths_deg = [looking(item).azimuth_deg for item in clips]
    in_front = sum(-45 <= azimuth < 45 for azimuth in azimuths_deg)
    assert sector_counts(clips, 4)[0] == in_front
    assert sector_counts(clips, 1) == [CLIPS]


def test_the_truth_is_perfect_in_every_column(truth: SlideScores) -> None:
    row = slide_figures([truth, truth])
    assert row["cc/all/correct"].value == pytest.approx(1)
    assert row["spatial/correct"].value == pytest.approx(1)
    assert row["auc/5fps/reference"].value > 0.999
    assert row["angle_deg"].value < 1
    assert row["envelope_l1"].value == 0
    assert row["kl/world/dec"].value == pytest.approx(0, abs=1e-4)
    assert row["fd/world/dec"].value == pytest.approx(0, abs=1e-6)
    assert (row["fd/world/channels"].count, row["angle_deg"].count) == (2 * CLIPS, 2 * CLIPS)


def test_turned_fields_lose_their_place_and_nothing_else(
    scorer: SlideScorer, clips: list[HeldOutClip], truth: SlideScores
) -> None:
    def turned(clip: WorldClip) -> SpatialAudio:
        return rotate(clips[clip.index].truth.field, yaw_deg=90)

    told: list[float] = []
    scores = scorer.score(turned, told.append)
    assert (scores.clips, told[-1]) == (CLIPS, 1)
    changes = slide_changes([truth], [scores])
    assert 40 < changes["angle_deg"].interval.value <= 90
    assert changes["spatial/correct"].interval.high < -0.2
    assert changes["cc/all/correct"].interval.value < changes["auc/all/correct"].interval.value
    assert changes["envelope_l1"].interval.value == 0
    assert changes["fd/world/w"].interval.value == pytest.approx(0, abs=1e-6)
    assert changes["fd/world/dec"].interval.value > 0


def test_scores_survive_a_file(truth: SlideScores, tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **truth.arrays())
    with np.load(tmp_path / "run.npz") as file:
        again = SlideScores.of_arrays(file)
    assert again.values.keys() == truth.values.keys()
    np.testing.assert_array_equal(again.values["angle_deg"], truth.values["angle_deg"])
    np.testing.assert_array_equal(again.distances["fd/world/dec"], truth.distances["fd/world/dec"])


def test_a_row_of_no_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no run"):
        slide_figures([])
