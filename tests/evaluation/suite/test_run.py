import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.suite.clips import WorldClip, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.figures import SINGLE, TURNING, Row, SuiteResult
from spatialfoley.evaluation.suite.run import run_world_suite
from spatialfoley.evaluation.suite.scores import turn_deg
from spatialfoley.evaluation.suite.settings import WorldSuiteSettings
from spatialfoley.evaluation.suite.systems import (
    AMBI_ENCODED_TRUTH,
    Generate,
    System,
    codec_system,
    model_system,
    noise_system,
    truth_system,
    two_stage_system,
)
from spatialfoley.generators.spatializer.ambi_encode import ambi_encode
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


def thinned(field: SpatialAudio, ears: SpatialAudio) -> SpatialAudio:
    """A poor codec: directional channels at half level."""
    return SpatialAudio(field.samples * np.array([[1], [0.5], [0.5], [0.5]]), field.rate_hz, "foa")


def suite_of(generate: Generate, label: str = "generated") -> list[System]:
    """A model beside baselines."""
    place = two_stage_system(
        "ambi-enc", lambda mono, video, camera, seed: ambi_encode(mono, camera), "ambi-enc"
    )
    return [model_system("generated", generate, label), place, truth_system(), noise_system()]


def result_of(generate: Generate, settings: WorldSuiteSettings, folder: Path) -> SuiteResult:
    return run_world_suite(suite_of(generate), settings, folder).result


def row_of(generate: Generate, settings: WorldSuiteSettings, folder: Path) -> Row:
    """Figures of a model by itself on clips in view."""
    systems = [model_system("generated", generate, "generated"), truth_system()]
    return run_world_suite(systems, settings, folder).result.tables["in_view"]["generated"]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> tuple[SuiteResult, Path]:
    folder = tmp_path_factory.mktemp("oracle")
    systems = [*suite_of(truth_of, "perfect"), codec_system("generated", thinned, "thin")]
    return run_world_suite(systems, SETTINGS, folder).result, folder


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
    assert set(oracle[0].turns) == {"generated"}
    turn = oracle[0].turns["generated"]
    assert turn["median_deg"].value == pytest.approx(90, abs=0.5)
    assert (turn["within_15_deg"].value, turn["within_15_deg"].count) == (1, 2)


def test_baselines_stand_beside(oracle: tuple[SuiteResult, Path]) -> None:
    tables = oracle[0].tables
    names = {"generated", "truth", "codec of generated", AMBI_ENCODED_TRUTH, "noise"}
    assert set(tables["in_view"]) == names
    centred, away = tables["centred"][AMBI_ENCODED_TRUTH], tables["off_screen"][AMBI_ENCODED_TRUTH]
    assert centred["angle_median_deg"].value < 5
    assert away["angle_median_deg"].value > 40
    assert tables["in_view"]["noise"]["angle_median_deg"].value > 40
    assert tables["in_view"]["noise"]["level_difference_median_db"].value == pytest.approx(0, abs=0.2)
    assert tables["in_view"]["codec of generated"]["psi_median"].value == pytest.approx(
        2 * 0.5 / 1.25, abs=0.02
    )
    assert oracle[0].differences["off_screen"]["generated"]["cc/all/correct"].value > 0.3


def test_figures_and_records_are_written(oracle: tuple[SuiteResult, Path]) -> None:
    result, folder = oracle
    document = json.loads((folder / "figures.json").read_text())
    assert document["tables"][SINGLE]["truth"]["angle_median_deg"]["count"] == 4
    assert document["settings"]["clips"] == 8
    assert len(list(folder.glob("systems/*"))) == 5
    for system in folder.glob("systems/*"):
        lines = [json.loads(line) for line in (system / "clips.jsonl").read_text().splitlines()]
        assert [line["index"] for line in lines] == list(range(8))
        assert all(line["seed"] in HELD_OUT_SEEDS for line in lines)
        assert [line["kind"] for line in lines[:4]] == list(SCENE_KINDS)
    assert result.failures == {}
    assert result.scored["in_view"] == dict.fromkeys(result.systems, 2)


