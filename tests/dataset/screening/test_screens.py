"""Silence, clipping and still pictures: known answers on both sides of each limit."""

import numpy as np
import pytest

from spatialfoley.dataset.screening.clipping import ClippingLimits, ClippingMeter
from spatialfoley.dataset.screening.silence import SilenceLimits, SilenceMeter
from spatialfoley.dataset.screening.still_picture import StillLimits, change_mse, why_still

RATE_HZ = 48000


def tone(seconds: float, level: float, hertz: float = 440.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def silence_of(sound: np.ndarray, block: int = 10_000) -> SilenceMeter:
    meter = SilenceMeter(RATE_HZ)
    for start in range(0, sound.shape[1], block):
        meter.add(sound[:, start : start + block])
    return meter


def test_the_loudest_channel_decides_whether_a_chunk_is_silent() -> None:
    # 440 Hz of amplitude a has an RMS of a / √2: -35 dBFS at 0.0251.
    loud, quiet = tone(1.0, 0.027), tone(1.0, 0.023)
    assert silence_of(np.stack([quiet, loud])).numbers()["silent_share"] == 0
    assert silence_of(np.stack([quiet, quiet])).numbers()["silent_share"] == 1
    mostly = np.zeros((4, RATE_HZ))
    mostly[1, : RATE_HZ // 10] = tone(0.1, 0.5)
    assert silence_of(mostly).numbers()["silent_share"] == pytest.approx(0.9)
    assert silence_of(mostly).why_silent() is None
    mostly[1, RATE_HZ // 20 :] = 0
    outcome = silence_of(mostly).why_silent()
    assert outcome is not None
    assert (outcome.reason, outcome.sentence) == ("silent", "94.0 % of it is below -35 dBFS")
    assert outcome.numbers["loudest_dbfs"] == pytest.approx(-9.0, abs=0.1)


def test_blocks_of_any_length_give_the_same() -> None:
    sound = np.random.default_rng(0).standard_normal((4, RATE_HZ)) * np.linspace(0, 0.1, RATE_HZ)
    assert len({str(silence_of(sound, block).numbers()) for block in (37, 960, 5000, RATE_HZ)}) == 1


def test_zeros_and_dither_are_digital_silence() -> None:
    outcome = silence_of(np.full((4, RATE_HZ), 2.0**-15)).why_silent()
    assert outcome is not None
    assert (outcome.reason, outcome.sentence) == ("digital_silence", "there is nothing but zeros in it")


def clipping_of(sound: np.ndarray, gain: float = 1.0) -> ClippingMeter:
    meter = ClippingMeter(gain=gain)
    for start in range(0, sound.shape[1], 7000):
        meter.add(sound[:, start : start + 7000])
    return meter


def test_flat_tops_are_clipping_at_any_level_and_round_ones_are_not() -> None:
    noise = np.random.default_rng(1).standard_normal((1, RATE_HZ))
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.ones(8) / 8, "same"), 1, noise)
    assert clipping_of(0.2 * smooth / smooth.std() / 3).why_clipped() is None
    outcome = clipping_of(np.clip(0.3 * smooth / smooth.std(), -0.5, 0.5)).why_clipped()
    assert outcome is not None
    assert outcome.reason == "clipped"
    assert outcome.sentence.endswith("% of a channel lies on flat tops")
    assert 0.02 < outcome.numbers["flat_share"] < 0.1
    # The tops of a low tone are round, however broad; silence and steps near zero are flat, and no clipping.
    low = np.rint(tone(2.0, 0.9, 40.0)[None] * 32767) / 32768
    assert clipping_of(low).numbers()["flat_share"] == 0
    assert clipping_of(np.clip(low, -0.85, 0.85)).numbers()["flat_share"] > 0.1
    assert clipping_of(np.zeros((4, RATE_HZ))).why_clipped() is None


def test_full_scale_is_that_of_the_sound_before_it_was_turned_down() -> None:
    sound = np.random.default_rng(2).uniform(-1, 1, (4, RATE_HZ))
    outcome = clipping_of(0.5 * sound, gain=0.5).why_clipped()
    assert outcome is not None
    assert outcome.sentence == "5.23 % of a channel lies at full scale"
    assert outcome.numbers["peak"] == 1.0
    assert clipping_of(0.5 * sound).why_clipped() is None


def test_half_seconds_without_change_are_counted() -> None:
    chance = np.random.default_rng(0)
    first, second = chance.integers(0, 255, (2, 8, 16, 3), dtype=np.uint8)
    changes = change_mse(np.stack([first, first, second, second]))
    assert changes[0] == changes[2] == 0
    assert changes[1] > 1000
    gray_step = np.stack([np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 103, np.uint8)])
    assert change_mse(gray_step) == pytest.approx([9.0], rel=1e-5)
    assert why_still(np.array([0.0] * 17 + [9.0] * 3)) is None
    outcome = why_still(np.array([0.0] * 18 + [9.0] * 2))
    assert outcome is not None
    assert outcome.sentence == "in 90 % of its half seconds the picture changes by less than 5"
    assert outcome.numbers == {"still_share": 0.9, "median_mse": 0.0, "pairs": 20}
    assert why_still(np.zeros(0)) is None


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="quiet_dbfs is 3; it must be from -120 to 0 dBFS"):
        SilenceLimits(quiet_dbfs=3)
    with pytest.raises(ValueError, match="most_silent is 90; it is a share from 0 to 1"):
        SilenceLimits(most_silent=90)
    with pytest.raises(ValueError, match="most_flat is 0; it must be above 0 and at most 1"):
        ClippingLimits(most_flat=0)
    with pytest.raises(ValueError, match=r"most_still is 1\.5; it is a share from 0 to 1"):
        StillLimits(most_still=1.5)
