"""Recordings made bad on purpose, to see whether the screens find out how.

Each kind turns a good recording into a bad one and names the reason under which it has to be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.foa import steer, to_fuma, to_n3d

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording in memory.

    Attributes:
        name: Its id.
        field: AmbiX, (4, N); other channel counts for what is no field.
        rate_hz: Of the sound.
        frames: RGB panorama, (T, H, W, 3).
        frame_rate_hz: Of the picture.
        exact: Whether Y² + Z² + X² = W² holds to 2 dB, so that another gain of W can be told.
    """

    name: str
    field: Field
    rate_hz: int
    frames: NDArray[np.uint8]
    frame_rate_hz: float
    exact: bool = True


@dataclass(frozen=True)
class Kind:
    """A way of being bad.

    Attributes:
        reason: Under which it has to be left out.
        make: Makes the recording bad; told a random generator and all good recordings.
        needs_exact: Only recordings that are `exact` show it.
    """

    reason: str
    make: Callable[[Recording, np.random.Generator, list[Recording]], Recording]
    needs_exact: bool = False


def _sound(change: Callable[[Field], NDArray[np.floating]]) -> Callable[..., Recording]:
    def make(good: Recording, chance: np.random.Generator, others: list[Recording]) -> Recording:
        return replace(good, field=np.ascontiguousarray(change(good.field), np.float32))

    return make


def _two_ears(field: Field) -> Field:
    """Two cardioids to the sides: coincident stereo."""
    sides = np.eye(3)[1]
    return np.stack([steer(field, sides), steer(field, -sides)])


def _stacked(*channels: NDArray[np.floating]) -> Field:
    zeros = np.zeros_like(channels[0])
    return np.stack([*channels, *[zeros] * (4 - len(channels))]).astype(np.float32)


def _from(field: Field, *order: int) -> Field:
    return field[list(order)]


def _without_height(field: Field) -> Field:
    flat = field.copy()
    flat[Z] = 0
    return flat


def _weak(field: Field) -> Field:
    return field * np.array([1, 0.05, 0.05, 0.05], np.float32)[:, None]


def _peak(field: Field) -> float:
    return float(np.abs(field).max())


def _clipped(field: Field, share: float = 0.01) -> Field:
    """Turned up until a share of the samples of W is above full scale, cut off there, kept in 16 bits."""
    loud = field / np.quantile(np.abs(field[W]), 1 - share)
    return (np.rint(np.clip(loud, -1, 1) * 32767) / 32768).astype(np.float32)


def _short(field: Field) -> Field:
    """One twentieth of the sound, then nothing above a hiss."""
    count = field.shape[1] // 20
    loudest = int(np.argmax(np.convolve(field[W] ** 2, np.ones(count), "valid")))
    kept = 1e-4 * np.random.default_rng(1).standard_normal(field.shape)
    kept[:, :count] += field[:, loudest : loudest + count]
    return np.asarray(kept, np.float32)


def _four_sounds(good: Recording, chance: np.random.Generator, others: list[Recording]) -> Recording:
    """Channel 0 from the recording, the others from other ones, at equal levels."""
    rest = [other for other in others if other.name != good.name]
    chosen = [good, *(rest[at] for at in chance.permutation(len(rest))[:3])]
    count = good.field.shape[1]
    channels = [np.resize(one.field[W], count) for one in chosen]
    return replace(good, field=np.stack([0.05 * one / one.std() for one in channels]).astype(np.float32))


def _frozen(good: Recording, chance: np.random.Generator, others: list[Recording]) -> Recording:
    still = np.repeat(good.frames[:1], len(good.frames), axis=0)
    return replace(good, frames=still)


