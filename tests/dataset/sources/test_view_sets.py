"""Sets of ordinary views with two ears or one sound: FAIR-Play, MUSIC-21, VGGSound and their like."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    Outcome,
    Passed,
    Rejected,
    Source,
    Workspace,
    load_source,
)
from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.settings import from_mapping
from spatialfoley.spatial.signal import SpatialAudio
from tests.dataset.sources.video_site import RATE_HZ, Site

CELLO, DUET = "XYbxjA3TxvI", "_eeRb3LMb8E"


def fetched(source: Source, record: Any, root: Path) -> Outcome:
    outcome: Outcome = source.fetch(record, Workspace(root, "fetch"))  # type: ignore[attr-defined]
    return outcome


def video(path: Path, channels: int = 0) -> None:
    """Two seconds of picture, with sound inside where it has channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = {1: "mono", 2: "stereo"}.get(channels)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (channels, 2 * RATE_HZ)).astype(np.float32)
    sound = SpatialAudio(noise, RATE_HZ, layout) if layout else None  # type: ignore[arg-type]
    write_frames(path, iter(np.zeros((8, 32, 48, 3), np.uint8)), 4, sound)


def fair_play(root: Path) -> Path:
    for name in ("000001", "000002", "000003"):
        video(root / "videos" / f"{name}.mp4")
        samples = np.zeros((1 if name == "000003" else 2, 2 * RATE_HZ), np.float32)
        (root / "binaural_audios").mkdir(exist_ok=True)
        layout = "mono" if len(samples) == 1 else "binaural"
        write_audio(root / "binaural_audios" / f"{name}.wav", SpatialAudio(samples, RATE_HZ, layout))
    return root


def split_file(root: Path, name: str, clips: list[str]) -> Path:
    path = root / "splits" / "split1" / f"{name}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["audio"] = [f"/somewhere/binaural16k/{clip}.wav".encode() for clip in clips]
    return path


def test_fair_play_has_views_two_ears_and_its_own_splits(tmp_path: Path) -> None:
    root = fair_play(tmp_path / "fair")
    for name, clips in (("train", ["000002"]), ("val", ["000003"]), ("test", ["000001", "000009"])):
        split_file(root, name, clips)
    source = load_source("fair_play", {"path": str(root), "split": 1})
    records = list(source.records())
    assert [(record.id, record.facts["split"]) for record in records] == [
        ("fairplay-000002", "train"),
        ("fairplay-000003", "valid"),
        ("fairplay-000001", "test"),
        ("fairplay-000009", "test"),
    ]
    outcome = fetched(source, records[0], tmp_path)
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    assert {role: Path(ref.path).name for role, ref in record.files.items()} == {
        "view": "000002.mp4",
        "binaural": "000002.wav",
    }
    assert (record.facts["licence"], record.facts["convention"]) == ("CC-BY-4.0", "binaural")
    assert (record.facts["duration_s"], record.facts["sound_channels"]) == (2.0, 2)
    assert record.facts["caption_missing"] == "FAIR-Play has no captions"
    mono = fetched(source, records[1], tmp_path)
    assert isinstance(mono, Rejected)
    assert mono.sentence == "its sound has 1 channels, not 2"
    with pytest.raises(ItemProblem, match=r"000009\.mp4 is not in its folder"):
        fetched(source, records[3], tmp_path)


def test_fair_play_becomes_clips_of_two_ears_that_differ(tmp_path: Path) -> None:
    root = fair_play(tmp_path / "fair")
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (2, 2 * RATE_HZ)).astype(np.float32)
    write_audio(root / "binaural_audios" / "000002.wav", SpatialAudio(noise, RATE_HZ, "binaural"))
    settings = {
        "output": str(tmp_path / "set"),
        "source": {"kind": "fair_play", "path": str(root)},
        "stages": [
            {"stage": "view_clips", "clip_s": 1, "hop_s": 2, "height_px": 16, "rate_hz": RATE_HZ},
            {"stage": "binaural_difference"},
        ],
        "workers": 1,
    }
    report = build(from_mapping(BuildConfig, settings, "test"))
    (clip,) = [json.loads(line) for line in (tmp_path / "set" / "manifest.jsonl").read_text().splitlines()]
    assert (clip["id"], set(clip["files"])) == ("fairplay-000002-00000000", {"view", "binaural"})
    assert clip["facts"]["licence"] == "CC-BY-4.0"
    assert [(stage.stage, stage.rejected) for stage in report.funnel] == [
        ("fetch", {"channels": 1}),
        ("view_clips", {}),
        ("binaural_difference", {"same_ears": 1}),
    ]


