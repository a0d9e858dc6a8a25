from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from spatialfoley.media.audio import read_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.mux import Muxed, mux, write_frames
from spatialfoley.media.video import read_video
from spatialfoley.spatial.signal import Layout, SpatialAudio
from tests.media.clips import constant_clip, make_clip, number_of, numbered_frame, shared_data, sound_only


def noise(seconds: float, rate_hz: int = 48000, layout: Layout = "binaural") -> SpatialAudio:
    channels = {"mono": 1, "binaural": 2, "foa": 4}[layout]
    values = np.random.default_rng(3).uniform(-0.3, 0.3, (channels, round(seconds * rate_hz)))
    return SpatialAudio(values, rate_hz, layout)


def packet_bytes(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def stored_sound_length(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return round(stream.duration * stream.time_base * stream.rate)


def lag(sent: np.ndarray, received: np.ndarray) -> int:
    length = 2 * max(len(sent), len(received))
    product = np.fft.rfft(received, length) * np.fft.rfft(sent, length).conj()
    peak = int(np.argmax(np.fft.irfft(product, length)))
    return peak if peak < length // 2 else peak - length


def check(result: Muxed, source: Path, audio: SpatialAudio) -> None:
    before, after = read_video(source), read_video(result.path)
    assert result.frame_count == before.frame_count == after.frame_count
    np.testing.assert_allclose(after.frame_times_s(), before.frame_times_s(), atol=1e-3)
    assert after.duration_s == pytest.approx(before.duration_s, abs=1e-3)
    assert result.audio_samples == round(before.duration_s * result.audio_rate_hz)
    sound = read_audio(result.path)
    assert sound.samples.shape[1] == result.audio_samples
    if audio.rate_hz == sound.rate_hz:
        assert lag(audio.samples[0, : result.audio_samples], sound.samples[0]) == 0


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.7], ids=["short-sound", "about-right", "long-sound"])
def test_sound_ends_with_the_picture_to_the_sample(tmp_path: Path, codec: str, seconds: float) -> None:
    source = constant_clip(tmp_path / "a.mp4", Fraction(24000, 1001), 25, b_frames=2, sound_s=2.0)
    audio = noise(seconds)
    result = mux(source, audio, tmp_path / "out.mp4", codec=codec)  # type: ignore[arg-type]
    check(result, source, audio)
    assert stored_sound_length(result.path) == result.audio_samples
    assert result.picture_copied
    assert packet_bytes(result.path) == packet_bytes(source)
    with av.open(str(result.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("rate", [12, 16, 25, 30, 60])
def test_every_rate_and_44100_hz(tmp_path: Path, rate: int) -> None:
    source = constant_clip(tmp_path / "a.mp4", rate, 17)
    audio = noise(17 / rate, 44100)
    result = mux(source, audio, tmp_path / "out.mp4")
    check(result, source, audio)
    assert result.audio_rate_hz == 44100


@pytest.mark.parametrize(
    ("name", "codec", "out"),
    [
        ("a.mov", "libx264", "o.mp4"),
        ("a.mkv", "libx264", "o.mp4"),
        ("a.ts", "libx264", "o.mp4"),
        ("a.mkv", "libx265", "o.mp4"),
        ("a.webm", "libvpx-vp9", "o.mp4"),
        ("a.webm", "libvpx", "o.mkv"),
        ("a.mkv", "ffv1", "o.mkv"),
        ("a.avi", "mpeg4", "o.mp4"),
    ],
)
def test_containers_and_codecs(tmp_path: Path, name: str, codec: str, out: str) -> None:
    source = constant_clip(tmp_path / name, 25, 20, codec=codec)
    audio = noise(0.8)
    result = mux(source, audio, tmp_path / "o.mp4")
    assert result.path.name == out
    check(result, source, audio)
    assert result.picture_copied
    frames = read_video(result.path).frames_at(np.arange(20) / 25, crop=None)
    assert [number_of(frame) for frame in frames] == list(range(20))
    if codec == "libx265":
        assert b"hvc1" in result.path.read_bytes()


def test_variable_rate_and_rotation_survive(tmp_path: Path) -> None:
    ticks = [0, 40, 50, 200, 210, 500, 533, 566, 1000, 1010]
    source = make_clip(tmp_path / "a.mov", ticks, Fraction(1, 1000), rotation=-90, b_frames=1, last_ticks=90)
    audio = noise(1.1)
    result = mux(source, audio, tmp_path / "o.mp4")
    check(result, source, audio)
    before, after = read_video(source), read_video(result.path)
    assert (after.width, after.height) == (before.width, before.height) == (64, 96)
    np.testing.assert_array_equal(after.frames_at([0.45], crop=None), before.frames_at([0.45], crop=None))


def test_cut_at_a_key_frame_copies(tmp_path: Path) -> None:
    source = constant_clip(tmp_path / "a.mp4", 24, 60, key_every=12)
    result = mux(source, noise(1.0), tmp_path / "o.mp4", 0.5, 1.0)
    assert result.picture_copied
    assert (result.frame_count, result.audio_samples) == (24, 48000)
    frames = read_video(result.path).frames_at(np.arange(24) / 24, crop=None)
    assert [number_of(frame) for frame in frames] == list(range(12, 36))


def test_asking_for_the_whole_length_is_no_cut(tmp_path: Path) -> None:
    source = constant_clip(tmp_path / "a.mp4", Fraction(30000, 1001), 40, b_frames=2)
    audio = noise(2.0)
    result = mux(source, audio, tmp_path / "o.mp4", 0.0, read_video(source).duration_s)
    assert result.picture_copied
    check(result, source, audio)


@pytest.mark.parametrize(("start_s", "b_frames"), [(0.75, 0), (0.5, 2), (0.76, 2)])
def test_other_cuts_reencode_and_say_so(tmp_path: Path, start_s: float, b_frames: int) -> None:
    source = constant_clip(tmp_path / "a.mp4", 24, 60, key_every=12, b_frames=b_frames)
    duration_s = 0.77
    result = mux(source, noise(duration_s), tmp_path / "o.mp4", start_s, duration_s)
    asked, got = read_video(source, start_s, duration_s), read_video(result.path)
    assert result.frame_count == asked.frame_count == got.frame_count
    assert got.duration_s == pytest.approx(duration_s, abs=1e-4)
    assert stored_sound_length(result.path) == round(duration_s * 48000)
    times = np.linspace(0, duration_s - 0.01, 30)
    shown = [[number_of(frame) for frame in video.frames_at(times, crop=None)] for video in (asked, got)]
    assert shown[0] == shown[1]
    if start_s != 0.5:
        assert not result.picture_copied


def test_ambisonic_sound_in_mp4(tmp_path: Path) -> None:
    source = constant_clip(tmp_path / "a.mp4", 25, 25)
    audio = noise(1.0, layout="foa")
    result = mux(source, audio, tmp_path / "o.mp4", ambisonic=True)
    data = result.path.read_bytes()
    box = data[data.index(b"SA3D") - 4 :][:36]
    assert box == bytes.fromhex("0000002453413344000000000001000000000004") + bytes.fromhex(
        "00000000000000010000000200000003"
    )
    with av.open(str(result.path)) as container:
        assert container.streams.audio[0].layout.name == "ambisonic 1"
    back = read_audio(result.path)
    assert (back.layout, back.samples.shape) == ("foa", (4, 48000))
    for channel in range(4):  # the order of the channels is kept
        correlation = [np.corrcoef(back.samples[channel], audio.samples[other])[0, 1] for other in range(4)]
        assert int(np.argmax(correlation)) == channel
        assert correlation[channel] > 0.8


def test_refusals_leave_nothing_behind(tmp_path: Path) -> None:
    source = constant_clip(tmp_path / "a.mp4", 25, 25)
    with pytest.raises(ValueError, match=r"layout 'foa', which players send to the wrong loudspeakers"):
        mux(source, noise(1.0, layout="foa"), tmp_path / "o.mp4")
    with pytest.raises(ValueError, match="ambisonic=True needs 'foa'"):
        mux(source, noise(1.0), tmp_path / "o.mp4", ambisonic=True)
    with pytest.raises(MediaError, match=r"o\.avi: the name must end in \.mp4 or \.mkv"):
        mux(source, noise(1.0), tmp_path / "o.avi")
    with pytest.raises(MediaError, match="has no picture, only audio"):
        mux(sound_only(tmp_path / "s.mp4"), noise(1.0), tmp_path / "o.mp4")
    loud = noise(1.0)
    loud.samples[0, 5] = 2.0
    with pytest.raises(ValueError, match=r"audio has a peak of 2\.0000"):
        mux(source, loud, tmp_path / "o.mp4")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "s.mp4"]


@pytest.mark.parametrize("rate", [12.0, 24000 / 1001, 30.0])
def test_written_frames_come_back(tmp_path: Path, rate: float) -> None:
    frames = [numbered_frame(index, 51, 33) for index in range(20)]
    count = write_frames(tmp_path / "w.mp4", iter(frames), rate, noise(5.0), crf=10)
    video = read_video(tmp_path / "w.mp4")
    assert count == video.frame_count == 20
    assert (video.width, video.height) == (52, 34)  # H.264 needs even sides
    assert video.duration_s == pytest.approx(20 / rate, abs=2e-5)
    assert [number_of(frame) for frame in video.frames_at(np.arange(20) / rate, crop=None)] == list(range(20))
    assert stored_sound_length(tmp_path / "w.mp4") == round(20 / rate * 48000)


def test_colours_survive_writing_and_reading(tmp_path: Path) -> None:
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [120, 120, 120]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 32, axis=1), 32, axis=0)
    write_frames(tmp_path / "w.mp4", [frame] * 3, 25, crf=5)
    shown = read_video(tmp_path / "w.mp4").frames_at([0.0], crop=None)[0]
    assert np.abs(shown[16, 16::32].astype(int) - colours).max() <= 6


