import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.suite.clips import WorldClip, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.figures import SINGLE, TURNING, SuiteResult
from spatialfoley.evaluation.suite.run import WorldSuiteSettings, run_world_suite
from spatialfoley.evaluation.suite.scores import turn_deg
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.foa import as_world, listen_from, rotate
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import HELD_OUT_SEEDS, SCENE_KINDS, render_foa

SETTINGS = WorldSuiteSettings(clips=8, view_size_px=16, turn_clips=2)


def truth_of(clip: WorldClip) -> SpatialAudio:
    """What a perfect generator makes: the scene's field, turned with the camera."""
    field = SpatialAudio(render_foa(clip.scene, 16000), 16000, "foa")
    return rotate(field, yaw_deg=float(clip.camera.yaw_deg[0] - clip.scene.camera.yaw_deg[0]))


def mirrored(clip: WorldClip) -> SpatialAudio:
    heard = listen_from(truth_of(clip), clip.camera).samples.copy()
    heard[1] *= -1
    return as_world(SpatialAudio(heard, 16000, "foa"), clip.camera)


def silence(clip: WorldClip) -> SpatialAudio:
    return SpatialAudio(np.zeros((4, 80000)), 16000, "foa")


def thinned(audio: SpatialAudio) -> SpatialAudio:
    """A poor codec: directional channels at half level."""
    return SpatialAudio(audio.samples * np.array([[1], [0.5], [0.5], [0.5]]), audio.rate_hz, "foa")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> tuple[SuiteResult, Path]:
    folder = tmp_path_factory.mktemp("oracle")
    return run_world_suite(truth_of, SETTINGS, folder, codec_round_trip=thinned, label="truth"), folder


def test_the_truth_scores_perfectly(oracle: tuple[SuiteResult, Path]) -> None:
    result, _ = oracle
    row = result.tables[SINGLE]["generated"]
    assert row["angle_median_deg"].value < 1
    assert row["clip_angle_median_deg"].value < 1
    assert row["left_right_confusion"].value == 0
    assert row["class_accuracy"].value == 1
    assert row["onset_error_median_s"].value < 0.02
    assert row["coherence_median"].value > 0.98
    assert row["psi_median"].value > 0.98
    assert row["level_difference_median_db"].value == pytest.approx(0, abs=1e-6)
    for kind in SCENE_KINDS:
        scores = result.tables[kind]["generated"]
        assert scores["cc/all/correct"].value == pytest.approx(1, abs=1e-6)
        assert scores["auc/5fps/correct"].value == pytest.approx(1, abs=1e-6)
        assert scores["auc/1fps/reference"].value == pytest.approx(0.9997, abs=3e-4)
        assert scores["cc/all/correct"].count == 2


def test_the_field_turns_with_the_camera(oracle: tuple[SuiteResult, Path]) -> None:
    turn = oracle[0].turn
    assert turn["median_deg"].value == pytest.approx(90, abs=0.5)
    assert (turn["within_15_deg"].value, turn["within_15_deg"].count) == (1, 2)


def test_baselines_stand_beside(oracle: tuple[SuiteResult, Path]) -> None:
    tables = oracle[0].tables
    assert set(tables["in_view"]) == {"generated", "truth", "codec", "ambi_encode", "noise"}
    centred, away = tables["centred"]["ambi_encode"], tables["off_screen"]["ambi_encode"]
    assert centred["angle_median_deg"].value < 5
    assert away["angle_median_deg"].value > 40
    assert tables["in_view"]["noise"]["angle_median_deg"].value > 40
    assert tables["in_view"]["noise"]["level_difference_median_db"].value == pytest.approx(0, abs=0.2)
    assert tables["in_view"]["codec"]["psi_median"].value == pytest.approx(2 * 0.5 / 1.25, abs=0.02)
    assert oracle[0].differences["off_screen"]["cc/all/correct"].value > 0.3