def test_mirrored_field_is_confused(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=4, kinds=("in_view",), turn_clips=0)
    row = row_of(mirrored, settings, tmp_path)
    assert row["left_right_confusion"].count > 0
    assert row["left_right_confusion"].value == 1
    assert row["class_accuracy"].value == 1


def test_silence_has_defined_scores(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("in_view",), turn_clips=1)
    result = result_of(silence, settings, tmp_path)
    row = result.tables["in_view"]["generated"]
    assert row["angle_median_deg"].value == 90
    assert (row["cc/5fps/correct"].value, row["auc/5fps/reference"].value) == (0, 0.5)
    assert row["class_accuracy"].value == 0
    assert row["onset_error_median_s"].value == 0.25
    assert row["left_right_confusion"] is None
    turn = result.turns["generated"]
    assert (turn["median_deg"], turn["within_15_deg"].value) == (None, 0)
    assert row["intensity_angle_median_deg"].value == 90
    assert row["energy_l1/all/correct"].value == pytest.approx(0.25, abs=0.01)


def test_failures_are_counted_and_tried_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("centred",), turn_clips=0)
    seen: list[int] = []

    def sometimes(clip: WorldClip) -> SpatialAudio:
        seen.append(clip.index)
        if clip.index == 1 and len(seen) < 3:
            raise RuntimeError("out of luck")
        return truth_of(clip)

    first = result_of(sometimes, settings, tmp_path)
    assert first.failures == {"generated, clip 1": "RuntimeError: out of luck"}
    assert first.scored["centred"] == {"generated": 1, AMBI_ENCODED_TRUTH: 2, "truth": 2, "noise": 2}
    # As after an interruption in the middle of a line.
    (lines_of_model,) = tmp_path.glob("systems/generated-*/clips.jsonl")
    with lines_of_model.open("a") as lines:
        lines.write('{"index": 0, "ki')
    second = result_of(sometimes, settings, tmp_path)
    assert second.failures == {}
    assert second.scored["centred"]["generated"] == 2
    assert seen == [0, 1, 1]


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=1, turn_clips=0)
    run_world_suite([truth_system()], settings, tmp_path)
    with pytest.raises(ValueError, match=r"other seed \(0\); give an empty folder"):
        run_world_suite([truth_system()], replace(settings, seed=5), tmp_path)


def test_other_weights_of_the_same_name_begin_anew_and_more_clips_go_on(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=1, kinds=("in_view",), turn_clips=0)
    seen: list[str] = []

    def counted(label: str) -> list[System]:
        def generate(clip: WorldClip) -> SpatialAudio:
            seen.append(f"{label} {clip.index}")
            return silence(clip)

        return [model_system("generated", generate, label), truth_system()]

    for label in ("one", "two", "one"):
        run_world_suite(counted(label), settings, tmp_path)
    run_world_suite(counted("one"), replace(settings, clips=2), tmp_path)
    assert seen == ["one 0", "two 0", "one 1"]


def light_systems() -> list[System]:
    """Of a module, so that other processes find it."""
    return [truth_system(), noise_system()]


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=3, duration_s=1.0)
    alone = run_world_suite(light_systems(), settings, tmp_path / "alone").result
    done: list[float] = []
    together = run_world_suite(
        light_systems(),
        settings,
        tmp_path / "together",
        progress=lambda label, fraction: done.append(fraction),
        jobs=2,
        build=light_systems,
    ).result
    assert together.tables == alone.tables
    assert together.frechet == alone.frechet
    assert done == pytest.approx([1 / 3, 2 / 3, 1])
    with pytest.raises(ValueError, match="jobs is 2; give 1, or more with a way to build"):
        run_world_suite(light_systems(), settings, tmp_path, jobs=2)


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
    result, _ = oracle
    table = result.tables["in_view"]
    for name in ("generated", "truth"):
        row = table[name]
        assert row["ear_level_error_median_db"].value == pytest.approx(0, abs=1e-3)
        assert row["ear_delay_error_median_us"].value == pytest.approx(0, abs=1e-3)
        assert (row["louder_ear_right"].value, row["delay_side_right"].value) == (1, 1)
        assert row["ear_level_correlation"].value == pytest.approx(1)
        assert row["mono_collapse"].value == 0
    assert table[AMBI_ENCODED_TRUTH]["mono_collapse"].value == 1
    assert table[AMBI_ENCODED_TRUTH]["louder_ear_right"].value == 0.5
    assert table["noise"]["ear_coherence_difference_median"].value < -0.3
    assert "8 clips in 336 dimensions" in (result.frechet_note or "")