def test_frames_at_given_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.55]
    write_frames(tmp_path / "w.mp4", [numbered_frame(i) for i in range(4)], times_s=times, duration_s=1.3)
    video = read_video(tmp_path / "w.mp4")
    np.testing.assert_allclose(video.frame_times_s(), times, atol=2e-5)
    assert video.duration_s == pytest.approx(1.3, abs=2e-5)


def test_write_frames_refuses_bad_input(tmp_path: Path) -> None:
    good = numbered_frame(0)
    target = tmp_path / "w.mp4"
    with pytest.raises(ValueError, match="frames is empty"):
        write_frames(target, [], 25)
    with pytest.raises(ValueError, match="give frames of one size"):
        write_frames(target, [good, good[:-2]], 25)
    with pytest.raises(ValueError, match="times must ascend"):
        write_frames(target, [good, good], times_s=[0.5, 0.5])
    with pytest.raises(ValueError, match="either rate_hz or times_s"):
        write_frames(target, [good])
    with pytest.raises(ValueError, match="rate_hz is 0"):
        write_frames(target, [good], 0)
    with pytest.raises(ValueError, match="crf is 99"):
        write_frames(target, [good], 25, crf=99)
    with pytest.raises(ValueError, match="give uint8"):
        write_frames(target, [good / 255], 25)
    assert list(tmp_path.iterdir()) == []


def test_real_videos_keep_every_frame(tmp_path: Path) -> None:
    data = shared_data()
    for name in (
        "video/stream-of-water.mp4",
        "video/nasa_13013.mp4",
        "video/friday.mp4",
        "video360/richoh1_0_3.mp4",
    ):
        audio = noise(2.0)
        result = mux(data / name, audio, tmp_path / "o.mp4")
        assert result.picture_copied, name
        check(result, data / name, noise(0.0, 44100))
