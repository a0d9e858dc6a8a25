"""Published lists of clips: every recording once, every clip with its place, split and camera."""

import json
from pathlib import Path
from typing import Any

import pytest

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import Source, load_source
from spatialfoley.settings import from_mapping
from tests.dataset.sources.video_site import Site

FIRST, SECOND = "DAXDJc-W0VA", "_D7CJg5fvsE"


def ambigen_lists(folder: Path) -> Path:
    """As published: one column with a heading, names of arrays; video ids may begin with "_"."""
    (folder / "train.csv").write_text(f"file_path\n{FIRST}_2.npy\n{FIRST}_0.npy\n")
    (folder / "valid.csv").write_text(f"file_path\n{SECOND}_87.npy\n")
    (folder / "test.csv").write_text("file_path\nECFTh6UdONY_158.npy\n")
    cameras = {f"{FIRST}_2": [44, 134], f"{SECOND}_87.npy": [20, 30]}
    (folder / "ambi.json").write_text(json.dumps(cameras))
    return folder


def source(kind: str, lists: Path, **settings: Any) -> Source:
    return load_source(kind, {"lists": str(lists), "download": {"yt_dlp": "true"}, **settings})


def test_ambigen_recordings_have_their_clips_with_cameras(tmp_path: Path) -> None:
    first, second, third = source("yt_ambigen", ambigen_lists(tmp_path)).records()
    assert (first.id, second.id, third.id) == (f"yt-{FIRST}", f"yt-{SECOND}", "yt-ECFTh6UdONY")
    assert first.facts == {
        "source": "yt_ambigen",
        "convention": "ambix",
        "video": FIRST,
        "split": "train",
        "clips": [
            {"start_s": 2.0, "split": "train", "listed_as": f"{FIRST}_2", "camera_index": [44, 134]},
            {"start_s": 0.0, "split": "train", "listed_as": f"{FIRST}_0"},
        ],
    }
    assert second.facts["clips"][0]["camera_index"] == [20, 30]
    assert third.facts["split"] == "test"


def test_parts_of_the_lists_may_be_taken(tmp_path: Path) -> None:
    (only,) = source("yt_ambigen", ambigen_lists(tmp_path), splits=["valid"], cameras=False).records()
    assert only.facts["clips"] == [{"start_s": 87.0, "split": "valid", "listed_as": f"{SECOND}_87"}]


def test_sphere360_names_its_stretches_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(f"{FIRST}_130\n{SECOND}_0\n")
    (tmp_path / "test.txt").write_text(f"{FIRST}_17\n")
    first, second = source("sphere360", tmp_path).records()
    # A recording with clips of two splits has none itself; its clips do.
    assert "split" not in first.facts
    assert [(clip["start_s"], clip["split"]) for clip in first.facts["clips"]] == [
        (130.0, "train"),
        (17.0, "test"),
    ]
    assert second.facts["split"] == "train"


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("train.csv", f"file_path\n{FIRST}_2.npy\nclip 7\n", r"train\.csv, line 3: 'clip 7' is no clip"),
        (
            "valid.csv",
            f"file_path\n{FIRST}_2.npy\n",
            r"valid\.csv, line 2: DAXDJc-W0VA_2 is in train\.csv, line 2",
        ),
        ("test.csv", "file_path\n", r"test\.csv names no clip"),
        ("test.csv", None, r"test\.csv does not exist; check its path"),
        ("ambi.json", None, r"ambi\.json does not exist; it holds the published cameras"),
        ("ambi.json", "{", r"ambi\.json, line 1: no JSON"),
        ("ambi.json", "[]", r"ambi\.json is no object"),
        (
            "ambi.json",
            '{"a_1": [90, 200]}',
            r"the camera of a_1 is \[90, 200\]; it must be \[elevation 0 to 89",
        ),
        ("ambi.json", '{"a_1": 3}', r"the camera of a_1 is 3; it must be"),
        ("ambi.json", '{"a_1": [3, 3]}', "names none of the clips of the lists"),
    ],
)
def test_a_broken_list_is_told(tmp_path: Path, file: str, text: str | None, sentence: str) -> None:
    lists = ambigen_lists(tmp_path)
    if text is None:
        (lists / file).unlink()
    else:
        (lists / file).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        list(source("yt_ambigen", lists).records())


def test_splits_that_are_not_published_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="splits holds 'valid'; the lists are for train, test"):
        source("sphere360", tmp_path, splits=["valid"])
    with pytest.raises(ValueError, match="splits is empty; give some of train, valid, test"):
        source("yt_ambigen", tmp_path, splits=[])


def test_a_listed_recording_is_fetched_once_and_cut_as_the_list_says(
    site: Site, yt_dlp: Path, tmp_path: Path
) -> None:
    """The whole way: list, download, field, clips with the published cameras and splits."""
    lists = ambigen_lists(tmp_path)
    site.answers = {video: site.panorama() for video in (FIRST, SECOND, "ECFTh6UdONY")}
    settings = {
        "output": str(tmp_path / "set"),
        "source": {"kind": "yt_ambigen", "lists": str(lists), "download": site.download(yt_dlp)},
        "stages": [
            {"stage": "take_foa"},
            {"stage": "ytambigen_clips", "clip_s": 2, "size_px": 16, "frame_rate_hz": 2, "rate_hz": 8000},
        ],
        "splits": {"given": True},
    }
    build(from_mapping(BuildConfig, settings, "test"))
    clips = [json.loads(line) for line in (tmp_path / "set" / "manifest.jsonl").read_text().splitlines()]
    assert [(clip["id"], clip["split"], clip["facts"]["listed_as"]) for clip in clips] == [
        (f"yt-{FIRST}-00000000", "train", f"{FIRST}_0"),
        (f"yt-{FIRST}-00002000", "train", f"{FIRST}_2"),
    ]
    facts = clips[1]["facts"]
    assert (facts["camera_index"], facts["azimuth_deg"]) == ([44, 134], 179 - 2 * 134)
    assert facts["licence"] == "Creative Commons Attribution license (reuse allowed)"
    assert site.asked[FIRST] == 1
    rejected = [json.loads(line) for line in (tmp_path / "set" / "rejected.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in rejected} == {"short"}
