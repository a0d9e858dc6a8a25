"""Recordings known again, and others not taken for them."""

import numpy as np
import pytest

from spatialfoley.dataset.screening.fingerprints import (
    Fingerprint,
    FingerprintIndex,
    SoundSketch,
    picture_hash,
    pictures_distance,
    sounds_likeness,
)


def sketch_of(sound: np.ndarray, rate_hz: int = 16000) -> tuple[int, ...]:
    sketch = SoundSketch(rate_hz)
    for start in range(0, len(sound), rate_hz):
        sketch.add(sound[start : start + rate_hz])
    sketch.finish()
    return sketch.sketch()


def notes(seed: int, seconds: float = 6.0, rate_hz: int = 16000) -> np.ndarray:
    """Short tones over a little noise."""
    chance = np.random.default_rng(seed)
    sound = 0.002 * chance.standard_normal(round(seconds * rate_hz))
    for _ in range(round(8 * seconds)):
        start, length = chance.integers(0, len(sound) - 3200), 3200
        time_s = np.arange(length) / rate_hz
        sound[start : start + length] += (
            0.2 * np.sin(2 * np.pi * chance.uniform(200, 3500) * time_s) * np.hanning(length)
        )
    return sound.astype(np.float32)


def test_a_sound_is_known_again_quieter_later_and_in_noise_and_others_are_not() -> None:
    sound = notes(1)
    marks = sketch_of(sound)
    assert sounds_likeness(marks, marks) == 1
    chance = np.random.default_rng(9)
    for other in (0.2 * sound, sound[5321:], sound + 1e-3 * chance.standard_normal(len(sound))):
        likeness = sounds_likeness(marks, sketch_of(other))
        assert likeness is not None
        assert likeness > 0.05
    assert max(sounds_likeness(marks, sketch_of(notes(seed))) or 0 for seed in range(2, 7)) < 0.02


def test_minutes_of_noise_have_nothing_in_common() -> None:
    chance = np.random.default_rng(0)
    first, second = (sketch_of(0.1 * chance.standard_normal(60 * 8000), 8000) for _ in range(2))
    assert sounds_likeness(first, second) == 0


def test_silence_has_no_fingerprint_and_is_like_nothing() -> None:
    assert sketch_of(np.zeros(32000)) == ()
    assert sounds_likeness((), sketch_of(notes(1))) is None
    assert picture_hash(np.full((32, 32), 80.0)) is None
    assert pictures_distance((), (1,)) is None


def test_pictures_are_known_again_brighter_and_noisy() -> None:
    chance = np.random.default_rng(2)
    coarse = chance.uniform(0, 255, (5, 8, 8))
    pictures = np.kron(coarse, np.ones((4, 4)))
    marks = [picture_hash(picture) for picture in pictures]
    changed = picture_hash(np.clip(0.7 * pictures[0] + 30 + chance.normal(0, 3, (32, 32)), 0, 255))
    assert marks[0] is not None
    assert changed is not None
    near = pictures_distance((marks[0],), (changed,))
    assert near is not None
    assert near <= 4
    assert all((pictures_distance((marks[0],), (mark or 0,)) or 0) > 12 for mark in marks[1:])
    with pytest.raises(ValueError, match=r"gray has shape \(8, 8\); give \(32, 32\)"):
        picture_hash(coarse[0])


def test_an_index_finds_what_is_near_in_the_order_in_which_it_came() -> None:
    chance = np.random.default_rng(3)
    marks = [
        Fingerprint(
            tuple(chance.integers(0, 2**63, 8).tolist()),
            tuple(sorted(chance.integers(0, 2**31, 128).tolist())),
        )
        for _ in range(40)
    ]
    index = FingerprintIndex()
    for number, one in enumerate(marks):
        assert Fingerprint.from_text(one.text()) == one
        index.add(f"r{number}", one)
    assert len(index) == 40
    found = list(index.candidates(Fingerprint(marks[7].pictures, marks[30].sound), 4))
    assert [twin.recording for twin in found] == ["r7", "r30"]
    assert (found[0].pictures_bits, found[0].sounds_share) == (0.0, 0.0)
    assert found[1].sounds_share == 1.0
    assert not list(index.candidates(Fingerprint((), ()), 4))
