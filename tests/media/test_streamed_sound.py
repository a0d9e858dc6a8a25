"""Sound tracks of any container, block by block: order, place, length, and what is wrong with bad ones."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.media.errors import MediaError
from spatialfoley.media.streamed_sound import StreamedSound, open_sound
from tests.media.clips import shared_data
from tests.media.tracks import RATE_HZ, field, order, write_track

FAMILY_2 = {"mapping_family": "2"}


def opened(path: Path) -> StreamedSound:
    sound = open_sound(path, (4, 6))
    assert sound is not None
    return sound


def read(path: Path, **places: float) -> np.ndarray:
    return np.concatenate(list(opened(path).blocks(1000, **places)), axis=1)


@pytest.mark.parametrize(
    ("name", "codec", "layout", "channels", "options"),
    [
        ("a.mp4", "libopus", "ambisonic 1", 4, FAMILY_2),
        ("a.webm", "libopus", "ambisonic 1", 4, FAMILY_2),
        ("a.ogg", "libopus", "ambisonic 1", 4, FAMILY_2),
        ("a.mp4", "libopus", "ambisonic 1+stereo", 6, FAMILY_2),
        ("a.mp4", "aac", "4.0", 4, {}),
        ("a.m4a", "aac", "quad", 4, {}),
        ("a.mov", "pcm_s24le", "ambisonic 1", 4, {}),
        ("a.mov", "pcm_s24le", "5.1", 6, {}),
        ("a.flac", "flac", "4.0", 4, {}),
        ("a.mkv", "flac", "5.1", 6, {}),
    ],
)
def test_channels_come_in_their_order_and_length(
    tmp_path: Path, name: str, codec: str, layout: str, channels: int, options: dict[str, str]
) -> None:
    samples = field(channels)
    path = write_track(tmp_path / name, samples, codec, layout, options=options)
    found = read(path)
    assert found.shape == samples.shape
    assert order(samples, found) == list(range(channels))


def test_the_sound_is_put_where_the_picture_is(tmp_path: Path) -> None:
    samples = field()
    path = write_track(tmp_path / "late.mkv", samples, "pcm_s24le", "ambisonic 1", picture_s=1.0, late_s=0.25)
    shift = round(0.25 * RATE_HZ)
    late = read(path, origin_s=0.0)
    assert not late[:, :shift].any()
    np.testing.assert_allclose(late[:, shift:], samples, atol=2e-7)
    early = read(path, origin_s=0.35)
    np.testing.assert_allclose(early, samples[:, round(0.1 * RATE_HZ) :], atol=2e-7)
    assert read(path).shape == samples.shape


def test_holes_are_silence_up_to_the_length_that_makes_sense(tmp_path: Path) -> None:
    samples = field()
    path = write_track(
        tmp_path / "hole.mkv", samples, "pcm_s24le", "ambisonic 1", picture_s=2.0, hole=(9600, 1.0)
    )
    found = read(path, origin_s=0.0)
    assert found.shape[1] == samples.shape[1] + RATE_HZ
    assert not found[:, 9600 : 9600 + RATE_HZ].any()
    np.testing.assert_allclose(found[:, 9600 + RATE_HZ :], samples[:, 9600:], atol=2e-7)
    assert read(path, origin_s=0.0, longest_s=0.6).shape[1] == round(0.6 * RATE_HZ) + samples.shape[1] - 9600


def test_the_wanted_track_of_several_is_taken_and_none_is_none(tmp_path: Path) -> None:
    clip = write_track(tmp_path / "a.mkv", field(4), "pcm_s24le", "ambisonic 1", picture_s=0.5)
    assert opened(clip).stream == 1
    silent = shared_data() / "video360" / "testRoom1_1920Mono.mp4"
    assert open_sound(silent) is None


def test_eight_channels_of_vorbis_keep_the_order_that_ffmpeg_changes() -> None:
    folder = shared_data() / "foa"
    field8 = read(folder / "HOA3_rec1_01-08ch.ogg")
    field4 = read(folder / "HOA3_rec1_foa_ambix_sn3d.flac")
    np.testing.assert_allclose(field8[0], field4[0], atol=2e-4)
    np.testing.assert_allclose(field8[1:4] / np.sqrt(3), field4[1:], atol=2e-4)


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.mp4", "aac"), ("a.mov", "pcm_s24le")])
def test_what_is_cut_off_is_said(tmp_path: Path, name: str, codec: str) -> None:
    """The header comes first and states the whole length; half of the sound is missing, as after a download."""
    whole = write_track(tmp_path / f"whole-{name}", field(seconds=3.0), codec, "4.0")
    data = whole.read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=r"cannot be decoded to its end|it is cut off; copy it again"):
        read(tmp_path / name)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    samples = field()
    samples[2, 700] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples.T, RATE_HZ, subtype="FLOAT")
    with pytest.raises(MediaError, match="holds samples that are not finite"):
        read(tmp_path / "nan.wav")
