import numpy as np
import pytest
import soundfile

from spatialfoley.media.audio import read_audio, resample, write_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_file import SoundFile, resampled_blocks
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, SpatialAudio, rechunked


def written(folder, layout="foa", count=1000, rate_hz=16000, subtype="FLOAT"):
    samples = 0.2 * np.random.default_rng(1).standard_normal((LAYOUT_CHANNELS[layout], count))
    audio = SpatialAudio(samples.clip(-1, 1), rate_hz, layout)
    write_audio(folder / f"{layout}.wav", audio, subtype)
    return folder / f"{layout}.wav", audio


@pytest.mark.parametrize("layout", ["mono", "stereo", "binaural", "foa", "7.1.4"])
def test_file_knows_what_it_holds(tmp_path, layout):
    path, audio = written(tmp_path, layout)
    sound = SoundFile.open(path)
    assert (sound.rate_hz, sound.layout, sound.frames) == (16000, layout, 1000)
    assert sound.duration_s == audio.duration_s


@pytest.mark.parametrize("length", [1, 7, 999, 1000, 5000])
def test_blocks_together_are_the_sound_of_every_pass(tmp_path, length):
    path, audio = written(tmp_path)
    sound = SoundFile.open(path)
    for _ in range(2):
        blocks = list(sound.blocks(length))
        assert [block.shape[1] for block in blocks[:-1]] == [length] * (len(blocks) - 1)
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), audio.samples)


def test_sound_in_memory_offers_the_same_blocks(tmp_path):
    path, audio = written(tmp_path)
    for held, read in zip(audio.blocks(300), SoundFile.open(path).blocks(300), strict=True):
        np.testing.assert_array_equal(held, read)
    assert audio.frames == SoundFile.open(path).frames


def test_gain_is_applied_when_reading(tmp_path):
    path, audio = written(tmp_path)
    quieter = SoundFile.open(path).scaled(0.5).scaled(0.5)
    np.testing.assert_array_equal(quieter.read(10, 20), audio.samples[:, 10:30] * np.float32(0.25))


def test_part_of_a_file(tmp_path):
    path, audio = written(tmp_path)
    sound = SoundFile.open(path)
    np.testing.assert_array_equal(sound.read(990, 10), audio.samples[:, 990:])
    assert sound.read(1000, 0).shape == (4, 0)
    with pytest.raises(ValueError, match=r"samples 995 to 1005 of .*foa.wav are asked for; it has 1000"):
        sound.read(995, 10)


def test_24_bits_read_as_the_whole_file_does(tmp_path):
    path, _ = written(tmp_path, subtype="PCM_24")
    np.testing.assert_array_equal(
        np.concatenate(list(SoundFile.open(path).blocks(64)), axis=1), read_audio(path).samples
    )


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 48000), (44100, 48000), (48000, 16000), (8000, 8000)])
@pytest.mark.parametrize("length", [100, 4096])
def test_resampling_in_blocks_is_that_of_the_whole(from_hz, to_hz, length):
    audio = SpatialAudio(np.random.default_rng(2).standard_normal((4, 20011)), from_hz, "foa")
    whole = resample(audio.samples, from_hz, to_hz)
    blocks = resampled_blocks(audio.blocks(length), 4, from_hz, to_hz, whole.shape[1])
    np.testing.assert_allclose(np.concatenate(list(blocks), axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("frames", [500, 2000])
def test_resampling_cuts_or_fills_up(frames):
    audio = SpatialAudio(np.ones((2, 1000)), 8000, "stereo")
    made = np.concatenate(list(resampled_blocks(audio.blocks(300), 2, 8000, 8000, frames)), axis=1)
    assert made.shape == (2, frames)
    assert made[:, : min(frames, 1000)].all()
    assert not made[:, 1000:].any()


@pytest.mark.parametrize("length", [1, 64, 100, 101, 5000])
def test_blocks_of_another_length(length):
    samples = np.arange(2000, dtype=np.float32).reshape(2, 1000)
    ragged = np.split(samples, [1, 1, 200, 650, 990], axis=1)
    blocks = list(rechunked(ragged, length))
    assert all(block.shape[1] == length for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples)


def test_wrong_files_are_named(tmp_path):
    path, _ = written(tmp_path)
    with pytest.raises(MediaError, match=r"nothing.wav does not exist"):
        SoundFile.open(tmp_path / "nothing.wav")
    with pytest.raises(MediaError, match=r"foa.wav has 4 channels; give a file with 2 for binaural"):
        SoundFile.open(path, "binaural")
    soundfile.write(tmp_path / "three.wav", np.zeros((9, 3)), 16000)
    with pytest.raises(
        MediaError, match=r"three.wav has 3 channels; give a file with 1, 2, 4 \(AmbiX\), 6 or 12"
    ):
        SoundFile.open(tmp_path / "three.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 1)), 16000)
    with pytest.raises(MediaError, match=r"empty.wav holds no sound|empty.wav is not a media file"):
        SoundFile.open(tmp_path / "empty.wav")
    with pytest.raises(ValueError, match="length is 0"):
        next(SoundFile.open(path).blocks(0))


def test_file_that_changes_while_it_is_read_is_named(tmp_path):
    path, _ = written(tmp_path)
    sound = SoundFile.open(path)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(MediaError, match="ends at sample 750 of 1000"):
        list(sound.blocks(100))
    path.unlink()
    with pytest.raises(MediaError, match=r"foa.wav cannot be read any more"):
        next(sound.blocks())


def test_samples_that_are_not_finite_are_named(tmp_path):
    samples = np.zeros((900, 4), np.float32)
    samples[700, 2] = np.nan
    soundfile.write(tmp_path / "bad.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(MediaError, match="holds nan at channel 2, sample 700"):
        list(SoundFile.open(tmp_path / "bad.wav").blocks(64))
