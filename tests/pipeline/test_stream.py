from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
import torch

from spatialfoley.pipeline.stream import Carry, Window, state_path, stream_sound
from spatialfoley.pipeline.windows import plan_windows


class KilledError(Exception):
    pass


class RandomWalk:
    """A maker whose every window hangs on the one before, and that can be killed."""

    layout: Literal["mono", "binaural", "foa"] = "binaural"
    rate_hz = 1000

    def __init__(self, seconds: float = 20.0, dies_at: int | None = None) -> None:
        self.plan = plan_windows(round(seconds * self.rate_hz), self.rate_hz, 5.0, 1.0, 10)
        self.dies_at = dies_at
        self.made: list[int] = []

    def make(self, window: Window, carry: Carry | None) -> tuple[np.ndarray, Carry]:
        if window.index == self.dies_at:
            raise KilledError
        self.made.append(window.index)
        known = torch.zeros(2, 0) if carry is None else carry["end"]
        generator = torch.Generator().manual_seed(window.index)
        fresh = torch.randn(2, self.plan.window_samples - known.shape[1], generator=generator)
        begin = known[:, -1:] if known.shape[1] else torch.zeros(2, 1)
        wave = torch.cat([known, begin + torch.cumsum(fresh, 1)], dim=1)
        shared = self.plan.shared_with_next(window.index)
        return wave[:, : window.length].numpy(), {} if window.last else {"end": wave[:, -shared:]}


def test_the_file_is_the_sound_to_the_sample(tmp_path: Path) -> None:
    path, fractions = tmp_path / "sound.wav", []
    maker = RandomWalk()
    assert stream_sound(maker, path, "x", fractions.append) == 0
    samples, rate_hz = soundfile.read(path, always_2d=True, dtype="float32")
    assert (samples.shape, rate_hz) == ((20_000, 2), 1000)
    assert fractions == [(k + 1) / 5 for k in range(5)]
    # Continued windows are one walk: no step is larger than those of its noise.
    assert np.abs(np.diff(samples, axis=0)).max() < 6


@pytest.mark.parametrize("dies_at", [0, 1, 3, 4])
def test_a_killed_run_goes_on_and_has_the_same_bytes(tmp_path: Path, dies_at: int) -> None:
    stream_sound(RandomWalk(), tmp_path / "whole.wav", "x")
    path = tmp_path / "sound.wav"
    with pytest.raises(KilledError):
        stream_sound(RandomWalk(dies_at=dies_at), path, "x")
    # What a kill leaves behind the last state does not count.
    with path.open("ab") as file:
        file.write(b"half a window")
    again = RandomWalk()
    assert stream_sound(again, path, "x") == dies_at
    assert again.made == list(range(dies_at, 5))
    assert path.read_bytes() == (tmp_path / "whole.wav").read_bytes()


def test_a_finished_run_makes_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    stream_sound(RandomWalk(), path, "x")
    before, again = path.read_bytes(), RandomWalk()
    assert stream_sound(again, path, "x") == 5
    assert again.made == []
    assert path.read_bytes() == before


def test_another_request_another_length_or_lost_sound_start_anew(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    stream_sound(RandomWalk(), path, "x")
    assert stream_sound(RandomWalk(), path, "y") == 0
    assert stream_sound(RandomWalk(21.0), path, "y") == 0
    path.write_bytes(path.read_bytes()[:1000])
    assert stream_sound(RandomWalk(21.0), path, "y") == 0
    path.unlink()
    assert stream_sound(RandomWalk(21.0), path, "y") == 0
    state_path(path).write_bytes(b"rubbish")
    assert stream_sound(RandomWalk(21.0), path, "y") == 0
    assert soundfile.info(path).frames == 21_000


def test_a_window_that_is_not_finite_is_refused_and_what_is_finished_kept(tmp_path: Path) -> None:
    class Broken(RandomWalk):
        def make(self, window: Window, carry: Carry | None) -> tuple[np.ndarray, Carry]:
            wave, end = super().make(window, carry)
            return (wave * np.nan if window.index == 2 else wave), end

    path = tmp_path / "sound.wav"
    with pytest.raises(ValueError, match="audio has 10000 NaN or infinite samples"):
        stream_sound(Broken(), path, "x")
    assert stream_sound(RandomWalk(), path, "x") == 2
