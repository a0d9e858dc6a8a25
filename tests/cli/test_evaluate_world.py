import json
import shutil
from pathlib import Path

import pytest

from spatialfoley import weights
from spatialfoley.cli import run
from spatialfoley.cli.evaluate_world import model_names
from spatialfoley.pipeline.spatializers import SPATIALIZERS
from tests.flow_folders import write_visaudio_folder
from tests.twin_folders import write_twin_folder

TRUE_MONO = {f"true mono+{name}" for name in SPATIALIZERS}


def figures(out: Path) -> dict:
    return json.loads((out / "figures.json").read_text())


def scored(model: str | Path, out: Path, *more: str) -> dict:
    arguments = ["evaluate", "--suite", "world", "--model", str(model), "--out", str(out)]
    assert run([*arguments, "--clips", "1", "--turn-clips", "0", "--duration-s", "1", *more]) == 0
    return figures(out)


def test_a_model_is_scored_beside_all_baselines(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--suite", "world", "--model", str(tiny_model), "--out", str(tmp_path)]
    arguments += ["--clips", "2", "--turn-clips", "1", "--duration-s", "1"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "direction error" in shown
    assert "the field turns by" in shown
    found = figures(tmp_path)
    model = next(iter(found["systems"]))
    assert set(found["systems"]) == {model, f"codec of {model}", "truth", "noise"} | TRUE_MONO
    assert found["tables"]["single in view"]["truth"]["angle_median_deg"]["value"] < 1
    assert found["failures"] == {}
    assert (tmp_path / "results.json").is_file()
    assert "tiny" in (tmp_path / "report.md").read_text()
    lines = {path: path.read_text() for path in tmp_path.glob("systems/*/clips.jsonl")}
    assert len(lines) == len(found["systems"])
    assert run(arguments) == 0
    assert {path: path.read_text() for path in tmp_path.glob("systems/*/clips.jsonl")} == lines


def test_tiny_visage_lends_its_mono_sound_and_other_models_join_later(tmp_path: Path) -> None:
    first = scored("tiny-visage", tmp_path)
    lent = {f"tiny-visage+{name}" for name in SPATIALIZERS}
    assert (
        set(first["systems"]) == {"tiny-visage", "codec of tiny-visage", "truth", "noise"} | TRUE_MONO | lent
    )
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("systems/*/clips.jsonl")}
    both = scored("tiny-visage,tiny-visaudio", tmp_path)
    assert set(both["systems"]) == set(first["systems"]) | {"tiny-visaudio", "codec of tiny-visaudio"}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    group = "single in view"
    assert both["tables"][group]["tiny-visage"] == first["tables"][group]["tiny-visage"]


def test_all_are_the_generators_in_the_package() -> None:
    known = {model.name: model for model in weights.list_models()}
    names = model_names("all")
    assert {"tiny-visage", "tiny-visaudio", "tiny-visaudio-foa"} <= set(names)
    assert all(known[name].place == "embedded" for name in names)
    assert model_names(" a, b ,") == ("a", "b")
    with pytest.raises(
        ValueError, match="--model is ' , '; give a name, several with commas between, or all"
    ):
        model_names(" , ")


def test_models_that_cannot_be_told_apart_are_refused(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = ["evaluate", "--suite", "world", "--out", str(tmp_path), "--model"]
    assert run([*twice, "tiny-visage,tiny-visage"]) == 2
    assert "--model holds tiny-visage twice; give each model once" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    assert run([*twice, f"{tiny_model},{other}"]) == 2
    assert f"the model in {other} is called " in capsys.readouterr().err


def test_a_model_of_two_ears_is_asked_without_a_camera_and_scored_by_them(tmp_path: Path) -> None:
    row = model_row(scored(write_visaudio_folder(tmp_path / "visaudio"), tmp_path / "scores"))
    assert row["angle_median_deg"] is None
    assert row["ear_coherence_median"]["count"] == 1


@pytest.mark.parametrize(("form", "layout"), [("sign-factored", "binaural"), ("parametric", "foa")])
def test_a_tiny_twin_is_scored_by_what_it_makes(form: str, layout: str, tmp_path: Path) -> None:
    found = scored(write_twin_folder(tmp_path / "twin", form, layout), tmp_path / "scores")
    row = model_row(found)
    assert (row["angle_median_deg"] is not None) == (layout == "foa")
    assert row["ear_coherence_median"]["count"] == 1


def model_row(found: dict) -> dict:
    return next(iter(found["tables"]["single in view"].values()))
