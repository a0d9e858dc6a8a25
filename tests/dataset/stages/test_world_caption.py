"""The world's captions: what they say is checked by its own truth, as its files tell it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.built_arrays import BuiltArrays
from spatialfoley.dataset.captioning.world_truth import PHRASES, Heard, caption_of, heard_in_clip
from spatialfoley.dataset.captions import BiaudioCaption, parse_biaudio_caption
from spatialfoley.dataset.factory.config import BuildConfig, SplitSettings
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import ItemProblem, Passed, Workspace, load_stage
from spatialfoley.dataset.sources.world import WorldSource
from spatialfoley.dataset.stages.world_caption import WorldCaption
from spatialfoley.generators.visaudio.twin import named_words
from spatialfoley.world import CLASSES, make_scene, truth_at
from tests.dataset.in_this_process import InThisProcess

SPACE = Workspace(Path("unused"), "00-world_caption")


def _clip(seed: int, kind: str, **facts: object) -> Record:
    recording = next(WorldSource(recordings=1, first_seed=seed, scene=kind, duration_s=8).records())
    return recording.with_(facts={"start_s": 0.0, "duration_s": 8.0, "fov_deg": 90.0, **facts})


def _caption(clip: Record) -> BiaudioCaption:
    outcome = WorldCaption().run(clip, SPACE)
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    caption = parse_biaudio_caption(record.facts["caption"])
    assert caption is not None
    return caption


def test_a_camera_that_faces_the_source_sees_it_and_one_that_turns_its_back_does_not() -> None:
    scene = make_scene(3, kind="centred", camera="static", duration_s=8.0)
    (source,) = scene.sources
    pose = scene.camera.pose_at(0.0)
    facing = _clip(3, "centred", azimuth_deg=pose.yaw_deg, elevation_deg=pose.pitch_deg)
    away = _clip(3, "centred", azimuth_deg=pose.yaw_deg + 180.0, elevation_deg=-pose.pitch_deg)
    phrase = PHRASES[source.class_name]
    assert _caption(facing) == BiaudioCaption(phrase, "")
    assert _caption(away) == BiaudioCaption("", phrase)


def test_a_camera_that_turns_away_in_time_decides_by_the_time_that_the_source_sounds() -> None:
    pose = make_scene(3, kind="centred", camera="static", duration_s=8.0).camera.pose_at(0.0)
    for turned_at_s, share in ((1.0, 0.0), (7.0, 1.0)):
        camera = {
            "time_s": [0.0, turned_at_s, turned_at_s + 0.01],
            "yaw_deg": [pose.yaw_deg, pose.yaw_deg, pose.yaw_deg + 180.0],
            "pitch_deg": [pose.pitch_deg, pose.pitch_deg, -pose.pitch_deg],
            "roll_deg": [0.0, 0.0, 0.0],
        }
        clip = _clip(3, "centred", camera=camera)
        (heard,) = heard_in_clip(clip.facts, -60.0)
        assert heard.in_view == pytest.approx(share, abs=0.25)
        assert 0 < heard.in_view < 1
        assert bool(_caption(clip).visible) == (share == 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_scenes_with_several_sources_agree_with_their_truth(seed: int) -> None:
    """The scene's own still camera is given to the clip: the truth files say what it sees."""
    scene = make_scene(seed, kind="several", camera="static", duration_s=8.0)
    pose = scene.camera.pose_at(0.0)
    camera = {
        "time_s": [0.0],
        "yaw_deg": [pose.yaw_deg],
        "pitch_deg": [pose.pitch_deg],
        "roll_deg": [pose.roll_deg],
    }
    caption = _caption(_clip(seed, "several", camera=camera))
    truth = truth_at(scene, (np.arange(160) + 0.5) / 20)
    for name, in_view, level_db in zip(truth.class_names, truth.in_view, truth.level_db, strict=True):
        sounding = level_db >= -60.0
        seen = sounding.any() and in_view[sounding].mean() >= 0.5
        assert (PHRASES[name] in caption.visible) == seen
        assert (PHRASES[name] in caption.invisible) == (bool(sounding.any()) and not seen)


