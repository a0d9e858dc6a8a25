"""FLAC of 24 bit: every sample back, and a word on what the channels mean."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.media.errors import MediaError
from spatialfoley.media.flac import write_flac
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.spatial.signal import Layout, SpatialAudio

STEPS = 1 << 23


@pytest.mark.parametrize(("layout", "channels"), [("foa", 4), ("binaural", 2), ("mono", 1)])
def test_samples_of_24_bit_come_back(tmp_path: Path, layout: Layout, channels: int) -> None:
    whole = np.random.default_rng(0).integers(-STEPS, STEPS, (channels, 70000))
    whole[:, :3] = -STEPS, STEPS - 1, 0
    samples = (whole / STEPS).astype(np.float32)
    write_flac(tmp_path / "a.flac", SpatialAudio(samples, 44100, layout))
    read, rate_hz = soundfile.read(tmp_path / "a.flac", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read.T, samples)
    assert rate_hz == 44100
    assert SoundFile.open(tmp_path / "a.flac").layout == layout
    with soundfile.SoundFile(tmp_path / "a.flac") as file:
        assert ("AmbiX ACN SN3D" in file.comment) == (layout == "foa")


def test_full_scale_fits_and_more_is_refused(tmp_path: Path) -> None:
    loud = np.array([[1.0, -1.0, 0.5]], np.float32)
    write_flac(tmp_path / "a.flac", SpatialAudio(loud, 16000, "mono"))
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.flac")[0], loud[0], atol=1.01 / STEPS)
    with pytest.raises(ValueError, match=r"peak of 1.1000, above the limit"):
        write_flac(tmp_path / "b.flac", SpatialAudio(loud * 1.1, 16000, "mono"))
    with pytest.raises(MediaError, match=r"the name must end in .flac"):
        write_flac(tmp_path / "c.wav", SpatialAudio(loud, 16000, "mono"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]
