"""Features that a build puts into its shards, and the command."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spatialfoley.cli import run
from spatialfoley.dataset.factory.config import StageSpec
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Passed, Workspace, load_stage
from spatialfoley.dataset.factory.work import Problem, run_stage
from spatialfoley.dataset.store.encoders import ENCODERS
from spatialfoley.dataset.store.reader import ComputedFeatures, FeatureSource, PackedFeatures, stored_features
from spatialfoley.dataset.store.settings import FeatureSettings
from tests.model_folders import write_tiny_model

from .sets import small_set, write_clip, write_set

SETTINGS = {"encoders": ["tiny", "tiny-codes"], "settings": {"yaws_deg": [0, -90]}}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small model."""
    return write_tiny_model(tmp_path_factory.mktemp("m") / "small")


def encoded(root: Path, small: Path) -> Path:
    """A set whose clips went through the stage."""
    root.mkdir()
    given = {"weights": {name: str(small) for name in ("tiny", "tiny-codes")}}
    stage, space = load_stage("features", {**SETTINGS, **given}), Workspace(root, "features")
    clips: list[Record] = []
    for start_s in (0.0, 1.0):
        outcome = stage.run(write_clip(root, "a", start_s), space)
        assert isinstance(outcome, Passed)
        clips += outcome.records
    return write_set(root, {0: clips})


def test_features_travel_in_the_shards(tmp_path: Path, small: Path) -> None:
    clip = BuiltSet(encoded(tmp_path / "set", small))[1]
    assert {"feature-tiny", "feature-tiny-codes"} < set(clip.members)
    source = FeatureSource([PackedFeatures("tiny"), PackedFeatures("tiny-codes")])
    settings = FeatureSettings(yaws_deg=(0.0, -90.0))
    live = FeatureSource([ComputedFeatures(name, settings, path=small) for name in ("tiny", "tiny-codes")])
    found, computed = source.of(clip), live.of(clip)
    assert set(found) == {"embedding", "energy_map", "codes", "direction"}
    assert all(torch.equal(found[name], computed[name]) for name in found)
    basis = ComputedFeatures("tiny-codes", settings, path=small).identity.basis
    assert torch.equal(PackedFeatures("tiny-codes", basis).of(clip)["codes"], found["codes"])
    with pytest.raises(
        ValueError, match=f"the tiny-codes features of clip {clip.id} are of basis {basis}, not 00"
    ):
        PackedFeatures("tiny-codes", "00").of(clip)


def test_a_stage_makes_the_same_bytes_again(tmp_path: Path, small: Path) -> None:
    shards = [next((encoded(tmp_path / name, small) / "shards").glob("*.tar")).read_bytes() for name in "ab"]
    assert shards[0] == shards[1]


def test_other_weights_settings_or_arithmetic_are_another_version(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [load_stage("features", SETTINGS).version]
    given = {"tiny-codes": str(small)}
    versions.append(load_stage("features", {**SETTINGS, "weights": given}).version)
    versions.append(load_stage("features", {**SETTINGS, "settings": {"mirror": True}}).version)
    monkeypatch.setitem(ENCODERS, "tiny", replace(ENCODERS["tiny"], version=2))
    versions.append(load_stage("features", SETTINGS).version)
    assert len(set(versions)) == 4
    assert load_stage("features", SETTINGS).version == versions[-1]


def test_what_a_stage_cannot_encode_is_a_problem_of_the_clip(tmp_path: Path) -> None:
    record = write_clip(tmp_path, "a", 0.0).without_files("foa")
    outcome = run_stage(StageSpec("features", SETTINGS), "features", record.to_json(), str(tmp_path))
    assert isinstance(outcome, Problem)
    assert (outcome.kind, outcome.transient) == ("format", False)
    assert f"clip {record.id} has no file 'foa'; build the set with a stage that makes it" in outcome.sentence
    with pytest.raises(ValueError, match="encoder is 'unheard'; known are"):
        load_stage("features", {"encoders": ["unheard"]})


def test_the_command_adds_estimates_and_checks(
    tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_set(tmp_path / "set")
    command = ["dataset", "features", str(root)]
    assert run([*command, "--check"]) == 2
    assert "has no features; add some with 'spatialfoley dataset features" in capsys.readouterr().err
    assert run([*command, "--estimate"]) == 0
    assert "features of 4 clips" in capsys.readouterr().out
    assert run([*command, "--mirror"]) == 0
    said = capsys.readouterr().out
    assert "tiny: 4 clips encoded, 0 there before, 0 failed" in said
    assert "tiny-codes: 4 clips encoded" in said
    assert run([*command, "--mirror"]) == 0
    assert "tiny-codes: 0 clips encoded, 4 there before" in capsys.readouterr().out
    assert run([*command, "--check", "--deep"]) == 0
    assert "same" in capsys.readouterr().out
    arrays = stored_features(root, ["tiny", "tiny-codes"]).of(BuiltSet(root)[3])
    assert (len(arrays["codes"]), len(arrays["embedding"])) == (2, 2)
    assert run([*command, "--check", "--weights", f"tiny={small}"]) == 1
    assert "tiny" in (warned := capsys.readouterr().err)
    assert "made with other weights than those on this machine" in warned
    for arguments, sentence in (
        (["--yaws", "left"], "--yaws is 'left'; give degrees with commas"),
        (["--part", "2"], "--part is '2'; give a part such as 1/4"),
        (["--weights", "tiny"], "--weights is 'tiny'; give an encoder and a path"),
    ):
        assert run([*command, *arguments]) == 2
        assert sentence in capsys.readouterr().err
    assert run(["dataset", "features", "--estimate"]) == 2
    assert "there is nothing to estimate; give a built set" in capsys.readouterr().err


def test_a_clip_that_fails_makes_the_command_fail(
    tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_set(root, {0: [write_clip(root, "a", 0.0), write_clip(root, "a", 1.0).without_files("foa")]})
    given = ["--weights", f"tiny-codes={small}"]
    assert run(["dataset", "features", str(root), "--encoders", "tiny-codes", *given]) == 1
    printed = capsys.readouterr()
    assert "1 clips encoded, 0 there before, 1 failed (ValueError 1)" in printed.out
    assert "failed.jsonl" in printed.err
    assert run(["dataset", "features", str(root), "--check", *given]) == 1