def test_fair_play_without_a_split_is_its_folder(tmp_path: Path) -> None:
    source = load_source("fair_play", {"path": str(fair_play(tmp_path / "fair"))})
    assert [record.id for record in source.records()] == [f"fairplay-00000{n}" for n in (1, 2, 3)]
    assert all("split" not in record.facts for record in source.records())


def test_broken_splits_of_fair_play_are_told(tmp_path: Path) -> None:
    root = fair_play(tmp_path / "fair")
    source = load_source("fair_play", {"path": str(root), "split": 1})
    with pytest.raises(ValueError, match=r"train\.h5 does not exist; FAIR-Play has split1 to split10"):
        list(source.records())
    split_file(root, "train", ["000001"]).write_bytes(b"no h5")
    with pytest.raises(ValueError, match=r"train\.h5 is no split of FAIR-Play"):
        list(source.records())
    (root / "splits/split1/train.txt").write_text("000001.wav\n")
    split_file(root, "val", ["000001"])
    with pytest.raises(ValueError, match="split1 has clip 000001 in train and in valid"):
        list(source.records())
    with pytest.raises(ValueError, match="which has no folder videos; give that of FAIR-Play"):
        load_source("fair_play", {"path": str(tmp_path)})


def music_lists(folder: Path) -> list[str]:
    solo, duet = folder / "solo.json", folder / "duet.json"
    solo.write_text(
        json.dumps({"version": 2.0, "videos": {"cello": [CELLO], "electric_bass": ["FWW2Nf_mSis"]}})
    )
    duet.write_text(
        json.dumps({"version": 1.0, "videos": {"acoustic_guitar violin": [DUET], "cello tuba": [CELLO]}})
    )
    return [str(solo), str(duet)]


def test_music_lists_give_captions_of_instruments(site: Site, yt_dlp: Path, tmp_path: Path) -> None:
    site.answers = {
        CELLO: {
            **site.panorama(),
            "formats": [
                site.sound("251", 2, "medium", "stereo.wav"),
                site.sound("338", 4, "ambisonic_quad", "foa.wav"),
                site.picture("136", 64, 36, "720p", "pano.mp4"),
            ],
        }
    }
    download = site.download(yt_dlp)
    source = load_source("music21", {"lists": music_lists(tmp_path), "download": download})
    cello, bass, duet = source.records()
    # One that is in both lists has the instruments of both.
    assert [record.facts["caption"] for record in (cello, bass, duet)] == [
        "cello, tuba",
        "electric bass",
        "acoustic guitar, violin",
    ]
    assert cello.facts["convention"] == "binaural"
    outcome = fetched(source, cello, tmp_path)
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    assert set(record.files) == {"view", "sound"}
    assert record.facts["sound_format"] == "251: 2 channels (medium)"