def test_files_are_written(oracle: tuple[SuiteResult, Path]) -> None:
    result, folder = oracle
    document = json.loads((folder / "results.json").read_text())
    assert document["tables"][SINGLE]["truth"]["angle_median_deg"]["count"] == 4
    assert document["settings"]["clips"] == 8
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(8))
    assert all(line["seed"] in HELD_OUT_SEEDS for line in lines)
    assert [line["kind"] for line in lines[:4]] == list(SCENE_KINDS)
    report = (folder / "report.md").read_text()
    assert f"## {SINGLE} (4 clips)" in report
    assert "generated − ambi_encode" in report
    assert result.failures == {}


def test_mirrored_field_is_confused(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=4, kinds=("in_view",), turn_clips=0)
    row = run_world_suite(mirrored, settings, tmp_path).tables["in_view"]["generated"]
    assert row["left_right_confusion"].count > 0
    assert row["left_right_confusion"].value == 1
    assert row["class_accuracy"].value == 1


def test_silence_has_defined_scores(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("in_view",), turn_clips=1)
    result = run_world_suite(silence, settings, tmp_path)
    row = result.tables["in_view"]["generated"]
    assert row["angle_median_deg"].value == 90
    assert (row["cc/5fps/correct"].value, row["auc/5fps/reference"].value) == (0, 0.5)
    assert row["class_accuracy"].value == 0
    assert row["onset_error_median_s"].value == 0.25
    assert row["left_right_confusion"] is None
    assert (result.turn["median_deg"], result.turn["within_15_deg"].value) == (None, 0)


def test_failures_are_counted_and_tried_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("centred",), turn_clips=0)
    seen: list[int] = []

    def sometimes(clip: WorldClip) -> SpatialAudio:
        seen.append(clip.index)
        if clip.index == 1 and len(seen) < 3:
            raise RuntimeError("out of luck")
        return truth_of(clip)

    first = run_world_suite(sometimes, settings, tmp_path)
    assert first.failures == {1: "RuntimeError: out of luck"}
    assert first.groups["centred"] == 1
    assert "clip 1 failed: RuntimeError: out of luck" in (tmp_path / "report.md").read_text()
    # As after an interruption in the middle of a line.
    with (tmp_path / "clips.jsonl").open("a") as lines:
        lines.write('{"index": 0, "ki')
    second = run_world_suite(sometimes, settings, tmp_path)
    assert second.failures == {}
    assert second.groups["centred"] == 2
    assert seen == [0, 1, 1]


def test_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=1, turn_clips=0)
    run_world_suite(silence, settings, tmp_path, label="one")
    with pytest.raises(ValueError, match=r"other label, seed \(one, 0\); give an empty folder"):
        run_world_suite(silence, replace(settings, seed=5), tmp_path, label="two")


@pytest.mark.parametrize("yaw_deg", [0, 60, 90, 170])
def test_turn_is_measured_relative_to_the_source(yaw_deg: float) -> None:
    clip = make_world_clip(1, 3, ("in_view",), 16, 4.0, 5.0)
    field = truth_of(clip)
    measured = turn_deg(clip_truth(clip.scene), field, rotate(field, yaw_deg=yaw_deg))
    assert measured == pytest.approx(yaw_deg, abs=0.5)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="clips is 0"):
        WorldSuiteSettings(clips=0)
    with pytest.raises(ValueError, match=r"duration_s is 0.5; it must be 1 or more"):
        WorldSuiteSettings(duration_s=0.5)
    with pytest.raises(ValueError, match="camera is 'handheld'; it must be static, turning or None"):
        WorldSuiteSettings(camera="handheld")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose from centred, in_view"):
        WorldSuiteSettings(kinds=("upside_down",))  # type: ignore[arg-type]


def ears_of_truth(clip: WorldClip) -> SpatialAudio:
    """What a perfect binaural generator makes, at a rate of its own."""
    heard = render_binaural(SpatialAudio(render_foa(clip.scene, 32000), 32000, "foa"), head=clip.scene.camera)
    return SpatialAudio(heard.samples, 32000, "binaural")


def swapped_ears(clip: WorldClip) -> SpatialAudio:
    heard = ears_of_truth(clip)
    return SpatialAudio(heard.samples[::-1], heard.rate_hz, "binaural")


def mono(clip: WorldClip) -> SpatialAudio:
    return SpatialAudio(truth_of(clip).samples[:1], 16000, "mono")


