import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import read_video
from spatialfoley.world import ClipFormat, make_scene, render_foa, render_view, write_clip, write_set


def test_a_clip_reads_back_as_it_was_rendered(tmp_path: Path) -> None:
    scene = make_scene(3, "in_view", "turning", duration_s=1.0)
    files = write_clip(scene, tmp_path, "clip", ClipFormat(size_px=64))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.foa.wav", "clip.json", "clip.mp4"]
    foa = read_audio(files.foa)
    assert (foa.layout, foa.rate_hz, foa.samples.shape) == ("foa", 48000, (4, 48000))
    np.testing.assert_allclose(foa.samples, render_foa(scene, 48000), atol=1e-6)
    times_s = np.arange(20) / 20
    frames = read_video(files.video).frames_at(times_s)
    assert frames.shape == (20, 64, 64, 3)
    assert np.abs(frames.astype(int) - render_view(scene, times_s, 64)).mean() < 6.0


def test_the_truth_is_plain_json_with_one_value_per_frame(tmp_path: Path) -> None:
    scene = make_scene(5, "several", "static", duration_s=1.0)
    document = json.loads(
        write_clip(scene, tmp_path, clip_format=ClipFormat(size_px=32)).truth.read_text("utf-8")
    )
    assert (document["seed"], document["kind"], document["camera"]) == (5, "several", "static")
    assert len(document["sources"]) == len(scene.sources)
    for entry, source in zip(document["sources"], scene.sources, strict=True):
        assert entry["class"] == source.class_name
        assert entry["onset_times_s"] == pytest.approx([event.time_s for event in source.events], abs=1e-6)
        for key in ("azimuth_deg", "camera_elevation_deg", "in_view", "level_db"):
            assert len(entry[key]) == len(document["times_s"]) == 20


def test_a_panorama_has_twice_its_height_in_width(tmp_path: Path) -> None:
    scene = make_scene(1, duration_s=0.5)
    files = write_clip(scene, tmp_path, clip_format=ClipFormat("panorama", 64, 10.0, 16000))
    video = read_video(files.video)
    assert (video.width, video.height, video.frame_count) == (128, 64, 5)


def test_a_set_leaves_complete_clips_as_they_are(tmp_path: Path) -> None:
    options = {"duration_s": 0.5, "clip_format": ClipFormat(size_px=32)}
    first = dict(write_set(tmp_path, [7, 8], **options))
    first[8].truth.unlink()
    stamps = {seed: files.foa.stat().st_mtime_ns for seed, files in first.items()}
    again = dict(write_set(tmp_path, [7, 8], **options))
    assert again == first
    assert again[7].foa.stat().st_mtime_ns == stamps[7]
    assert again[8].foa.stat().st_mtime_ns > stamps[8]
    assert again[8].truth.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"picture": "cube"}, "picture is 'cube'"),
        ({"size_px": 33}, "size_px is 33; it must be even"),
        ({"picture": "panorama", "field": "camera"}, "a panorama is world-locked"),
        ({"rate_hz": 100}, "rate_hz is 100; it must be from 8000"),
        ({"frame_rate_hz": 0.0}, r"frame_rate_hz is 0\.0"),
        ({"field": "head"}, "field is 'head'"),
    ],
)
def test_bad_formats_are_named_with_their_limit(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClipFormat(**arguments)
