"""From a finished run to the page that people look at, for a model that is right but for one clip."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.evaluation.suite.exhibits import choose_clips, make_exhibits
from spatialfoley.evaluation.suite.figures import SINGLE, TURNING
from spatialfoley.evaluation.suite.report import suite_report
from spatialfoley.evaluation.suite.run import SuiteRun, run_world_suite, write_world_report
from spatialfoley.evaluation.suite.settings import WorldSuiteSettings
from spatialfoley.evaluation.suite.systems import (
    AMBI_ENCODED_TRUTH,
    System,
    model_system,
    noise_system,
    truth_system,
    two_stage_system,
)
from spatialfoley.generators.spatializer.ambi_encode import ambi_encode
from spatialfoley.generators.spatializer.duplicate import duplicate_to_ears
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import render_foa

SETTINGS = WorldSuiteSettings(clips=4, kinds=("in_view", "off_screen"), duration_s=1.0, turn_clips=1)
WRONG_CLIP = 2


def right_but_once(clip: WorldClip) -> SpatialAudio:
    """The true field, turned by 60° for one clip; a failure for the last one."""
    if clip.index == 3:
        raise ValueError("no sound today")
    yaw_deg = float(clip.camera.yaw_deg[0] - clip.scene.camera.yaw_deg[0])
    field = SpatialAudio(render_foa(clip.scene, 16000), 16000, "foa")
    return rotate(field, yaw_deg=yaw_deg + (60 if clip.index == WRONG_CLIP else 0))


def systems() -> list[System]:
    model = model_system("model", right_but_once, "model-1", details={"licence": "MIT"})
    return [
        model,
        two_stage_system("duplicate", lambda mono, *_: duplicate_to_ears(mono), "1", model, shown=True),
        two_stage_system("ambi-enc", lambda mono, video, camera, seed: ambi_encode(mono, camera), "1"),
        truth_system(),
        noise_system(),
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    return run_world_suite(systems(), SETTINGS, tmp_path_factory.mktemp("suite"))


def test_systems_are_rows_and_figures_are_columns(run: SuiteRun) -> None:
    report = suite_report(run.result, run.records)
    headline = report.tables[0]
    assert headline.title == f"Headline: {SINGLE}"
    rows = {row.name: row for row in headline.rows}
    assert list(rows) == ["model", "model+duplicate", AMBI_ENCODED_TRUTH, "truth", "noise"]
    assert [name for name, row in rows.items() if row.ranked] == ["model", "model+duplicate"]
    assert rows["model"].figures["angle_median_deg"].value == pytest.approx(30, abs=1.5)
    assert rows["model+duplicate"].figures["angle_median_deg"] is None
    assert rows["truth"].figures["frechet_ears"] is None
    titles = [table.title for table in report.tables]
    for group in (SINGLE, "in view", "off screen"):
        for family in ("where, field", "where, energy maps", "where, ears", "when and what", "how alike"):
            assert f"{group}: {family}" in titles
    ears = next(table for table in report.tables if table.title == "in view: where, ears")
    assert {row.name for row in ears.rows} == set(rows)
    field = next(table for table in report.tables if table.title == "in view: where, field")
    assert {row.name for row in field.rows} == set(rows) - {"model+duplicate"}


def test_what_failed_is_in_no_figure_and_told_with_its_reason(run: SuiteRun) -> None:
    report = suite_report(run.result, run.records)
    assert dict(report.failures) == {
        "model, clip 3": "ValueError: no sound today",
        "model+duplicate, clip 3": "model, which it builds on, failed: ValueError: no sound today",
    }
    off_screen = next(table for table in report.tables if table.title == "off screen: where, ears")
    assert {row.name: row.clips for row in off_screen.rows} == {
        "model": 1,
        "model+duplicate": 1,
        AMBI_ENCODED_TRUTH: 2,
        "truth": 2,
        "noise": 2,
    }


def test_the_difference_from_ambi_enc_and_the_turn_have_tables(run: SuiteRun) -> None:
    tables = {table.title: table for table in suite_report(run.result, run.records).tables}
    rows = tables[f"Energy maps: models minus {AMBI_ENCODED_TRUTH}"].rows
    groups = {SINGLE, TURNING, "in view", "off screen"}
    assert {row.name for row in rows} == {f"model, {group}" for group in groups}
    off_screen = next(row for row in rows if row.name == "model, off screen")
    assert off_screen.figures["cc/all/correct"].value > 0.2
    (turn,) = tables["The camera is turned"].rows
    assert turn.figures["median_deg"].value == pytest.approx(90, abs=0.5)
    assert turn.clips == 1


def test_direction_errors_are_spread_as_they_are(run: SuiteRun) -> None:
    peak, intensity = suite_report(run.result, run.records).histograms
    assert peak.values["model"] == pytest.approx([0, 60], abs=1.5)
    # A turn by 60° about the vertical moves a source that is not level by a little less.
    assert intensity.values["model"] == pytest.approx([0, 59.3], abs=0.1)
    assert peak.counts("model").sum() == 2
    assert "model+duplicate" not in peak.values


def test_the_worst_and_the_best_clips_are_made_once_more(run: SuiteRun) -> None:
    worst, best, *of_ears = make_exhibits(systems(), run.records, SETTINGS, worst=1)
    assert worst.clip.startswith(f"clip {WRONG_CLIP}, in view")
    assert float(worst.caption.removeprefix("worst: ").removesuffix("°")) == pytest.approx(60, abs=1.5)
    assert best.caption.startswith("best: 0.")
    assert worst.thumbnail.shape == (128, 128, 3)
    turned = rotate(worst.sounds["truth"], yaw_deg=60)
    np.testing.assert_allclose(worst.sounds["estimate"].samples, turned.samples, atol=1e-5)
    assert all(exhibit.system == "model+duplicate" for exhibit in of_ears)
    assert all(exhibit.sounds["truth"].layout == "binaural" for exhibit in of_ears)


def test_no_clip_is_shown_twice() -> None:
    def record(index: int, angle_deg: float, kind: str = "in_view") -> dict:
        return {"index": index, "kind": kind, "error": None, "scores": {"angle_deg": angle_deg}}

    records = [record(0, 5.0), record(1, 70.0), record(2, 0.5), record(3, 120.0, "off_screen")]
    chosen = [(caption, found["index"]) for caption, found in choose_clips(records, worst=2, best=2)]
    assert chosen == [("worst: 70.0°", 1), ("worst: 5.0°", 0), ("best: 0.5°", 2)]


def test_all_files_are_written(run: SuiteRun, tmp_path: Path) -> None:
    settings = replace(SETTINGS, clips=2)
    small = run_world_suite([truth_system(), noise_system()], settings, tmp_path)
    files = write_world_report(
        small, [truth_system(), noise_system()], settings, tmp_path, {"command": "spatialfoley evaluate"}
    )
    assert {"results.json", "report.md", "tables.tex", "report.html"} <= set(files)
    document = json.loads(files["results.json"].read_text())
    assert document["provenance"]["systems"]["noise"]["label"] == "noise"
    assert document["provenance"]["command"] == "spatialfoley evaluate"
    assert "noise" in files["report.md"].read_text()
