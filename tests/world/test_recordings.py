from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import CLASSES, WorldSettings, make_scene, render_source_signals
from spatialfoley.world.recordings import class_folders


def write_tone(path: Path, frequency_hz: float, rate_hz: int = 22050) -> None:
    """Half a second of silence, then a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(2 * rate_hz) / rate_hz
    tone = 0.3 * np.cos(2 * np.pi * frequency_hz * times_s) * (times_s >= 0.5)
    write_audio(path, SpatialAudio(tone[None].astype(np.float32), rate_hz, "mono"))


def test_folders_go_by_name_or_in_turn(tmp_path: Path) -> None:
    for name in ("001-dog", "002-rain", "Horn"):
        (tmp_path / name).mkdir()
    folders = class_folders(tmp_path)
    assert folders["horn"].name == "Horn"
    assert [folders[name].name for name in CLASSES[:4]] == ["001-dog", "002-rain", "Horn", "001-dog"]


def test_events_start_at_the_onset_of_the_recording(tmp_path: Path) -> None:
    write_tone(tmp_path / "any" / "tone.wav", 1000.0)
    for seed in range(5):
        scene = make_scene(seed, "centred", settings=WorldSettings(recordings=tmp_path))
        signal = render_source_signals(scene)[0]
        event_s = scene.sources[0].events[0].time_s
        loud = np.abs(signal) > 0.03
        assert np.argmax(loud) / 16000 == pytest.approx(event_s, abs=0.005)
        peak_hz = np.argmax(np.abs(np.fft.rfft(signal))) / 5.0
        assert peak_hz == pytest.approx(1000.0, abs=15.0)


def test_a_folder_without_sounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it must be a folder with one sub-folder per class"):
        class_folders(tmp_path)
    (tmp_path / "empty").mkdir()
    scene = make_scene(0, "centred", settings=WorldSettings(recordings=tmp_path))
    with pytest.raises(ValueError, match="no sound file in"):
        render_source_signals(scene)
    with pytest.raises(ValueError, match=r"recordings is .*nowhere"):
        WorldSettings(recordings=tmp_path / "nowhere")