def test_a_field_is_heard_as_well_as_seen(oracle: tuple[SuiteResult, Path]) -> None:
    result, folder = oracle
    table = result.tables["in_view"]
    for name in ("generated", "truth"):
        row = table[name]
        assert row["ear_level_error_median_db"].value == pytest.approx(0, abs=1e-3)
        assert row["ear_delay_error_median_us"].value == pytest.approx(0, abs=1e-3)
        assert (row["louder_ear_right"].value, row["delay_side_right"].value) == (1, 1)
        assert row["ear_level_correlation"].value == pytest.approx(1)
        assert row["mono_collapse"].value == 0
    assert table["ambi_encode"]["mono_collapse"].value == 1
    assert table["ambi_encode"]["louder_ear_right"].value == 0.5
    assert table["noise"]["ear_coherence_difference_median"].value < -0.3
    assert result.frechet["generated"]["frechet_ears"].value == pytest.approx(0, abs=1e-3)
    assert (
        result.frechet["noise"]["frechet_mix"].value > 3 * result.frechet["ambi_encode"]["frechet_mix"].value
    )
    assert "8 clips in 336 dimensions" in (result.frechet_note or "")
    report = (folder / "report.md").read_text()
    assert "| louder ear right | 100.0%" in report
    assert "Distance from the true ears, all clips" in report


def test_true_ears_of_another_rate_score_perfectly_and_have_no_field(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=8, kinds=("in_view", "several"), camera="turning")
    result = run_world_suite(ears_of_truth, settings, tmp_path)
    row = result.tables["in_view"]["generated"]
    assert row["ear_level_error_median_db"].value < 0.2
    assert row["ear_delay_error_median_us"].value < 15
    assert (row["louder_ear_right"].value, row["delay_side_right"].value) == (1, 1)
    assert (row["class_accuracy"].value, row["class_accuracy"].count) == (1, 4)
    assert row["onset_error_median_s"].value < 0.02
    assert row["level_difference_median_db"].value == pytest.approx(0, abs=0.2)
    assert result.tables[TURNING]["generated"]["ear_level_following"].value > 0.99
    assert result.tables["several"]["generated"]["louder_ear_right"].value == 1
    assert (row["angle_median_deg"], row["cc/all/correct"], row["psi_median"]) == (None, None, None)
    assert result.turn["within_15_deg"] is None
    assert "| angle, median ° | – | 0.0" in (tmp_path / "report.md").read_text()


def test_swapped_ears_and_one_channel_are_found_out(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=3, kinds=("in_view",))
    wrong = run_world_suite(swapped_ears, settings, tmp_path / "swapped").tables["in_view"]["generated"]
    assert (wrong["louder_ear_right"].value, wrong["delay_side_right"].value) == (0, 0)
    assert wrong["ear_level_correlation"].value < -0.9
    assert wrong["class_accuracy"].value == 1
    single = run_world_suite(mono, settings, tmp_path / "mono").tables["in_view"]["generated"]
    assert (single["louder_ear_right"].value, single["delay_side_right"].value) == (0.5, 0.5)
    assert single["mono_collapse"].value == 1
    assert single["left_right_distance_median"].value == 0
    assert single["level_difference_median_db"].value == pytest.approx(0, abs=1e-4)


def test_layouts_without_ears_fail_by_clip(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=1, kinds=("in_view",))
    stereo = SpatialAudio(np.zeros((2, 80000)), 16000, "stereo")
    result = run_world_suite(lambda clip: stereo, settings, tmp_path)
    assert "audio has layout 'stereo'; ears can be had of binaural, mono, foa" in result.failures[0]


def test_clips_without_embeddings_are_made_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("centred",))
    seen: list[int] = []

    def counted(clip: WorldClip) -> SpatialAudio:
        seen.append(clip.index)
        return mono(clip)

    first = run_world_suite(counted, settings, tmp_path)
    (tmp_path / "embeddings" / "00001.npz").unlink()
    second = run_world_suite(counted, settings, tmp_path)
    assert seen == [0, 1, 1]
    assert second.frechet == first.frechet