def test_distances_of_the_truth_are_zero_and_noise_is_far(oracle: tuple[SuiteResult, Path]) -> None:
    result, _ = oracle
    near, far = result.frechet["generated"], result.frechet["noise"]
    for key in ("frechet_ears", "frechet_mix", "frechet_w", "frechet_channels"):
        assert near[key].value == pytest.approx(0, abs=1e-3)
        assert far[key].value > 3 * result.frechet[AMBI_ENCODED_TRUTH][key].value
    row, noise = result.tables["in_view"]["generated"], result.tables["in_view"]["noise"]
    for key in ("kl/av-bench", "kl/audioldm", "envelope_l1", "ear_envelope_l1", "energy_l1/5fps/correct"):
        assert row[key].value == pytest.approx(0, abs=1e-4)
        assert noise[key].value > 0.03
    assert row["intensity_angle_median_deg"].value < 0.5


def test_true_ears_of_another_rate_score_perfectly_and_have_no_field(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=8, kinds=("in_view", "several"), camera="turning")
    systems = [model_system("generated", ears_of_truth, "ears"), truth_system()]
    result = run_world_suite(systems, settings, tmp_path).result
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
    assert result.turns["generated"]["within_15_deg"] is None
    assert result.differences["in_view"] == {}
    assert result.frechet["generated"]["frechet_channels"] is None
    assert result.frechet["generated"]["frechet_ears"].value < 20


def test_swapped_ears_and_one_channel_are_found_out(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=3, kinds=("in_view",))
    wrong = row_of(swapped_ears, settings, tmp_path / "swapped")
    assert (wrong["louder_ear_right"].value, wrong["delay_side_right"].value) == (0, 0)
    assert wrong["ear_level_correlation"].value < -0.9
    assert wrong["class_accuracy"].value == 1
    single = row_of(mono, settings, tmp_path / "mono")
    assert (single["louder_ear_right"].value, single["delay_side_right"].value) == (0.5, 0.5)
    assert single["mono_collapse"].value == 1
    assert single["left_right_distance_median"].value == 0
    assert single["level_difference_median_db"].value == pytest.approx(0, abs=1e-4)


def test_layouts_without_ears_fail_by_clip(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=1, kinds=("in_view",))
    stereo = SpatialAudio(np.zeros((2, 80000)), 16000, "stereo")
    result = result_of(lambda clip: stereo, settings, tmp_path)
    reason = result.failures["generated, clip 0"]
    assert "audio has layout 'stereo'; ears can be had of binaural, mono, foa" in reason
    assert result.tables["in_view"]["generated"]["class_accuracy"] is None


def test_clips_without_embeddings_are_made_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2, kinds=("centred",))
    seen: list[int] = []

    def counted(clip: WorldClip) -> SpatialAudio:
        seen.append(clip.index)
        return mono(clip)

    first = result_of(counted, settings, tmp_path)
    (lost,) = tmp_path.glob("systems/generated-*/embeddings/00001.npz")
    lost.unlink()
    second = result_of(counted, settings, tmp_path)
    assert seen == [0, 1, 1]
    assert second.frechet == first.frechet