def test_music_files_name_their_instruments(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    video(folder / f"solo_cello_{CELLO}.mp4", 2)
    video(folder / f"duet_acoustic_guitar_violin_{DUET}.mp4", 1)
    source = load_source("music21", {"path": str(folder)})
    duet, cello = source.records()
    assert (duet.id, duet.facts["caption"]) == (f"music-{DUET}", "acoustic guitar, violin")
    outcome = fetched(source, cello, tmp_path)
    assert isinstance(outcome, Passed)
    assert set(outcome.records[0].files) == {"view"}
    assert outcome.records[0].facts["sound_channels"] == 2
    mono = fetched(source, duet, tmp_path)
    assert isinstance(mono, Rejected)
    listed = load_source("music21", {"path": str(folder), "lists": music_lists(tmp_path)})
    with pytest.raises(ItemProblem, match="no video of the folder has a name that ends with FWW2Nf_mSis"):
        fetched(listed, list(listed.records())[1], tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", r"m\.json, line 1: no JSON"),
        ("{}", r'm\.json is no list of MUSIC-21; it must be \{"videos"'),
        ('{"videos": {"cello": ["short"]}}', "'short' of 'cello' is no YouTube id of 11 characters"),
        ('{"videos": {"theremin": ["XYbxjA3TxvI"]}}', "starts with no instrument of MUSIC-21"),
        ('{"videos": {}}', "the lists of MUSIC-21 name no video"),
    ],
)
def test_broken_lists_of_music_are_told(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.json").write_text(text)
    settings = {"lists": [str(tmp_path / "m.json")], "download": {"yt_dlp": "true"}}
    with pytest.raises(ValueError, match=sentence):
        list(load_source("music21", settings).records())


def test_impossible_settings_of_music_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither lists nor path is given"):
        load_source("music21", {})
    with pytest.raises(ValueError, match="convention is 'foa'; it must be one of binaural, stereo"):
        load_source("music21", {"path": str(tmp_path), "convention": "foa"})


VGG = '---g-f_I2yQ,1,people marching,test\n---g-f_I2yQ,31,"crowd, cheering",train\n--0PQM4-hqg,30,waterfall,train\n'


def test_a_list_as_vggsound_gives_clips_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "vgg.csv").write_text(VGG)
    folder = tmp_path / "clips"
    video(folder / "---g-f_I2yQ_000001.mp4", 2)
    video(folder / "---g-f_I2yQ_31.mkv", 1)
    source = load_source("mono_set", {"clips": str(tmp_path / "vgg.csv"), "path": str(folder)})
    both, gone = source.records()
    assert "split" not in both.facts
    assert gone.facts["split"] == "train"
    outcome = fetched(source, both, tmp_path)
    assert isinstance(outcome, Passed)
    found = [
        (clip.id, clip.facts["caption"], clip.facts["split"], clip.facts["start_s"])
        for clip in outcome.records
    ]
    assert found == [
        ("vggsound----g-f_I2yQ-00001000", "people marching", "test", 1.0),
        ("vggsound----g-f_I2yQ-00031000", "crowd, cheering", "train", 31.0),
    ]
    assert all(set(clip.files) == {"view"} and "clips" not in clip.facts for clip in outcome.records)
    with pytest.raises(ItemProblem, match="the folder holds no clip of --0PQM4-hqg"):
        fetched(source, gone, tmp_path)


def test_its_videos_may_come_from_their_site(site: Site, yt_dlp: Path, tmp_path: Path) -> None:
    (tmp_path / "vgg.csv").write_text("YTID,start seconds,label,split\n--0PQM4-hqg,2,waterfall,training\n")
    answer = {
        **site.panorama(),
        "formats": [{**site.picture("18", 48, 32, "360p", "pano.mp4"), "acodec": "aac"}],
    }
    site.answers = {"--0PQM4-hqg": answer}
    source = load_source(
        "mono_set", {"clips": str(tmp_path / "vgg.csv"), "name": "falls", "download": site.download(yt_dlp)}
    )
    (listed,) = source.records()
    outcome = fetched(source, listed, tmp_path)
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    assert set(record.files) == {"view"}
    assert record.id == "falls---0PQM4-hqg"
    assert record.facts["clips"] == [{"start_s": 2.0, "split": "train", "caption": "waterfall"}]
    assert record.facts["licence"].startswith("Creative Commons")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"vgg\.csv names no clip; it must have rows of video, start, label, split"),
        ("name,start\n", r"vgg\.csv, line 1: no column video"),
        ("--0PQM4-hqg,soon\n", r"vgg\.csv, line 1: start is 'soon'; give seconds of at least 0"),
        ("--0PQM4-hqg,1,a,train\nshort,1,a,train\n", r"vgg\.csv, line 2: 'short' is no YouTube id"),
        ("--0PQM4-hqg,1,a,dev\n", r"line 1: split is 'dev'; known are train, training, val"),
    ],
)
def test_broken_lists_of_clips_are_told(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "vgg.csv").write_text(text)
    source = load_source("mono_set", {"clips": str(tmp_path / "vgg.csv"), "path": str(tmp_path)})
    with pytest.raises(ValueError, match=sentence):
        list(source.records())
