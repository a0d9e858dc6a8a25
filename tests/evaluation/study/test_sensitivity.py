"""Distortions do what they say, metrics answer as theory says, and the whole study repeats itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.evaluation.metrics.energy_overlap import energy_overlap
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.study.sensitivity import (
    StudySettings,
    applies,
    cells_document,
    run_study,
    study_cell,
)
from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES, Distortion
from spatialfoley.evaluation.study.sensitivity_responses import METRICS, respond, view
from spatialfoley.evaluation.study.sensitivity_scenes import (
    KINDS,
    SOURCE_RMS,
    make_study_scene,
    recorded_scenes,
)
from spatialfoley.spatial.direction import angle_between_deg, angles_deg
from spatialfoley.spatial.foa import encode

SHORT_S = 1.0


@pytest.fixture(scope="module")
def listener():
    return load_listener("world")


@pytest.fixture(scope="module")
def scene():
    return make_study_scene("one", 0, 40, SHORT_S)


def named(name: str) -> Distortion:
    return next(one for one in (*STATES, *CURVES) if one.name == name)


def test_scenes_are_what_their_kind_says() -> None:
    scenes = {kind: make_study_scene(kind, 3, 40, SHORT_S) for kind in KINDS}
    assert [len(scenes[kind].signals) for kind in KINDS] == [1, 2, 3, 1, 1, 1]
    for kind in ("bed", "room"):
        np.testing.assert_array_equal(scenes[kind].signals, scenes["one"].signals)
        np.testing.assert_array_equal(scenes[kind].vectors[0], scenes["one"].vectors[0])
        added = scenes[kind].field - scenes["one"].field
        np.testing.assert_allclose(added, scenes[kind].added, atol=1e-6)
    for signal in scenes["three"].signals:
        assert np.sqrt(np.mean(signal**2)) == pytest.approx(SOURCE_RMS, rel=1e-3)
    first, second, third = scenes["three"].vectors
    for a, b in ((first, second), (first, third), (second, third)):
        assert angle_between_deg(a, b) >= 40 - 1e-6
    azimuth_deg, elevation_deg = angles_deg(scenes["moving"].vectors[0])
    assert np.ptp(np.unwrap(azimuth_deg, period=360)) == pytest.approx(120)
    assert np.ptp(elevation_deg) < 1e-6
    bed = scenes["bed"].added
    assert 20 * np.log10(np.sqrt(np.mean(bed[W] ** 2)) / SOURCE_RMS) == pytest.approx(-10, abs=0.01)
    assert np.mean(bed[W] ** 2) / np.mean(bed[Y] ** 2) == pytest.approx(3, rel=1e-3)


def test_the_same_seed_gives_the_same_wrong_fields(scene) -> None:
    for distortion in (*STATES, *CURVES):
        if applies(distortion, "one"):
            level = distortion.levels[-1]
            once, again = (distortion.apply(scene, level, 40) for _ in range(2))
            np.testing.assert_array_equal(once, again)
            assert once.shape == scene.field.shape
            assert np.all(np.isfinite(once))


def test_channel_mistakes_touch_the_channels_they_name(scene) -> None:
    w, y, z, x = scene.field
    swapped = named("WXYZ read as WYZX").apply(scene, 0, 40)
    np.testing.assert_array_equal(swapped, np.stack([w, x, y, z]))
    fuma = named("FuMa read as AmbiX").apply(scene, 0, 40)
    np.testing.assert_allclose(fuma, np.stack([w * np.sqrt(0.5), x, y, z]), rtol=1e-6)
    np.testing.assert_array_equal(named("left and right mirrored").apply(scene, 0, 40)[Y], -y)
    np.testing.assert_allclose(named("N3D read as SN3D").apply(scene, 0, 40)[Z], np.sqrt(3) * z, rtol=1e-6)
    alone = named("W alone").apply(scene, 0, 40)
    assert not alone[[Y, Z, X]].any()
    np.testing.assert_array_equal(alone[W], w)
    other = named("Y, Z, X of other sounds").apply(scene, 0, 40)
    for channel in (Y, Z, X):
        assert np.sqrt(np.mean(other[channel] ** 2)) == pytest.approx(
            float(np.sqrt(np.mean(scene.field[channel] ** 2))), rel=1e-3
        )


def test_levels_mean_what_their_unit_says(scene) -> None:
    louder = named("gain").apply(scene, 6.0, 40)
    np.testing.assert_allclose(louder, scene.field * 10 ** (6 / 20), rtol=1e-5)
    noise = named("diffuse noise").apply(scene, 10.0, 40) - scene.field
    assert 10 * np.log10(np.mean(scene.field[W] ** 2) / np.mean(noise[W] ** 2)) == pytest.approx(10, abs=0.01)
    late = named("time shift").apply(scene, 0.1, 40)
    np.testing.assert_array_equal(late[:, 1600:], scene.field[:, :-1600])
    lifted = named("elevation error").apply(scene, 25.0, 40)
    up = encode(scene.mono, scene.vectors[0])
    overlap = energy_overlap(up, lifted, SCORE_RATE_HZ)
    assert overlap.cc == pytest.approx(np.cos(np.radians(25)), abs=1e-4)


@pytest.mark.parametrize("angle_deg", [20.0, 75.0, 140.0])
def test_cc_of_one_source_is_the_cosine_and_auc_follows_from_it(scene, listener, angle_deg: float) -> None:
    true = view(scene.field, listener)
    turned = named("elevation error").apply(scene, angle_deg, 40)
    found = respond(true, view(turned, listener))
    cosine = float(np.cos(np.radians(angle_deg)))
    assert found["cc/all/correct"] == pytest.approx(cosine, abs=5e-4)
    assert found["auc/all/correct"] == pytest.approx((1 + cosine) / 2, abs=4e-3)
    assert found["l1/all"] == pytest.approx(np.sin(np.radians(angle_deg / 2)) / 2, abs=2e-3)
    assert found["peak_deg"] == pytest.approx(angle_deg, abs=0.3)
    assert found["intensity_deg"] == pytest.approx(angle_deg, abs=0.01)


def test_the_truth_scores_perfectly_and_silence_does_not(scene, listener) -> None:
    true = view(scene.field, listener)
    perfect = respond(true, true)
    assert set(perfect) == {metric.key for metric in METRICS}
    for metric in METRICS:
        if metric.better == "higher":
            assert perfect[metric.key] == pytest.approx(1.0, abs=1e-3), metric.key
        elif metric.better == "lower":
            assert perfect[metric.key] == pytest.approx(0.0, abs=1e-4), metric.key
    silent = respond(true, view(np.zeros_like(scene.field), listener))
    assert silent["cc/all/correct"] == 0.0
    assert silent["auc/all/correct"] == 0.5
    assert silent["peak_deg"] == 90.0
    assert silent["psi"] is None
    assert silent["level_db"] is None


def test_a_cell_pools_scenes_and_keeps_the_first(listener) -> None:
    scenes = [make_study_scene("one", index, 40, SHORT_S) for index in range(3)]
    references = [view(scene.field, listener) for scene in scenes]
    cell = study_cell(scenes, references, named("left and right mirrored"), 0.0, listener, 40)
    ccs = [1 - 2 * float(scene.vectors[0][1]) ** 2 for scene in scenes]
    assert cell.figures["cc/all/correct"].value == pytest.approx(np.mean(ccs), abs=1e-3)
    assert cell.figures["cc/all/correct"].count == 3
    assert cell.first["cc/all/correct"] == pytest.approx(ccs[0], abs=1e-3)
    assert cell.figures["fd/w"].value == pytest.approx(0.0, abs=1e-3)


def test_a_small_study_runs_and_its_document_is_json(listener) -> None:
    settings = StudySettings(scenes=2, duration_s=SHORT_S, every=100)
    chosen = [named("none"), named("gain"), named("one of several moved")]
    told: list[float] = []
    cells = run_study(
        settings, listener, chosen, ("one", "two"), progress=lambda what, share: told.append(share)
    )
    assert [(cell.distortion, cell.level, cell.kind) for cell in cells] == [
        ("none", 0.0, "one"),
        ("gain", -20, "one"),
        ("gain", 20, "one"),
        ("none", 0.0, "two"),
        ("one of several moved", 0, "two"),
        ("one of several moved", 180, "two"),
    ]
    assert told[-1] == 1.0
    document = json.loads(json.dumps(cells_document(cells)))
    assert len(document["cells"][0]["figures"]) == len(document["metrics"])
    levels = dict(zip(document["metrics"], document["cells"][1]["figures"], strict=True))
    assert levels["level_db"][:3] == [-20.0, -20.0, -20.0]
    assert levels["cc/5fps/correct"][0] == 1.0


def test_recordings_and_measured_rooms_join_where_they_are(shared_data: Path, listener) -> None:
    recordings = recorded_scenes(shared_data / "foa", SHORT_S)
    assert len(recordings) >= 3
    for scene in recordings:
        assert scene.field.shape == (4, SCORE_RATE_HZ)
        assert np.sqrt(np.mean(scene.field[W] ** 2)) == pytest.approx(SOURCE_RMS, rel=1e-3)
    assert applies(named("left and right mirrored"), "recording")
    assert not applies(named("true sound, front"), "recording")
    room = make_study_scene("measured room", 0, 40, SHORT_S, shared_data / "srir")
    dry = make_study_scene("one", 0, 40, SHORT_S)
    assert 0 < np.sum((room.field - dry.field) ** 2) < np.sum(dry.field**2) * 4


@pytest.fixture(scope="module")
def shared_data() -> Path:
    import os

    folder = Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", Path(__file__).resolve().parents[4] / "shared"))
    if not (folder / "data" / "foa").is_dir():
        pytest.skip(f"no recordings in {folder}")
    return folder / "data"


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="scenes is 1; intervals need 2 or more"):
        StudySettings(scenes=1)
    with pytest.raises(ValueError, match="every is 0; it must be 1 or more"):
        StudySettings(every=0)
    with pytest.raises(ValueError, match=r"duration_s is 0\.5; maps of 1 fps need 1 s or more"):
        make_study_scene("one", 0, 40, 0.5)
    with pytest.raises(ValueError, match="kind is 'four'; it must be one of one, two"):
        make_study_scene("four", 0, 40)
    with pytest.raises(ValueError, match="responses is missing; a measured room needs a folder"):
        make_study_scene("measured room", 0, 40)
