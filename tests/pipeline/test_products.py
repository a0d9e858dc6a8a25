import json

import numpy as np
import pytest

from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.media.video import read_video
from spatialfoley.pipeline.products import SUFFIXES, ProductSet, layout_outputs, write_products
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import listen_from
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.media.clips import constant_clip

TURNING = CameraTrajectory([0.0, 2.0], [0.0, 200.0], [0.0, 20.0], [0.0, 0.0])


@pytest.fixture
def clip(tmp_path):
    return constant_clip(tmp_path / "street.mp4", 10, 25)


def sound(layout="foa", level=0.1, rate_hz=16000):
    noise = np.random.default_rng(5).standard_normal((LAYOUT_CHANNELS[layout], round(2.5 * rate_hz)))
    return SpatialAudio((level * noise).clip(-1, 1), rate_hz, layout)


def on_disk(audio, folder):
    write_audio(folder / "growing.wav", audio, "FLOAT")
    return SoundFile.open(folder / "growing.wav", audio.layout)


@pytest.mark.parametrize("layout", ["foa", "binaural", "mono"])
def test_sound_on_disk_becomes_the_same_files_as_sound_in_memory(tmp_path, clip, layout):
    audio, video = sound(layout), read_video(clip)
    outputs = layout_outputs(layout)
    sets = []
    for name, source in (("held", audio), ("read", on_disk(audio, tmp_path))):
        products = ProductSet(tmp_path / name, "street", outputs)
        sets.append(write_products(video, source, TURNING, products, {"seed": 7}))
    assert set(sets[0]) == {*outputs, "sidecar"}
    for kind, path in sets[0].items():
        assert path.read_bytes() == sets[1][kind].read_bytes(), kind
    assert sorted(path.name for path in (tmp_path / "read").iterdir()) == sorted(
        path.name for path in sets[1].values()
    )


def test_ears_are_at_the_moving_camera_and_within_full_scale(tmp_path, clip):
    audio = sound(level=0.5)
    made = write_products(
        read_video(clip),
        on_disk(audio, tmp_path),
        TURNING,
        ProductSet(tmp_path / "out", "street", ("binaural", "foa")),
        {},
    )
    expected = render_binaural(listen_from(audio, TURNING))
    gain_db = json.loads(made["sidecar"].read_text())["binaural_gain_db"]
    assert gain_db == pytest.approx(20 * np.log10(0.9999 / expected.peak), abs=1e-3)
    assert gain_db < 0
    found = read_audio(made["binaural"])
    np.testing.assert_allclose(found.samples, expected.samples * 10 ** (gain_db / 20), atol=1e-4)
    np.testing.assert_allclose(read_audio(made["foa"]).samples, audio.samples, atol=2e-7)


def test_muxed_sound_read_from_disk_ends_with_the_picture(tmp_path, clip):
    short = on_disk(SpatialAudio(sound("binaural").samples[:, :20_000], 16000, "binaural"), tmp_path)
    products = ProductSet(tmp_path / "out", "street", ("video",))
    made = write_products(read_video(clip), short, TURNING, products, {})
    found = read_audio(made["video"])
    assert found.duration_s == pytest.approx(2.5, abs=1e-4)
    assert np.abs(found.samples[:, : found.rate_hz]).max() > 0.1
    assert np.abs(found.samples[:, round(1.5 * found.rate_hz) :]).max() < 1e-3


def test_bad_sound_leaves_no_file_of_the_set(tmp_path, clip):
    audio = sound()
    source = on_disk(audio, tmp_path)
    audio.samples[2, 39_000] = np.nan
    with (tmp_path / "growing.wav").open("r+b") as file:
        file.seek(-4 * audio.samples.size, 2)
        file.write(np.ascontiguousarray(audio.samples.T).tobytes())
    with pytest.raises(MediaError, match=r"growing.wav holds nan at channel 2, sample 39000"):
        write_products(read_video(clip), source, TURNING, ProductSet(tmp_path / "out", "street"), {})
    assert list((tmp_path / "out").iterdir()) == []


def test_outputs_that_the_sound_cannot_become_are_refused(tmp_path, clip):
    with pytest.raises(
        ValueError, match="outputs has foa,energy, but the sound is binaural; give one or more of"
    ):
        write_products(
            read_video(clip),
            sound("binaural"),
            Direction(0.0),
            ProductSet(tmp_path / "out", "street", tuple(SUFFIXES)),
            {},
        )
    assert not (tmp_path / "out").exists()
