import gc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from spatialfoley.media.errors import MediaError
from spatialfoley.media.frame_sources import FileSource
from spatialfoley.media.mux import write_frames
from spatialfoley.media.video import Video, read_video
from tests.media.clips import constant_clip, make_clip, number_of, numbered_frame, shared_data, sound_only

RATES = [
    Fraction(12),
    Fraction(16),
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30),
    Fraction(60),
]
VARIABLE_MS = [0, 40, 50, 200, 210, 500, 533, 566, 1000, 1010, 1020, 1400]


def numbers(frames: np.ndarray) -> list[int]:
    return [number_of(frame) for frame in frames]


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_constant_rate_gives_the_frame_on_screen(tmp_path: Path, rate: Fraction) -> None:
    count = 40
    video = read_video(constant_clip(tmp_path / "a.mp4", rate, count, b_frames=2))
    assert video.frame_count == count
    assert video.average_rate_hz == pytest.approx(float(rate), rel=1e-6)
    assert video.duration_s == pytest.approx(float(count / rate), abs=1e-6)
    # At the very stamp of each frame, computed in floating point as callers do, and just before the next.
    at_stamp = np.arange(count) / float(rate)
    assert numbers(video.frames_at(at_stamp, crop=None)) == list(range(count))
    assert numbers(video.frames_at(at_stamp + 0.9 / float(rate), crop=None)) == list(range(count))
    four_hz = np.arange(int(video.duration_s * 4)) / 4
    assert numbers(video.frames_at(four_hz, 32, None)) == [
        int(Fraction(k, 4) * rate) for k in range(len(four_hz))
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_variable_rate_goes_by_time_stamps(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / f"v{suffix}", VARIABLE_MS, Fraction(1, 1000), b_frames=1, last_ticks=100)
    video = read_video(clip)
    times = np.arange(0, 1.4, 0.013)
    expected = [int(np.searchsorted(VARIABLE_MS, 1000 * t + 1e-6, side="right")) - 1 for t in times]
    assert numbers(video.frames_at(times, crop=None)) == expected
    np.testing.assert_allclose(video.frame_times_s(), np.array(VARIABLE_MS) / 1000, atol=1e-6)
    if suffix != ".mkv":  # Matroska does not store how long the last frame lasts
        assert video.duration_s == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_frame_times_of_a_part_are_those_of_the_whole(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    clip = constant_clip(tmp_path / f"a{suffix}", 20, 240, codec=codec)
    for start_s in (0.0, 1.5):
        video = read_video(clip, start_s=start_s)
        whole = video.frame_times_s()
        for from_s, to_s in ((0.0, 2.0), (4.97, 7.03), (9.0, 20.0)):
            part = video.frame_times_s(from_s, to_s)
            expected = whole[(whole > from_s - 0.05 + 1e-6) & (whole < to_s - 1e-6)]
            np.testing.assert_allclose(part, expected, atol=1e-9)
            assert part[0] <= from_s + video.tolerance_s


def test_a_video_read_window_by_window_is_decoded_twice_whatever_its_key_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key frame in all: entered anew, each window would cost as much as all before it."""
    clip = constant_clip(tmp_path / "a.mp4", 20, 250, key_every=100_000)
    decoded: list[float] = []
    timed = FileSource._timed

    def counted(source: FileSource, frames: Iterator[VideoFrame]) -> Iterator[tuple[float, VideoFrame]]:
        for time_s, frame in timed(source, frames):
            decoded.append(time_s)
            yield time_s, frame

    monkeypatch.setattr(FileSource, "_timed", counted)
    video = read_video(clip)
    windows = [start_s + np.arange(20) / 10 for start_s in np.arange(0.0, 10.4, 1.6)]
    expected = [numbers(video.frames_at(times, crop=None)) for times in windows]
    entered_anew = len(decoded)
    decoded.clear()
    walked = video.walked(2)
    assert [numbers(walked.frames_at(times, crop=None)) for times in windows] == expected
    assert len(decoded) <= 2 * 250 < entered_anew / 1.5


def test_a_walked_video_may_be_read_in_any_order(tmp_path: Path) -> None:
    video = read_video(constant_clip(tmp_path / "a.mp4", 20, 250), start_s=0.3)
    walked = video.walked(3)
    generator = np.random.default_rng(0)
    for _ in range(40):
        times = generator.uniform(0, 11.5) + np.sort(generator.uniform(0, 0.5, 3))
        assert numbers(walked.frames_at(times, crop=None)) == numbers(video.frames_at(times, crop=None))
    assert walked.frame_times_s().tolist() == video.frame_times_s().tolist()
    frames = [number_of(frame) for _, frame in walked.iterate_frames()]
    assert frames == [number_of(frame) for _, frame in video.iterate_frames()]


def test_times_in_any_order_and_twice(tmp_path: Path) -> None:
    video = read_video(constant_clip(tmp_path / "a.mp4", 25, 30))
    assert numbers(video.frames_at([1.0, 0.0, 0.52, 0.52, 1.16], crop=None)) == [25, 0, 13, 13, 29]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx-vp9"),
        ("12:30 a.mp4", "libx264"),
    ],
)
def test_window_is_relative_to_its_start(tmp_path: Path, name: str, codec: str) -> None:
    clip = constant_clip(tmp_path / name, 20, 60, b_frames=2 if codec == "libx264" else 0, codec=codec)
    video = read_video(clip, start_s=1.22, duration_s=0.5)
    assert numbers(video.frames_at([0.0, 0.04, 0.49], crop=None)) == [24, 25, 34]
    assert video.frame_count == 11
    shown = list(video.iterate_frames())
    assert [number_of(frame) for _, frame in shown] == list(range(24, 35))
    assert shown[0][0] == 0.0
    assert shown[1][0] == pytest.approx(0.03, abs=1e-4)


def test_three_frames(tmp_path: Path) -> None:
    video = read_video(constant_clip(tmp_path / "a.mp4", 30, 3))
    assert video.duration_s == pytest.approx(0.1, abs=1e-6)
    assert numbers(video.frames_at([0.0, 0.05, 0.0999], crop=None)) == [0, 1, 2]


def test_picture_length_counts_not_the_sound(tmp_path: Path) -> None:
    video = read_video(constant_clip(tmp_path / "a.mp4", 25, 25, sound_s=3.0))
    assert video.duration_s == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_display_matrix_turns_the_picture_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    video = read_video(constant_clip(tmp_path / "a.mov", 25, 18, rotation=rotation))
    frame = video.frames_at([17 / 25], crop=None)[0]
    expected = np.rot90(numbered_frame(17), turns)
    assert (video.height, video.width) == expected.shape[:2] == frame.shape[:2]
    assert np.abs(frame.astype(int) - expected).mean() < 3


def test_odd_sizes_resize_and_crop(tmp_path: Path) -> None:
    clip = constant_clip(tmp_path / "a.mkv", 10, 12, size=(51, 33), codec="ffv1")
    video = read_video(clip)
    assert (video.width, video.height) == (51, 33)
    assert video.frames_at([0.5]).shape == (1, 33, 33, 3)
    assert video.frames_at([0.5], 224).shape == (1, 224, 224, 3)
    assert video.frames_at([0.5], (20, 30), None).shape == (1, 20, 30, 3)


def test_center_square_keeps_the_middle() -> None:
    frame = np.zeros((1, 40, 80, 3), np.uint8)
    frame[:, :, 20:60] = 200  # exactly the middle square
    video = Video.from_frames(frame, 1.0)
    assert (video.frames_at([0.0], 20)[0] > 190).all()
    assert video.frames_at([0.0], (20, 40), None)[0, :, :8].max() < 10


def test_frames_in_memory_come_back_unchanged() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 20, 30, 3), dtype=np.uint8)
    video = Video.from_frames(frames, 10.0)
    assert (video.frame_count, video.duration_s, video.path) == (7, 0.7, None)
    np.testing.assert_array_equal(video.frames_at([0.0, 0.35, 0.69], crop=None), frames[[0, 3, 6]])
    np.testing.assert_array_equal(np.stack([frame for _, frame in video.iterate_frames()]), frames)


def test_bad_arguments_name_value_and_limit(tmp_path: Path) -> None:
    clip = constant_clip(tmp_path / "a.mp4", 10, 10)
    video = read_video(clip)
    with pytest.raises(ValueError, match=r"times_s has 1\.5 s, outside \[0, 1\] s of .*ask for times inside"):
        video.frames_at([0.1, 1.5])
    with pytest.raises(ValueError, match=r"size_px is \(10, 20\) but crop is 'center-square'"):
        video.frames_at([0.1], (10, 20))
    with pytest.raises(ValueError, match="size_px is 0; give sides of at least 1 pixel"):
        video.frames_at([0.1], 0)
    with pytest.raises(ValueError, match="times_s is empty"):
        video.frames_at([])
    with pytest.raises(MediaError, match=r"start_s is 2 s but the picture of .*a\.mp4 lasts 1\.000 s"):
        read_video(clip, 2.0)
    with pytest.raises(MediaError, match=r"beyond the end of .*ask for at most 0\.500 s"):
        read_video(clip, 0.5, 0.6)
    with pytest.raises(MediaError, match="start_s is -1"):
        read_video(clip, -1.0)
    with pytest.raises(MediaError, match="duration_s is 0"):
        read_video(clip, 0.0, 0.0)
    with pytest.raises(ValueError, match="give uint8"):
        Video.from_frames(np.zeros((3, 4, 4), np.uint8), 10.0)


def test_unusable_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.mp4").write_text("dear reader\n" * 100)
    (tmp_path / "letter.txt").write_text("dear reader\n" * 100)
    cases = {
        tmp_path / "none.mp4": "does not exist; check the path",
        tmp_path / "empty.mp4": r"is empty \(0 bytes\)",
        tmp_path / "letter.mp4": "is not a media file",
        tmp_path / "letter.txt": "is (not a media file|a text file)",
        tmp_path: "is a folder; give the path of a media file",
        sound_only(tmp_path / "sound.mp4"): "has no picture, only audio",
    }
    for path, message in cases.items():
        with pytest.raises(MediaError, match=message) as caught:
            read_video(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}], ids=["index-last", "index-first"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_truncated_mp4_is_refused(tmp_path: Path, options: dict[str, str], kept: float) -> None:
    whole = constant_clip(tmp_path / "w.mp4", 25, 100, container_options=options).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(
        MediaError, match=r"cut\.mp4 (is truncated|is not a media file that can be opened, or it is)"
    ):
        read_video(cut)


def test_truncated_matroska_is_refused(tmp_path: Path) -> None:
    whole = constant_clip(tmp_path / "w.mkv", 25, 200).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        MediaError, match=r"cut\.mkv is truncated: its header promises 8\.00 s but the data end at"
    ):
        read_video(tmp_path / "cut.mkv")


def test_every_shared_video_with_a_picture_opens_and_the_rest_is_refused() -> None:
    data = shared_data()
    seen = 0
    for path in sorted([*data.glob("video/*.mp4"), *data.glob("video360/*")]):
        if path.suffix == ".jpg" or path.stem == "richoh1_0_1":
            with pytest.raises(MediaError, match=r"has no picture|is a still picture"):
                read_video(path)
            continue
        video = read_video(path)
        frames = video.frames_at([0.0, min(1.0, video.duration_s)], 64)
        assert frames.shape == (2, 64, 64, 3)
        assert video.duration_s * video.average_rate_hz == pytest.approx(video.frame_count, abs=1.01)
        seen += 1
    assert seen >= 9


def test_frames_are_let_go_without_the_garbage_collector(tmp_path: Path) -> None:
    """Each holds megabytes; a cycle that waits for the collector costs gigabytes with panoramas."""
    path = tmp_path / "long.mp4"
    write_frames(path, (np.full((32, 64, 3), number, np.uint8) for number in range(100)), 25.0)
    gc.collect()
    gc.disable()
    try:
        for _ in read_video(path).iterate_frames((16, 32)):
            pass
        held = sum(isinstance(thing, VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert held <= 12
