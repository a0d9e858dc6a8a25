"""Manifests of one's own clips: both forms say the same, and what is wrong is named with its line."""

import json
from pathlib import Path

import pytest

from spatialfoley.dataset.manifest import ManifestRow, read_clip_manifest
from spatialfoley.spatial.direction import Direction


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    table, lines = tmp_path / "clips.csv", tmp_path / "clips.jsonl"
    table.write_text(
        "\ufeffvideo,audio,azimuth_deg,elevation_deg,start_s,split\r\na.mp4,b.wav,-30,5,2.5,valid\r\nc.mp4,,,,,\r\n",
        encoding="utf-8",
    )
    full = {"video": "a.mp4", "audio": "b.wav", "azimuth_deg": -30, "elevation_deg": 5, "start_s": 2.5}
    lines.write_text(json.dumps({**full, "split": "valid"}) + '\n\n{"video": "c.mp4"}\n')
    first = ManifestRow(
        2, tmp_path / "a.mp4", tmp_path / "b.wav", Direction(-30.0, 5.0), start_s=2.5, split="valid"
    )
    second = ManifestRow(3, tmp_path / "c.mp4", None, Direction(0.0), start_s=None, split="train")
    assert read_clip_manifest(table) == [first, second]
    read = read_clip_manifest(lines)
    assert [row.line for row in read] == [1, 3]
    assert [(row.video, row.audio, row.direction, row.start_s, row.split) for row in read] == [
        (row.video, row.audio, row.direction, row.start_s, row.split) for row in (first, second)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows; each names a video"),
        ('{"audio": "b.wav"}', "line 1 has no video"),
        ('{"video": "a.mp4", "azimut": 3}', "line 1 has unknown columns azimut; known are video, audio"),
        ('{"video": "a.mp4"}\n{"video": "a.mp4", "azimuth_deg": "left"}', "line 2 has azimuth_deg 'left'"),
        ('{"video": "a.mp4", "elevation_deg": 91}', "line 1: elevation_deg is 91.0; it must be"),
        ('{"video": "a.mp4", "start_s": -1}', "line 1 has start_s -1; give seconds from 0 on"),
        ('{"video": "a.mp4", "start_s": NaN}', "line 1 has start_s nan; it must be a finite number"),
        ('{"video": "a.mp4", "split": "parts"}', "line 1 has split 'parts'"),
        ('{"video": "a.mp4", "split": "../x"}', "line 1 has split '../x'"),
        ("[1]", "line 1 is no object"),
        ("{", "line 1 is no JSON"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "clips.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_clip_manifest(path)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv does not exist; give a \.jsonl or \.csv"):
        read_clip_manifest(tmp_path / "none.csv")
    other = tmp_path / "clips.xlsx"
    other.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"ends in '\.xlsx'; give a \.jsonl or \.csv file"):
        read_clip_manifest(other)
    table = tmp_path / "clips.csv"
    table.write_bytes("video\nstraße.mp4\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is no UTF-8 text"):
        read_clip_manifest(table)
    table.write_text("video\na.mp4,b.wav\n")
    with pytest.raises(ValueError, match="line 2 has more values than there are columns"):
        read_clip_manifest(table)
