"""Statistics of made clips whose levels and directions are known."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.factory.drawing import bars, sphere_map, sphere_paths
from spatialfoley.dataset.factory.measures import camera_path, labels_of, measure_clip
from spatialfoley.dataset.factory.reader import BuiltSet, Clip, Member
from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.statistics import direction_counts, write_statistics
from spatialfoley.media.flac import write_flac
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

from .test_runner import config

RATE_HZ = 16000


def clip_of(folder: Path, samples: np.ndarray, role: str = "foa", **facts: object) -> Clip:
    path = folder / f"c.{role}.flac"
    write_flac(path, SpatialAudio(samples.astype(np.float32), RATE_HZ, role))  # type: ignore[arg-type]
    record = Record("c", "c", {role: FileRef(path.name, "", path.stat().st_size)}, facts)
    return Clip(record, path, {role: Member(path.name, 0, path.stat().st_size, "")})


def tone(level: float, duration_s: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * 1000 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def test_levels_and_direction_of_a_plane_wave(tmp_path: Path) -> None:
    field = encode(tone(0.1), unit_vectors(50.0, 20.0))
    clip = clip_of(tmp_path, field, azimuth_deg=30.0, elevation_deg=20.0, duration_s=1.0)
    found = measure_clip(clip)
    assert found.values["peak_db"] == pytest.approx([-20.0], abs=0.01)
    assert found.values["level_db"] == pytest.approx([-23.01], abs=0.01)
    assert found.values["loudness_lufs"] == pytest.approx([-23.0], abs=0.1)
    assert found.peaks[0] == pytest.approx((50.0, 20.0), abs=1.0)
    assert found.views[0] == pytest.approx((30.0, 20.0))
    assert found.values["view_to_peak_deg"][0] == pytest.approx(18.8, abs=1.0)
    told = measure_clip(clip_of(tmp_path, field, peak_azimuth_deg=-90.0, peak_elevation_deg=0.0))
    assert told.peaks[0] == pytest.approx((-90.0, 0.0))
    turned = measure_clip(clip_of(tmp_path, field, field_frame="camera"))
    assert turned.peaks == [], "a field that turns says nothing of the world"
    assert measure_clip(clip, with_sound=False).values.keys() == {"duration_s"}


def test_two_ears_count_both_and_silence_has_a_floor(tmp_path: Path) -> None:
    found = measure_clip(clip_of(tmp_path, np.stack([tone(0.1)] * 2), "binaural"))
    assert found.values["loudness_lufs"] == pytest.approx([-20.0], abs=0.1)
    silent = measure_clip(clip_of(tmp_path, np.zeros((4, RATE_HZ))))
    assert silent.values["peak_db"] == [-120.0]
    assert silent.peaks == []


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, np.zeros((4, RATE_HZ)))
    clip.shard.write_bytes(b"x" * clip.members["foa"].size)
    assert measure_clip(clip).unread == {"foa cannot be read: LibsndfileError": 1}
    assert measure_clip(Clip(clip.record, clip.shard, {})).unread == {"no sound in the clip": 1}


def test_cameras_that_turn_have_paths() -> None:
    turning = {"time_s": [0, 8], "yaw_deg": [0, 90], "pitch_deg": [0, 0], "roll_deg": [0, 0]}
    path = camera_path({"camera": turning})
    assert path is not None
    assert np.allclose(path[[0, 16, -1]], unit_vectors([0.0, 45.0, 90.0], 0.0), atol=1e-9)
    still = camera_path({"camera": {**turning, "yaw_deg": [10, 10]}})
    assert still is not None
    assert len(still) == 1
    assert camera_path({}) is None


def test_labels_come_from_every_place_that_has_them() -> None:
    facts = {
        "labels": {"audioset": ["Speech", "Dog"]},
        "content": {"music": 0.5, "speech": 0.01},
        "content_tagger": "ours",
        "classes": ["bell"],
    }
    assert labels_of(facts) == {"audioset": {"Speech", "Dog"}, "ours": {"music"}, "world": {"bell"}}


def test_maps_read_like_a_panorama() -> None:
    counts = direction_counts([(0.0, 0.0), (90.0, 45.0), (-179.9, -89.0), (180.0, 90.0)])
    assert counts.shape == (18, 36)
    assert {(int(row), int(column)) for row, column in np.argwhere(counts)} == {
        (9, 18),
        (4, 9),
        (17, 35),
        (0, 0),
    }


def test_pictures_are_xml_that_shows_what_was_counted() -> None:
    titles = ElementTree.fromstring(bars("a <b>", [0, 1, 2], [3, 4], "s")).iter(
        "{http://www.w3.org/2000/svg}title"
    )
    assert [title.text for title in titles] == ["0 to 1 s: 3", "1 to 2 s: 4"]
    grid = np.zeros((18, 36))
    grid[9, 18] = 2.0
    cells = [
        node.get("fill") for node in ElementTree.fromstring(sphere_map("x", grid)).iter() if node.get("fill")
    ]
    assert cells.count("#08306b") == 2, "the one cell, and the end of the scale"
    # A path to the left, seen ahead: it leads to the left.
    drawn = ElementTree.fromstring(sphere_paths("x", [unit_vectors([0.0, 45.0], 0.0)]))
    (line,) = [node.get("points") for node in drawn.iter() if node.get("points")]
    (x0, _), (x1, _) = (map(float, point.split(",")) for point in str(line).split())
    assert x1 < x0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_set_gets_numbers_pictures_and_a_page(tmp_path: Path, workers: int) -> None:
    """The records alone: clips of these builds hold no sound, which is said."""
    root = tmp_path / "set"
    build(config(root, count=6))
    document = write_statistics(root, workers)
    assert document["clips"] == len(BuiltSet(root)) == 12
    assert document["sound_not_read"] == {"foa cannot be read: LibsndfileError": 12}
    assert json.loads((root / "stats.json").read_text()) == document
    page = (root / "stats.html").read_text()
    assert "12 clips of 6 recordings" in page
    assert "foa cannot be read" in page
    assert "http-equiv" not in page
    assert "src=" not in page, "one file that needs nothing else"
