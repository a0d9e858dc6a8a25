import json
from pathlib import Path

import pytest
from benchmarks.visage_sc_ablation import ceiling_titles, main, training_figures
from benchmarks.visage_sc_runs import Run, root_runs
from benchmarks.visage_sc_tables import cell, change_cell, title_of

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.study.paired import Change
from tests.model_folders import write_tiny_model

RUNS = (("rvq", 0, 30.0), ("rvq", 1, 32.0), ("single", 0, 6.0), ("tuned", 0, 6.0))
"""Label, seed and processor seconds of ten steps."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained runs in the layout of the training of the ablation."""
    root = tmp_path_factory.mktemp("runs")
    for number, (label, seed, cpu_s) in enumerate(RUNS):
        folder = root / f"{label}-{seed}"
        write_tiny_model(folder / "model", seed=number, field_frame="world")
        record = {"label": label, "seed": seed, "steps": 30, "resumed_at": 20, "cpu_s": cpu_s}
        (folder / "run.json").write_text(json.dumps(record))
    (root / "signed-0").mkdir()
    (root / "clips-plain-codec-tuned").mkdir()
    return root


def test_finished_runs_are_found_in_the_order_of_the_rows(root: Path) -> None:
    assert [(run.label, run.seed) for run in root_runs(root)] == [(label, seed) for label, seed, _ in RUNS]


def test_training_is_timed_by_step_whatever_was_resumed(root: Path) -> None:
    figures = training_figures(root_runs(root)[:2])
    step_s, whole_s = figures["training_step_s"], figures["training_s"]
    assert step_s is not None
    assert whole_s is not None
    assert (step_s.value, step_s.count) == (pytest.approx(3.1), 2)
    assert whole_s.value == pytest.approx(93)
    assert training_figures([Run("tiny-visage", Path("tiny-visage"), 0)])["training_s"] is None


def test_the_slides_table_is_made_and_not_made_again(root: Path, tmp_path: Path) -> None:
    arguments = ["--root", str(root), "--clips", "2", "--duration-s", "1", "--timed-clips", "1"]
    arguments += ["--out", str(tmp_path)]
    main(arguments)
    document = json.loads((tmp_path / "visage_sc_ablation.json").read_text())
    assert document["runs"] == {
        "rvq": 2,
        "single": 1,
        "tuned": 1,
        "tuned+candidates": 1,
        "tuned+chain": 1,
        "tuned+post": 1,
    }
    rows, limits, steps = document["rows"], document["truth and codecs"], document["steps"]
    assert rows["rvq"]["cc/all/reference"]["count"] == 4
    assert rows["rvq"]["generating_s"]["value"] > 0
    assert rows["tuned+post"]["chain_s"]["value"] > rows["tuned"]["chain_s"]["value"] == 0
    assert limits["truth"]["cc/5fps/correct"]["value"] == pytest.approx(1)
    assert limits["truth"]["fd/world/dec"]["value"] == pytest.approx(0, abs=1e-6)
    assert steps["rvq to single"]["times_faster_training"]["interval"]["value"] == pytest.approx(3.1 / 0.6)
    assert steps["rvq to single"]["cc/all/correct"]["pairs"] == 1
    assert "times_faster_training" not in steps["tuned to tuned+post"]
    claims = {one["claim"]: one for one in document["claims"]["correct maps, world"]}
    assert claims["A training step takes a quarter of the time"]["verdict"] == "holds"
    text = (tmp_path / "visage_sc_ablation.md").read_text()
    for part in ("| + post-processing |", "codec of single codebook |", "| better codec, chain alone |"):
        assert part in text
    assert (tmp_path / "visage_sc_ablation.png").stat().st_size > 5000
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()}
    main(arguments)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()} == kept
    assert ceiling_titles({}) == {"truth": "truth"}


def test_cells_say_what_is_known_and_no_more() -> None:
    assert cell(None, ".2f") == "–"
    assert cell(Interval(0.5, 0.5, 0.5, 1), ".2f") == "0.50"
    assert cell(Interval(-0.0001, -0.2, 0.1, 9), ".2f") == "0.00 [-0.20, 0.10]"
    rise, nothing = Interval(0.05, 0.02, 0.08, 60), Interval(0.00003, 0.00001, 0.00005, 60)
    assert change_cell(Change(rise, 3, 3), "+.3f") == "**+0.050 [+0.020, +0.080]** 3/3"
    assert change_cell(Change(nothing, 1, 1), "+.3f") == "0.000"
    assert change_cell(Change(Interval(1.1, 0.9, 1.3, 6), 1, 1), ".1f", 1.0) == "1.1 [0.9, 1.3]"
    assert title_of("tuned") == "better codec"
    assert title_of("rotated") == "rotation augmentation, plain"
    assert title_of("signed+chain") == "sign-and-gain tokens, chain alone"
