import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from spatialfoley.media.audio import AMBIX_COMMENT, fit_length, read_audio, resample, write_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.wav import WavWriter
from spatialfoley.spatial.signal import Layout, SpatialAudio
from tests.media.clips import shared_data


def noise(channels: int, length: int, rate_hz: int, layout: Layout) -> SpatialAudio:
    return SpatialAudio(np.random.default_rng(1).uniform(-0.9, 0.9, (channels, length)), rate_hz, layout)


@pytest.mark.parametrize(("subtype", "error"), [("PCM_16", 2**-16), ("PCM_24", 2**-24), ("FLOAT", 0.0)])
def test_ambix_there_and_back(tmp_path: Path, subtype: str, error: float) -> None:
    audio = noise(4, 4801, 48000, "foa")
    write_audio(tmp_path / "a.wav", audio, subtype)  # type: ignore[arg-type]
    back = read_audio(tmp_path / "a.wav")
    assert (back.layout, back.rate_hz, back.samples.shape) == ("foa", 48000, (4, 4801))
    assert np.abs(back.samples - audio.samples).max() <= error


def test_header_claims_no_loudspeakers(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(4, 100, 48000, "foa"))
    data = (tmp_path / "a.wav").read_bytes()
    fmt = data.index(b"fmt ") + 8
    tag, channels = struct.unpack_from("<HH", data, fmt)
    (mask,) = struct.unpack_from("<I", data, fmt + 20)
    assert (tag, channels, mask) == (0xFFFE, 4, 0)
    assert soundfile.SoundFile(tmp_path / "a.wav").comment == AMBIX_COMMENT
    with av.open(str(tmp_path / "a.wav")) as container:  # a second, independent reader
        assert container.streams.audio[0].layout.name == "4 channels"
        assert container.metadata["comment"] == AMBIX_COMMENT
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


def test_odd_byte_counts_are_padded(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(1, 3, 8000, "mono"))
    data = (tmp_path / "a.wav").read_bytes()
    assert len(data) % 2 == 0
    assert struct.unpack_from("<I", data, data.index(b"data") + 4)[0] == 9
    assert read_audio(tmp_path / "a.wav").samples.shape == (1, 3)


def test_beyond_4_gib_the_header_becomes_rf64(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", 4, 48000, "foa", "PCM_24") as writer:
        writer.write(np.zeros((4, 10), np.float32))
        small = writer._header()
        writer._frames = 400_000_000
        big = writer._header()
        writer._frames = 10
    assert small[:4] == b"RIFF"
    assert big[:4] == b"RF64"
    assert len(big) == len(small)
    assert struct.unpack_from("<QQ", big, 20) == (len(big) - 8 + 4_800_000_000, 4_800_000_000)


def test_bad_sound_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    audio = noise(4, 100, 48000, "foa")
    audio.samples[1, 3] = 1.5
    with pytest.raises(ValueError, match=r"audio has a peak of 1\.5000, above the limit 1"):
        write_audio(tmp_path / "a.wav", audio)
    write_audio(tmp_path / "float.wav", audio, "FLOAT")
    audio.samples[1, 3] = np.nan
    with pytest.raises(ValueError, match="audio has 1 NaN or infinite samples; nothing was written"):
        write_audio(tmp_path / "a.wav", audio, "FLOAT")
    with pytest.raises(ValueError, match="subtype is 'MP3'; give one of PCM_16, PCM_24, FLOAT"):
        write_audio(tmp_path / "a.wav", noise(1, 9, 8000, "mono"), "MP3")  # type: ignore[arg-type]
    with pytest.raises(MediaError, match=r"a\.ogg: the name must end in \.wav"):
        write_audio(tmp_path / "a.ogg", noise(1, 9, 8000, "mono"))
    assert [file.name for file in tmp_path.iterdir()] == ["float.wav"]


def test_unusable_sound_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "three.wav", np.zeros((9, 3)), 8000)
    with pytest.raises(MediaError, match=r"three\.wav has 3 channels"):
        read_audio(tmp_path / "three.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 8000)
    with pytest.raises(MediaError, match=r"holds no sound|cannot be opened"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(MediaError, match=r"nothing\.wav does not exist"):
        read_audio(tmp_path / "nothing.wav")


@pytest.mark.parametrize(
    ("source", "target"), [(48000, 44100), (44100, 48000), (48000, 16000), (16000, 44100)]
)
@pytest.mark.parametrize("length", [1, 7, 4801])
def test_resampled_length_is_exact(source: int, target: int, length: int) -> None:
    assert resample(np.zeros((4, length), np.float32), source, target).shape == (
        4,
        round(length * target / source),
    )


def test_resampling_keeps_a_tone() -> None:
    def tone(rate_hz: int) -> np.ndarray:
        return np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)[None].astype(np.float32)

    difference = resample(tone(48000), 48000, 44100) - tone(44100)
    assert np.abs(difference[:, 500:-500]).max() < 1e-4


def test_fit_length_cuts_or_pads() -> None:
    samples = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(fit_length(samples, 2), samples[:, :2])
    np.testing.assert_array_equal(fit_length(samples, 5)[:, 3:], 0)
    with pytest.raises(ValueError, match="length is -1"):
        fit_length(samples, -1)


def test_sound_of_real_files() -> None:
    data = shared_data()
    assert read_audio(data / "video" / "friday.mp4").layout == "stereo"
    assert read_audio(data / "foa" / "HOA3_rec1_foa_ambix_sn3d.flac").layout == "foa"
    with pytest.raises(MediaError, match="has no sound"):
        read_audio(data / "video" / "bottle-detection.mp4")
