"""Finished runs become a model folder, or nothing at all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.video import Video
from spatialfoley.pipeline import load_pipeline
from spatialfoley.training.assemble import assemble_pipeline
from tests.model_folders import write_published_model, write_tiny_model

SAMPLING = {"guidance": {"rule": "visual", "scale": 1.5}, "top_k": 20, "spatial_temperature": 0.5}


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    """Folders as three runs leave them, with their checkpoints and logs."""
    whole = write_tiny_model(tmp_path / "whole")
    files = {
        "codec": ("codec.json", "codec.safetensors"),
        "features": ("features.json", "features.safetensors"),
        "generator": ("config.json", "model.safetensors"),
    }
    folders = {part: tmp_path / part for part in files}
    for part, folder in folders.items():
        folder.mkdir()
        for name in files[part]:
            shutil.copy(whole / name, folder / name)
        for name in ("checkpoint.pt", "log.jsonl"):
            (folder / name).write_bytes(b"left by the run")
    return folders


def test_the_assembled_model_makes_sound(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    assert (
        assemble_pipeline(runs["codec"], runs["features"], runs["generator"], out, SAMPLING, licence="MIT")
        == out
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "codec.json", "codec.safetensors", "config.json", "features.json", "features.safetensors",
        "model.safetensors", "pipeline.json",
    ]  # fmt: skip
    assert list(out.parent.iterdir()) == [out], "nothing hidden is left"
    pipe = load_pipeline(out, device="cpu")
    assert pipe.describe()["model"] == "mine"
    assert pipe.describe()["licence"] == "MIT"
    assert pipe.defaults.guidance.name == "visual"
    assert pipe.defaults.sampling.top_k == 20
    frames = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), np.uint8)
    assert pipe(Video.from_frames(frames, 20.0), seed=1).samples.shape == (4, 4800)


def test_a_second_assembly_replaces_the_first_and_keeps_other_files(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "CARD.md").write_text("about")
    for top_k in (20, 30):
        sampling = {**SAMPLING, "top_k": top_k}
        assemble_pipeline(runs["codec"], runs["features"], runs["generator"], out, sampling, name="mine")
    assert load_pipeline(out).defaults.sampling.top_k == 30
    assert (out / "CARD.md").read_text() == "about"


def test_a_part_that_is_named_is_not_copied(runs: dict[str, Path], tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "wide", d_clip=128)
    out = assemble_pipeline(runs["codec"], "tiny-visage", tmp_path / "wide", tmp_path / "mine", SAMPLING)
    assert sorted(path.name for path in out.iterdir()) == [
        "codec.json", "codec.safetensors", "config.json", "model.safetensors", "pipeline.json",
    ]  # fmt: skip
    content = json.loads((out / "pipeline.json").read_text())
    assert (content["features"], content["parts"]) == ("tiny", {"features": "tiny-visage"})
    assert load_pipeline(out).describe()["model"] == "mine"


def test_published_parts_go_into_folders_of_their_own(tmp_path: Path) -> None:
    source = write_published_model(tmp_path / "visage")
    out = assemble_pipeline(source / "dac", source / "clip", source, tmp_path / "mine", {})
    assert {path.name for path in out.iterdir()} == {
        "clip", "dac", "config.json", "model.safetensors", "pipeline.json",
    }  # fmt: skip
    assert load_pipeline(out).codec.levels == 3


def test_parts_that_do_not_fit_leave_the_folder_as_it_was(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    parts = (runs["codec"], runs["features"], runs["generator"])
    assemble_pipeline(*parts, out, SAMPLING)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = tmp_path / "other"
    config = runs["generator"] / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "clip_frame_rate": 10}))
    with pytest.raises(ValueError, match="config has clip_frame_rate 10, but the visual encoder has 20"):
        assemble_pipeline(*parts, out, SAMPLING)
    with pytest.raises(ValueError, match="the visual encoder has 20"):
        assemble_pipeline(*parts, other, SAMPLING)
    assert not other.exists()
    config.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="impossible sampling settings"):
        assemble_pipeline(*parts, out, {"top_kk": 3})
    (runs["codec"] / "codec.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no codec\.safetensors; give the folder of a finished run"):
        assemble_pipeline(*parts, out, SAMPLING)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