def test_a_later_clip_hears_what_sounds_in_it() -> None:
    scene = make_scene(5, kind="several", camera="static", duration_s=8.0)
    onsets = {source.class_name: [event.time_s for event in source.events] for source in scene.sources}
    for start_s in (0.0, 0.5, 6.5):
        clip = _clip(5, "several", start_s=start_s, duration_s=1.5)
        heard = {source.name for source in heard_in_clip(clip.facts, -60.0)}
        for name, times_s in onsets.items():
            if any(start_s + 0.1 <= time_s <= start_s + 1.3 for time_s in times_s):
                assert name in heard
    assert heard_in_clip(_clip(5, "several").facts, least_db=20.0) == []


def test_every_class_has_a_phrase_that_the_tiny_models_understand() -> None:
    assert set(PHRASES) == set(CLASSES)
    for name, phrase in PHRASES.items():
        named, _ = named_words(f"Visible sound: {phrase}, Invisible sound: none", CLASSES)
        assert [CLASSES[index] for index in np.flatnonzero(named.numpy())] == [name]


def test_the_loudest_is_named_first_and_silence_is_no_caption() -> None:
    loud, quiet, hidden = Heard("bell", -6.0, 1.0), Heard("drum", -30.0, 0.5), Heard("bird", -40.0, 0.49)
    assert caption_of([loud, quiet, hidden], 0.5) == BiaudioCaption(
        "bell ringing, drum beating", "bird chirping"
    )
    assert caption_of([], 0.5) is None


def test_a_clip_in_which_nothing_sounds_is_kept_with_the_reason() -> None:
    clip = _clip(3, "centred")
    outcome = WorldCaption(least_db=-1e-9).run(clip, SPACE)
    missing = {"caption_missing": "no_sound", "caption_missing_because": "nothing sounds in the clip"}
    assert outcome == Passed((clip.with_(facts=missing),))


def test_captions_name_the_classes_that_the_tiny_flow_models_are_trained_with(tmp_path: Path) -> None:
    """Both come from one build: words of the caption, and what the arrays of training say sounds."""
    cut = {"stage": "ytambigen_clips", "clip_s": 2.0, "hop_s": 2.0, "size_px": 32, "frame_rate_hz": 10}
    build(
        BuildConfig(
            output=str(tmp_path),
            source={
                "kind": "world",
                "recordings": 3,
                "duration_s": 6,
                "height_px": 32,
                "rate_hz": 16000,
                "scene": "several",
            },
            stages=(
                {"stage": "take_foa"},
                {**cut, "rate_hz": 16000, "frames": "npy"},
                {"stage": "world_caption"},
                {"stage": "tiny_arrays", "duration_s": 2.0, "frame_rate_hz": 10, "size_px": 32},
            ),
            splits=SplitSettings(valid=0.0, test=0.0),
            workers=1,
        ),
        executor=InThisProcess(),
    )
    clips = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    arrays = BuiltArrays(tmp_path)
    assert len(arrays) == len(clips) >= 6
    several = 0
    for number, clip in enumerate(clips):
        named, _ = named_words(clip["facts"]["caption"], CLASSES)
        sounding = arrays.take("level", number).astype(float).sum(axis=1) > 0
        np.testing.assert_array_equal(named.numpy() > 0, sounding)
        several += int(sounding.sum()) > 1
    assert several >= 2


def test_records_of_other_sources_and_impossible_settings_are_refused() -> None:
    with pytest.raises(ItemProblem, match=re.escape("record a is no clip of the synthetic world")):
        WorldCaption().run(Record("a", "a", facts={"duration_s": 5.0}), SPACE)
    with pytest.raises(ValueError, match="least_in_view is 0; give a share above 0, at most 1"):
        load_stage("world_caption", {"least_in_view": 0})
    with pytest.raises(ValueError, match="least_db is 3; give decibels below 0"):
        load_stage("world_caption", {"least_db": 3})
