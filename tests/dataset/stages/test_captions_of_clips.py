"""The stages describe and distil on clips of the world, alone and in a build, with tiny models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialfoley.dataset.captioning.pictures import write_caption_pages
from spatialfoley.dataset.captions import parse_biaudio_caption, text_for_use
from spatialfoley.dataset.factory.card import write_card
from spatialfoley.dataset.factory.config import BuildConfig, ShardSettings
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace, load_stage
from spatialfoley.dataset.stages.describe import Describe
from spatialfoley.dataset.stages.distil import Distil
from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import make_scene, render_foa, render_view
from tests.dataset.captioning.conftest import tiny_folders
from tests.dataset.in_this_process import InThisProcess

__all__ = ["tiny_folders"]


SMALL = {"device": "cpu", "least_px": 28 * 28, "most_px": 56 * 56}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("build"), "00-clips")


@pytest.fixture(scope="module")
def clip(space: Workspace) -> Record:
    """Two seconds of the world with a field."""
    scene = make_scene(3, kind="centred", camera="static", duration_s=2.0)
    record, times_s = Record("a-00000000", "a", facts={"duration_s": 2.0}), [step / 10 for step in range(20)]
    with space.new_file(record.id, "view", ".mp4") as view:
        write_frames(view.path, iter(render_view(scene, times_s, 64)), rate_hz=10)
    with space.new_file(record.id, "foa", ".wav") as foa:
        write_audio(foa.path, SpatialAudio(render_foa(scene, 16000), 16000, "foa"))
    return record.with_(files={"view": view.ref, "foa": foa.ref})


def _record(outcome: Outcome) -> Record:
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    return record


def test_a_clip_gets_its_caption_in_two_stages(
    clip: Record, space: Workspace, tiny_folders: dict[str, Path]
) -> None:
    described = _record(Describe(str(tiny_folders["describer"]), **SMALL).run(clip, space))
    assert described.files == clip.files
    # The sentence in whose middle the model was stopped is left out.
    assert described.facts["description"] == "A bell rings in the picture."
    assert described.facts["description_by"]["licence"] == "not established"
    assert len(described.facts["description_by"]["weights_sha256"]) == 64
    captioned = _record(Distil(str(tiny_folders["distiller"]), device="cpu").run(described, space))
    assert captioned.facts["caption"] == "Visible sound: bell ringing, Invisible sound: wind blowing"
    assert captioned.facts["caption_by"]["model"] == "distiller"
    assert "caption_missing" not in captioned.facts
    assert text_for_use(captioned.facts["caption"]) == "bell ringing, wind blowing"


def test_an_answer_without_a_caption_is_recorded_and_the_clip_kept(
    clip: Record, space: Workspace, tiny_folders: dict[str, Path]
) -> None:
    described = clip.with_(facts={"description": "A bell rings."})
    stage = Distil(str(tiny_folders["wild-distiller"]), device="cpu", attempts=1, most_tokens=4)
    kept = _record(stage.run(described, space))
    assert kept.facts["caption_missing"] == "no_labels"
    assert kept.facts["caption_missing_because"].startswith("the answer names neither part: '")
    assert "caption" not in kept.facts
    assert kept.files == clip.files


def test_what_is_there_is_left_alone(clip: Record, space: Workspace) -> None:
    """Without any model: a clip of a set that has captions, and one of which nothing was described."""
    ready = clip.with_(facts={"caption": "cello"})
    assert _record(Describe("nowhere").run(ready, space)) == ready
    assert _record(Distil("nowhere").run(ready, space)) == ready
    silent = clip.with_(facts={"caption_missing": "empty"})
    assert _record(Distil("nowhere").run(silent, space)) == silent


def test_problems_are_those_of_the_item_and_say_what_to_do(
    clip: Record,
    space: Workspace,
    tiny_folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        ItemProblem, match=r"weights of qwen2\.5-omni-7b are not on this machine; get them with"
    ):
        Describe(device="cpu").run(clip, space)
    with pytest.raises(
        ItemProblem, match="record a-00000000 has no description; the stage describe makes it"
    ):
        Distil(str(tiny_folders["distiller"])).run(clip, space)
    with pytest.raises(
        ItemProblem, match="record a-00000000 has none of binaural, foa, stereo, mono; clips have one"
    ):
        Describe(str(tiny_folders["describer"]), **SMALL).run(clip.without_files("foa"), space)
    with pytest.raises(ValueError, match="has no file 'view'"):
        Describe(str(tiny_folders["describer"]), **SMALL).run(replace(clip, files={}), space)
    with pytest.raises(ItemProblem, match="device is 'cuda:99', but this machine has"):
        Distil(str(tiny_folders["distiller"]), device="cuda:99").run(
            clip.with_(facts={"description": "A bell."}), space
        )
    with space.new_file("a-long", "foa", ".wav") as foa:
        write_audio(foa.path, SpatialAudio(np.zeros((4, 31 * 8000), np.float32), 8000, "foa"))
    with pytest.raises(ItemProblem, match=r"lasts 31.00 s; 0\.02 to 30 s can be described"):
        Describe(str(tiny_folders["describer"]), **SMALL).run(clip.with_({"foa": foa.ref}), space)


@pytest.mark.parametrize(
    ("stage", "settings", "sentence"),
    [
        ("describe", {"most_tokens": 0}, "most_tokens is 0; it must be at least 1"),
        ("describe", {"least_px": 100}, "least_px is 100 and most_px 602112; give at least 784"),
        ("describe", {"most_px": 1000}, "most_px not below least_px"),
        ("describe", {"device": "tpu"}, "device is 'tpu'; give auto, cpu, cuda or cuda:NUMBER"),
        ("distil", {"device": "cuda:"}, "device is 'cuda:'; give auto, cpu, cuda or cuda:NUMBER"),
        ("distil", {"attempts": 0}, "attempts is 0; it must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(stage: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_stage(stage, settings)


def test_a_build_describes_first_and_distils_later_without_describing_again(
    tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    """The way to have one model at a time: the second run finds what the first one wrote."""
    cut = {"stage": "biaudio_clips", "clip_s": 1.0, "hop_s": 1.0, "size_px": 56, "rate_hz": 16000}
    describe = {"stage": "describe", "model": str(tiny_folders["describer"]), **SMALL}
    first = BuildConfig(
        output=str(tmp_path / "set"),
        source={"kind": "world", "recordings": 1, "duration_s": 2, "height_px": 64, "rate_hz": 16000},
        stages=({"stage": "take_foa"}, cut, describe),
        shards=ShardSettings(recordings=1, keep_work=True),
        workers=1,
    )
    build(first, executor=InThisProcess())
    distil = {"stage": "distil", "model": str(tiny_folders["distiller"]), "device": "cpu"}
    # The describer is gone: whoever asked it again would fail.
    moved = tiny_folders["describer"].rename(tiny_folders["describer"].with_name("away"))
    try:
        build(replace(first, stages=(*first.stages, distil)), executor=InThisProcess())
    finally:
        moved.rename(tiny_folders["describer"])
    lines = (tmp_path / "set" / "manifest.jsonl").read_text().splitlines()
    clips = [json.loads(line) for line in lines]
    assert len(clips) == 2
    for made in clips:
        caption = parse_biaudio_caption(made["facts"]["caption"])
        assert caption is not None
        assert (caption.visible, caption.invisible) == ("bell ringing", "wind blowing")
    page = write_caption_pages(tmp_path / "set")
    assert page is not None
    assert "2 of 2 clips have a caption" in page.read_text("utf-8")
    card = write_card(tmp_path / "set").read_text("utf-8")
    assert "2 of 2 clips have a caption" in card
    assert "the weights: describer (not established), distiller (not established)." in card
    assert "[captions.html](captions.html)" in card
