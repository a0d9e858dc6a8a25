"""Recordings made bad on purpose are left out for the right reason, and good ones are kept.

One of each kind here; ten of each with benchmarks/screening_variants.py.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.screening.trial import Trial, put_ears_through
from spatialfoley.dataset.screening.variants import (
    COPIES,
    KINDS,
    SAME_EARS,
    Kind,
    Recording,
    copy_of,
    same_ears,
)
from tests.dataset.screening.recordings import microphone_recordings, room_recordings, world_recording
from tests.media.clips import shared_data


@pytest.fixture(scope="module")
def worlds() -> list[Recording]:
    return [world_recording(number, 4.0, 48) for number in range(4)]


@pytest.fixture(scope="module")
def real() -> list[Recording]:
    data = shared_data()
    found = [*microphone_recordings(data), *room_recordings(data, ("Rain", "Helicopter"))]
    return [replace(one, field=one.field[:, : 4 * one.rate_hz], frames=one.frames[:16]) for one in found]


def misjudged(good: list[Recording], folder: Path, kinds: dict[str, Kind]) -> list[str]:
    """Every kind, made from the recordings in turn: what was found instead of its reason."""
    wrong = []
    for number, (name, kind) in enumerate(kinds.items()):
        able = [one for one in good if one.exact or not kind.needs_exact]
        bad = kind.make(able[number % len(able)], np.random.default_rng(number), good)
        found = Trial(folder).put_through(bad)
        if found.reason != kind.reason:
            wrong.append(f"{name}, from {found.name}: {found.reason} {found.sentence}")
    return wrong


def test_bad_worlds_are_left_out_for_their_reason(worlds: list[Recording], tmp_path: Path) -> None:
    assert misjudged(worlds, tmp_path, KINDS) == []


def test_bad_variants_of_real_recordings_are_left_out_for_their_reason(
    real: list[Recording], tmp_path: Path
) -> None:
    proofs = (
        "mono",
        "stereo",
        "copied_channels",
        "no_field",
        "fuma_suspected",
        "n3d_suspected",
        "static_video",
    )
    kinds = {name: kind for name, kind in KINDS.items() if kind.reason in proofs}
    assert misjudged(real, tmp_path, kinds) == []


def test_good_worlds_are_kept_and_their_copies_are_not(worlds: list[Recording], tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    assert [trial.put_through(one).reason for one in worlds] == ["kept"] * len(worlds)
    for number, way in enumerate(COPIES):
        copied = copy_of(worlds[number], way)
        found = trial.put_through(copied)
        assert (found.reason, found.sentence) == ("duplicate", f"it is the same as {worlds[number].name}")
        assert dict(found.numbers)["shared_peaks"] >= 0.03


def test_good_real_recordings_are_kept_and_their_copies_are_not(
    real: list[Recording], tmp_path: Path
) -> None:
    trial = Trial(tmp_path)
    assert [trial.put_through(one).reason for one in real] == ["kept"] * len(real)
    assert trial.put_through(copy_of(real[0], "shorter")).reason == "duplicate"


def test_ears_that_hear_the_same_are_left_out(worlds: list[Recording], tmp_path: Path) -> None:
    found = put_ears_through(worlds[0], tmp_path)
    assert found["rendered"].reason == "kept"
    assert dict(found["rendered"].numbers)["left_right_distance"] > 0.01
    assert [found[way].reason for way in SAME_EARS] == ["same_ears"] * len(SAME_EARS)


def test_unknown_ways_are_refused(worlds: list[Recording]) -> None:
    with pytest.raises(
        ValueError, match="way is 'louder'; it must be one of quieter, shorter, turned, smaller"
    ):
        copy_of(worlds[0], "louder")
    with pytest.raises(ValueError, match="way is 'loud'; it must be one of equal, louder, hiss"):
        same_ears(np.zeros(9), "loud")