def _frozen_noisy(good: Recording, chance: np.random.Generator, others: list[Recording]) -> Recording:
    """One picture with the noise of a sensor."""
    still = np.repeat(good.frames[:1], len(good.frames), axis=0)
    noisy = still + chance.normal(0, 1, still.shape)
    return replace(good, frames=np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _frozen_after_cut(good: Recording, chance: np.random.Generator, others: list[Recording]) -> Recording:
    """Two pictures, one after the other."""
    half = len(good.frames) // 2
    frames = np.concatenate(
        [
            np.repeat(good.frames[:1], half, axis=0),
            np.repeat(good.frames[-1:], len(good.frames) - half, axis=0),
        ]
    )
    return replace(good, frames=frames)


KINDS: dict[str, Kind] = {
    "zeros": Kind("digital_silence", _sound(np.zeros_like)),
    "quiet": Kind("silent", _sound(lambda field: field * 0.005 / _peak(field))),
    "mostly silent": Kind("silent", _sound(_short)),
    "clipped": Kind("clipped", _sound(_clipped)),
    "W only": Kind("mono", _sound(lambda field: _stacked(field[W]))),
    "W four times": Kind("mono", _sound(lambda field: _from(field, W, W, W, W))),
    "stereo, two dead": Kind("stereo", _sound(lambda field: _stacked(*_two_ears(field)))),
    "stereo twice": Kind("stereo", _sound(lambda field: np.tile(_two_ears(field), (2, 1)))),
    "middle and side": Kind("stereo", _sound(lambda field: _stacked(field[W], field[Y]))),
    "Z dead": Kind("dead_channel", _sound(_without_height)),
    "Z copied from Y": Kind("copied_channels", _sound(lambda field: _from(field, W, Y, Y, X))),
    "four sounds": Kind("no_field", _four_sounds),
    "W in the last channel": Kind("no_field", _sound(lambda field: _from(field, Z, Y, X, W))),
    "directions 26 dB low": Kind("weak_directions", _sound(_weak)),
    "FuMa": Kind("fuma_suspected", _sound(to_fuma), needs_exact=True),
    "N3D": Kind("n3d_suspected", _sound(to_n3d), needs_exact=True),
    "two channels": Kind("channels", _sound(_two_ears)),
    "frozen": Kind("static_video", _frozen),
    "frozen, noisy": Kind("static_video", _frozen_noisy),
    "two stills": Kind("static_video", _frozen_after_cut),
}
"""Ways of being bad that one recording shows by itself."""


def copy_of(good: Recording, way: str) -> Recording:
    """The recording again, as it comes back from elsewhere.

    Args:
        good: The recording.
        way: "quieter" (10 dB), "shorter" (half a second of the start and of the end missing), "turned" (the field
            by 90°, the picture as it was), "smaller" (half the height, half the frames).

    Raises:
        ValueError: An unknown way.
    """
    name = f"{good.name}-{way}"
    if way == "quieter":
        return replace(good, name=name, field=good.field * np.float32(10**-0.5))
    if way == "shorter":
        sound, picture = round(0.5 * good.rate_hz), round(0.5 * good.frame_rate_hz)
        return replace(
            good,
            name=name,
            field=good.field[:, sound:-sound],
            frames=good.frames[picture:-picture],
        )
    if way == "turned":
        return replace(good, name=name, field=_from(good.field, W, X, Z, Y) * _TURN)
    if way == "smaller":
        rate_hz = good.frame_rate_hz / 2
        return replace(good, name=name, frames=good.frames[::2, ::2, ::2], frame_rate_hz=rate_hz)
    raise ValueError(f"way is {way!r}; it must be one of {', '.join(COPIES)}")


COPIES = ("quieter", "shorter", "turned", "smaller")
_TURN = np.array([1, 1, 1, -1], np.float32)[:, None]


def same_ears(mono: NDArray[np.floating], way: str) -> Field:
    """Two ears (2, N) that hear the same.

    Args:
        mono: What they hear, (N,).
        way: "equal", "louder" (one ear by 6 dB), "hiss" (of each ear its own, 60 dB below the peak).

    Raises:
        ValueError: An unknown way.
    """
    if way not in SAME_EARS:
        raise ValueError(f"way is {way!r}; it must be one of {', '.join(SAME_EARS)}")
    ears = np.stack([mono, mono]).astype(np.float32)
    if way == "louder":
        ears[1] *= 0.5
    if way == "hiss":
        hiss = np.random.default_rng(2).standard_normal(ears.shape)
        ears += (1e-3 * np.abs(mono).max() * hiss).astype(np.float32)
    return ears


SAME_EARS = ("equal", "louder", "hiss")
