import json
import shutil
from pathlib import Path

import pytest
from benchmarks.flow_ablation import EARS, FIELDS, FORMS, main, parse_run, root_runs

from tests.twin_folders import write_twin_folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained runs under the names that the training of the ablation gives."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_twin_folder(root / f"published-ears-{seed}", "published", "binaural", seed)
    write_twin_folder(root / "sign-factored-field-0", "sign-factored", "foa")
    flow, head = write_twin_folder(root / "mono-0", "parametric", "binaural"), root / "ears-0"
    head.mkdir()
    for file in flow.glob("head.*"):
        shutil.move(file, head / file.name)
    (root / "published-field-0").mkdir()
    return root


def test_finished_runs_are_found_with_their_heads(root: Path) -> None:
    runs = root_runs(root)
    assert [(run.title, run.label, run.seed) for run in runs] == [
        (EARS, "mono duplicated", 0),
        (FORMS, "published", 0),
        (FORMS, "published", 1),
        (FORMS, "parametric", 0),
        (FIELDS, "sign-factored", 0),
    ]
    assert (runs[0].head, runs[3].head) == (None, root / "ears-0")


def test_runs_become_tables_and_steps_a_picture(root: Path, tmp_path: Path) -> None:
    arguments = ["--root", str(root), "--clips", "2", "--duration-s", "1.5", "--out", str(tmp_path)]
    arguments += ["--curve", str(root / "sign-factored-field-0"), "--steps", "1", "2", "--solvers", "euler"]
    main(arguments)
    document = json.loads((tmp_path / "flow_ablation.json").read_text())
    tables, curves = document["tables"], document["curves"]
    assert list(tables[FORMS]) == ["published", "parametric", "truth"]
    assert tables[FORMS]["published"]["ear_coherence_median"]["count"] == 4
    assert tables[EARS]["mono duplicated"]["ear_coherence_median"]["value"] == pytest.approx(1)
    assert tables[FORMS]["parametric"]["angle_median_deg"] is None
    assert tables[FIELDS]["sign-factored"]["angle_median_deg"]["value"] > 0
    assert tables[FIELDS]["truth"]["angle_median_deg"]["value"] < 1
    assert list(curves[str(root / "sign-factored-field-0")]) == ["euler 1", "euler 2"]
    text = (tmp_path / "flow_ablation.md").read_text()
    assert f"## {FIELDS}" in text
    assert "| mono duplicated |" in text
    assert (tmp_path / "flow_steps.png").stat().st_size > 5000
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()}
    main(arguments)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()} == kept


def test_runs_are_named_by_table_row_folder_and_seed() -> None:
    run = parse_run("Forms/sign-factored=runs/a-1.5+runs/head=12")
    assert (run.title, run.label, run.seed) == ("Forms", "sign-factored", 12)
    assert (run.folder, run.head) == (Path("runs/a-1.5"), Path("runs/head"))
    assert parse_run("plain=runs/a=0").title == "Runs"
    with pytest.raises(ValueError, match="run 'runs/a' is not of the form TITLE/LABEL=FOLDER=SEED"):
        parse_run("runs/a")
