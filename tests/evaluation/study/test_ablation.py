import numpy as np
import pytest

from spatialfoley.evaluation.networks.world_classifier import load_world_classifier
from spatialfoley.evaluation.study.ablation import (
    HeldOutClip,
    RunScores,
    held_out_clips,
    pooled_figures,
    score_run,
    share_interval,
)
from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import HELD_OUT_SEEDS, render_foa

CLIPS = 6


@pytest.fixture(scope="module")
def clips() -> list[HeldOutClip]:
    return held_out_clips(CLIPS, seed=2, duration_s=3.0)


@pytest.fixture(scope="module")
def truth(clips: list[HeldOutClip]) -> RunScores:
    return score_run(true_field, clips, load_world_classifier())


def true_field(clip: WorldClip) -> SpatialAudio:
    return SpatialAudio(render_foa(clip.scene, 16000), 16000, "foa")


def test_every_second_camera_turns_on_scenes_that_training_cannot_draw(clips: list[HeldOutClip]) -> None:
    assert [item.clip.scene.camera_kind for item in clips] == ["static", "turning"] * 3
    assert {item.clip.scene.kind for item in clips} == {"in_view"}
    assert all(item.clip.seed in HELD_OUT_SEEDS for item in clips)
    with pytest.raises(ValueError, match="count is 1; intervals need 2 clips or more"):
        held_out_clips(1, seed=0)


def test_the_truth_is_perfect_in_every_pooled_figure(truth: RunScores) -> None:
    row = pooled_figures([truth, truth], truth)
    assert row["angle_median_deg"].value < 0.5
    assert (row["louder_ear_right"].value, row["ear_level_error_median_db"].value) == (1, 0)
    assert row["ear_level_correlation"].value == pytest.approx(1)
    assert row["ear_level_following"].value == pytest.approx(1)
    assert (row["ear_level_correlation"].count, row["ear_level_turning"].count) == (2 * CLIPS, CLIPS)
    assert row["frechet_ears"].value == pytest.approx(0, abs=1e-6)
    assert row["class_accuracy"].count == 2 * CLIPS
    assert row["cc/all/correct"].value == pytest.approx(1, abs=1e-6)


def test_runs_are_pooled_and_their_spread_is_shown(clips: list[HeldOutClip], truth: RunScores) -> None:
    classifier = load_world_classifier()

    def mirrored(clip: WorldClip) -> SpatialAudio:
        """Two ears that are those of the truth, swapped."""
        ears = clips[clip.index].truth.ears.ears
        return SpatialAudio(ears[::-1], 16000, "binaural")

    told: list[float] = []
    wrong = score_run(mirrored, clips, classifier, told.append)
    assert told[-1] == 1
    assert (wrong.seconds.shape, wrong.embeddings.shape[:2]) == ((CLIPS,), (CLIPS, 3))
    alone, mixed = pooled_figures([wrong], truth), pooled_figures([truth, wrong], truth)
    assert alone["louder_ear_right"].value == 0
    assert alone["ear_level_correlation"].value < -0.9
    assert alone["angle_median_deg"] is None
    # Two runs that say the opposite: nobody knows what a third would say.
    assert (mixed["louder_ear_right"].low, mixed["louder_ear_right"].high) == (0, 1)
    assert mixed["louder_ear_right"].value == 0.5
    assert mixed["angle_median_deg"].count == CLIPS
    assert mixed["frechet_ears"].value == pytest.approx(alone["frechet_ears"].value / 2)
    assert mixed["frechet_ears"].low <= mixed["frechet_ears"].value <= mixed["frechet_ears"].high


def test_runs_of_other_clips_are_refused(truth: RunScores) -> None:
    part = RunScores(truth.documents[:2], truth.embeddings[:2], truth.turning[:2], np.zeros(2))
    with pytest.raises(ValueError, match=r"runs are of 2 clips, the truth of 6; give the same"):
        pooled_figures([part], truth)
    with pytest.raises(ValueError, match="runs are of no clips"):
        pooled_figures([], truth)


def test_what_is_right_everywhere_is_not_certain() -> None:
    interval = share_interval(np.ones((3, 100)))
    assert (interval.value, interval.high, interval.count) == (1, 1, 300)
    assert interval.low == pytest.approx(0.963, abs=1e-3)
    apart = share_interval([[1.0] * 50, [0.0] * 50])
    assert (apart.low, apart.value, apart.high) == (0, 0.5, 1)
    assert share_interval(np.full((2, 3), np.nan)) is None
