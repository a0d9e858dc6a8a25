from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.container import DECODE_THREADS, open_media, picture_stream
from spatialfoley.media.video import read_video
from tests.media.clips import constant_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return constant_clip(tmp_path / "a.mp4", 25, 40, b_frames=2)


@pytest.mark.parametrize(("said", "threads"), [(None, 0), ("", 0), ("1", 1), ("3", 3)])
def test_the_environment_says_how_many_threads_decode(
    clip: Path, said: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DECODE_THREADS, raising=False)
    if said is not None:
        monkeypatch.setenv(DECODE_THREADS, said)
    with closing(open_media(clip)) as container:
        assert picture_stream(container, clip).codec_context.thread_count == threads


def test_threads_change_no_frame(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times_s = np.arange(0.31, 1.6, 0.04)
    found = []
    for threads in ("0", "1", "3"):
        monkeypatch.setenv(DECODE_THREADS, threads)
        video = read_video(clip)
        found.append((video.frames_at(times_s, crop=None), video.duration_s, video.frame_count))
    for frames, duration_s, count in found[1:]:
        np.testing.assert_array_equal(frames, found[0][0])
        assert (duration_s, count) == found[0][1:]


def test_a_number_of_threads_that_is_none_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DECODE_THREADS, "many")
    with pytest.raises(
        ValueError, match="SPATIALFOLEY_DECODE_THREADS is 'many'; give a number of threads, or 0"
    ):
        read_video(clip)
