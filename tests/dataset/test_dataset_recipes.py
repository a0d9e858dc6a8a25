"""The shipped recipes of data sets are read, and build what they say."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spatialfoley.dataset.factory.config import BuildConfig, read_build
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import names_of
from tests.media.clips import shared_data

FOLDER = Path(__file__).parents[2] / "recipes"
# The set of the tiny models is of arrays alone: see tests/dataset/stages/test_tiny_arrays.py.
RECIPES = sorted(path for path in FOLDER.glob("dataset_*.yaml") if path.stem != "dataset_tiny")


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, BuildConfig]:
    """All of them, read where there are recordings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    return {path.stem: read_build(path) for path in RECIPES}


def test_every_shipped_recipe_is_read(read: dict[str, BuildConfig]) -> None:
    assert set(read) == {"dataset_biaudio", "dataset_world", "dataset_ytambigen"}
    for config in read.values():
        stages = [stage["stage"] for stage in config.stages]
        assert stages[0] == "take_foa"
        assert len(set(stages)) == len(stages)
        assert config.title
        assert config.description


def test_what_is_commented_out_may_be_put_in() -> None:
    offered = [
        line
        for path in RECIPES
        for line in re.findall(r"^  # - (\{stage.*\})$", path.read_text("utf-8"), re.M)
    ]
    assert len(offered) >= 4
    for line in offered:
        assert yaml.safe_load(line)["stage"] in names_of("stages")


def test_whole_recordings_are_screened_before_they_are_cut(read: dict[str, BuildConfig]) -> None:
    for config in read.values():
        stages = [stage["stage"] for stage in config.stages]
        (cut,) = (number for number, stage in enumerate(stages) if stage.endswith("_clips"))
        for before in ("foa_proof", "silence", "clipping", "static_video", "duplicates"):
            assert before not in stages[cut:]
        for after in ("has_direction", "binaural_difference"):
            assert after not in stages[:cut]


def test_settings_are_the_published_ones(read: dict[str, BuildConfig]) -> None:
    ambigen = {stage["stage"]: stage for stage in read["dataset_ytambigen"].stages}["ytambigen_clips"]
    assert (ambigen["clip_s"], ambigen["size_px"], ambigen["frame_rate_hz"], ambigen["rate_hz"]) == (
        5,
        224,
        4,
        48000,
    )
    stages = {stage["stage"]: stage for stage in read["dataset_biaudio"].stages}
    biaudio = stages["biaudio_clips"]
    assert (biaudio["clip_s"], biaudio["size_px"], biaudio["rate_hz"]) == (8, 512, 44100)
    assert stages["binaural_difference"]["least"] == 0.01


def test_a_real_video_beside_a_real_field_becomes_a_set(tmp_path: Path, read: dict[str, BuildConfig]) -> None:
    """They are of different places: whether picture and sound agree is told by the tests of the stages."""
    place = tmp_path / "recordings" / "walk"
    place.with_suffix(".mp4").symlink_to(shared_data() / "video360" / "richoh1_0_3.mp4")
    place.with_suffix(".flac").symlink_to(shared_data() / "foa" / "HOA3_rec2_foa_ambix_sn3d.flac")
    place.with_suffix(".json").write_text('{"title": "a walk", "licence": "test"}')
    config = read["dataset_biaudio"]
    small = {"clip_s": 2.0, "hop_s": 2.0, "size_px": 96, "rate_hz": 16000}
    stages = tuple(
        {**stage, **small} if stage["stage"] == "biaudio_clips" else stage for stage in config.stages
    )
    report = build(replace(config, output=str(tmp_path / "set"), stages=stages, workers=1))
    assert [row.stage for row in report.funnel] == ["fetch", *(stage["stage"] for stage in stages)]
    lines = (tmp_path / "set" / "manifest.jsonl").read_text("utf-8").splitlines()
    clips = [json.loads(line) for line in lines]
    assert [clip["facts"]["start_s"] for clip in clips] == [0.0, 2.0]
    for clip in clips:
        assert set(clip["files"]) == {"view", "foa", "binaural"}
        assert clip["facts"]["licence"] == "test"
        assert 0.02 <= clip["facts"]["peak_contrast"] <= 1.0
