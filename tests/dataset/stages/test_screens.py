"""Screens as stages: their settings, the facts they leave, and a build that leaves duplicates out."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import Passed, Rejected, Workspace, load_stage, reference
from spatialfoley.dataset.screening.trial import write_recording
from spatialfoley.dataset.screening.variants import Recording, copy_of
from spatialfoley.settings import RecipeError, from_mapping
from tests.dataset.screening.recordings import world_recording


@pytest.fixture(scope="module")
def good() -> Recording:
    return world_recording(5, 4.0, 32)


def record_of(folder: Path, field: np.ndarray, **facts: object) -> Record:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "a.flac", field.T, 48000, subtype="PCM_24")
    return Record("a", "a", {"foa": reference(folder / "a.flac")}, facts)


def test_a_good_recording_leaves_with_what_was_measured(good: Recording, tmp_path: Path) -> None:
    record = write_recording(good, tmp_path)
    record = record.with_(files=record_of(tmp_path, good.field).files)
    for name in ("silence", "clipping", "foa_proof", "static_video"):
        outcome = load_stage(name, {}).run(record, Workspace(tmp_path, name))
        assert isinstance(outcome, Passed), outcome
        (record,) = outcome.records
    assert record.facts["field_ratio_db"] == pytest.approx(0.0, abs=0.2)
    assert 0 <= record.facts["silent_share"] < 0.9
    assert 0 <= record.facts["still_share"] < 0.85
    assert "suspicion" not in record.facts


def test_suspicion_is_a_fact_or_a_reason(good: Recording, tmp_path: Path) -> None:
    fuma = good.field[[0, 3, 1, 2]] * np.array([0.5**0.5, 1, 1, 1])[:, None]
    record = record_of(tmp_path, fuma)
    outcome = load_stage("foa_proof", {}).run(record, Workspace(tmp_path, "x"))
    assert isinstance(outcome, Passed)
    assert outcome.records[0].facts["suspicion"] == "fuma"
    outcome = load_stage("foa_proof", {"reject_suspects": True}).run(record, Workspace(tmp_path, "x"))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "fuma_suspected"
    assert outcome.sentence == "W is 3.1 dB weaker than AmbiX has it, as in FuMa (3.0 dB)"
    assert outcome.numbers["ratio_db"] == pytest.approx(3.0, abs=0.2)


def test_floats_above_full_scale_are_not_clipped_and_whole_numbers_at_it_are(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (4, 48000)) * 0.999
    stage = load_stage("clipping", {})
    whole = stage.run(record_of(tmp_path / "1", noise, sound_codec="pcm_24"), Workspace(tmp_path, "x"))
    assert isinstance(whole, Rejected)
    floats = stage.run(record_of(tmp_path / "2", noise, sound_codec="pcm_f32le"), Workspace(tmp_path, "x"))
    assert isinstance(floats, Passed)


def test_limits_come_from_the_recipe(good: Recording, tmp_path: Path) -> None:
    record = write_recording(good, tmp_path)
    for most_pairs in (3, 600):
        settings = {"limits": {"still_mse": 1e9}, "most_pairs": most_pairs}
        outcome = load_stage("static_video", settings).run(record, Workspace(tmp_path, "x"))
        assert isinstance(outcome, Rejected)
        assert outcome.numbers["pairs"] == min(most_pairs, 7)
    with pytest.raises(
        RecipeError, match="stage silence: limits: unknown key quiet; known keys are quiet_dbfs"
    ):
        load_stage("silence", {"limits": {"quiet": -30}})
    with pytest.raises(ValueError, match=r"least is 3\.0; D lies between 0 and 2"):
        load_stage("binaural_difference", {"least": 3.0})
    with pytest.raises(ValueError, match="by is 'smell'; it must be one of both, sound, picture, either"):
        load_stage("duplicates", {"by": "smell"})


class Listener:
    """Hears "speech" where it is loud: enough to see that a tagger is asked, and no detector of speech."""

    name, rate_hz, window_s = "loud-1", 8000, 0.5

    def labels(self, mono: np.ndarray) -> Iterable[str]:
        return ["speech"] if np.abs(mono).max() > 0.1 else []


def test_content_is_asked_of_a_tagger_or_said_not_to_be_measured(tmp_path: Path) -> None:
    sound = np.zeros((4, 4 * 48000))
    sound[0, : 3 * 48000] = 0.5 * np.sin(2 * np.pi * 300 * np.arange(3 * 48000) / 48000)
    record = record_of(tmp_path, sound)
    (silent,) = load_stage("content_share", {}).run(record, Workspace(tmp_path, "x")).records  # type: ignore[union-attr]
    assert silent.facts["content"] == "not measured: no tagger is named"
    settings = {"tagger": f"{__name__}:Listener", "most": {"speech": 0.8, "music": 0.1}}
    (heard,) = load_stage("content_share", settings).run(record, Workspace(tmp_path, "x")).records  # type: ignore[union-attr]
    assert heard.facts["content"] == {"speech": 0.75}
    assert heard.facts["content_tagger"] == "loud-1"
    outcome = load_stage("content_share", {**settings, "most": {"speech": 0.5}}).run(
        record, Workspace(tmp_path, "x")
    )
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.numbers) == ("speech_share", {"speech_share": 0.75})
    assert outcome.sentence == "75 % of it is speech, more than 50 %"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tagger": "nowhere:X"}, "tagger 'nowhere:X' cannot be imported"),
        ({"tagger": "json"}, "tagger is 'json'; give package.module:NAME"),
        (
            {"tagger": "json:dumps"},
            "tagger 'json:dumps' is none: it needs name, rate_hz, window_s and labels",
        ),
        ({"most": {"speech": 0.5}}, "most is given but tagger is not; name the tagger"),
        ({"tagger": "json:dumps", "most": {"speech": 5}}, "most: speech is 5; it is a share of time"),
    ],
)
def test_taggers_that_cannot_be_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_stage("content_share", settings)


def test_a_build_keeps_the_first_of_the_same_recordings(good: Recording, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for one in (copy_of(good, "quieter"), good, copy_of(good, "turned"), world_recording(6, 4.0, 32)):
        write_recording(one, folder)
    document = {
        "output": str(tmp_path / "set"),
        "source": {"kind": "folder", "path": str(folder)},
        "stages": [{"stage": "take_foa"}, {"stage": "duplicates"}],
        "workers": 2,
    }
    report = build(from_mapping(BuildConfig, document, "test"))
    assert report.funnel[-1].rejected == {"duplicate": 2}
    manifest = [json.loads(line) for line in (tmp_path / "set" / "manifest.jsonl").read_text().splitlines()]
    assert [clip["facts"]["title"] for clip in manifest] == ["world-5-quieter", "world-6"]
    assert not any("fingerprint" in clip["facts"] for clip in manifest)
    rejected = (tmp_path / "set" / "rejected.jsonl").read_text().splitlines()
    assert all(f"it is the same as {manifest[0]['id']}" in line for line in rejected)
