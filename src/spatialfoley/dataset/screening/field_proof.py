"""Whether four channels are a sound field: live, different from each other, and with energies that a field has.

What energies can tell: a plane wave from the unit vector v has (Y, Z, X) = W v in AmbiX, so that
Y² + Z² + X² = W² for every mixture of incoherent plane waves, in every stretch of time and frequency. That is the
only equation that second moments of a field fulfil. It tells the gain of W: FuMa's W is 3.0 dB too weak for it,
that of N3D 4.8 dB. Four channels in which the two sides have nothing to do with each other are no field.

What they cannot tell: which of the three directional channels is which, and their signs. Any swap is a rotation or
a mirror image of a field that could be. Only experience says that the vertical channel is mostly the weakest; so
"order" is a suspicion, and a weak one for short recordings. Nor can they tell FuMa from AmbiX where the microphone
itself makes the directional channels weak: those of the 10 cm array among the shared recordings are 1 to 3 dB low,
and their FuMa passes for AmbiX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.dataset.factory.stage import Rejected

Suspicion = Literal["", "fuma", "n3d", "order"]

_WINDOW_S = 0.021
_BAND_HZ = (200.0, 2000.0)  # below, sources are close to the microphone; above, capsules are too far apart
_CELL = 4  # windows and bins that are pooled: fewer, and chance decides the ratio
_GATE_DB = -40.0
_SILENT_POWER = 1e-9
_W_TOO_WEAK_DB = (0.0, 10 * np.log10(2.0), 10 * np.log10(3.0))  # AmbiX, FuMa, N3D
_SIGNALS = {1: "one signal", 2: "two signals", 3: "three signals", 4: "four signals"}
_RATIO_EDGES_DB = np.arange(-40.0, 40.01, 0.1)


@dataclass(frozen=True)
class FieldLimits:
    """Limits of the proof. Ours, from the shared recordings and the synthetic world; see docs/dataset.md.

    Attributes:
        dead_db: A channel this far below the strongest is dead.
        copy_db: Two channels are copies when no more than this is left of their difference, their level apart.
        loose_copy_db: The same after a lossy codec, believed where the energies say so too.
        rank_db: An independent signal this far below the strongest is none.
        plane_db: How far (Y² + Z² + X²) / W² of up to three dry sources, which only a synthetic world has, may be
            from what it is in AmbiX, FuMa or N3D.
        fuma_db, n3d_db: From this median of (Y² + Z² + X²) / W² on W is suspected to be FuMa's, N3D's. Microphones
            measure -3 to 0.5 dB; the limits lie between that and 3.0, and between 3.0 and 4.8.
        spread_db: The middle half of the ratios may be this wide: microphones measure up to 4 dB, four unrelated
            signals 7 and more.
        weak_db: Below this median the directional channels are too weak for a field.
        strong_db: Above it channel 0 is no omnidirectional one.
        order_db: The last channel this far below both other directional ones looks like a vertical one.
    """

    dead_db: float = -50.0
    copy_db: float = -50.0
    loose_copy_db: float = -20.0
    rank_db: float = -50.0
    plane_db: float = 0.5
    fuma_db: float = 1.75
    n3d_db: float = 4.0
    spread_db: float = 5.5
    weak_db: float = -10.0
    strong_db: float = 7.0
    order_db: float = -6.0


@dataclass(frozen=True)
class FieldNumbers:
    """What was measured of a field.

    Attributes:
        level_db: Of W, Y, Z, X relative to full scale; -200 for zeros, (4,).
        band_level_db: The same from 200 to 2000 Hz, relative to W, (4,).
        signals: Independent signals among the four.
        loose_signals: The same, leaving out what a lossy codec may have added.
        copies: Pairs of channels that are the same.
        loose_copies: The same, leaving out what a lossy codec may have added.
        ratio_db: Median of (Y² + Z² + X²) / W² over stretches of 50 ms × 190 Hz; None where nothing sounds.
        ratio_spread_db: Its middle half.
        total_ratio_db: The same of the whole.
    """

    level_db: tuple[float, ...]
    band_level_db: tuple[float, ...]
    signals: int
    loose_signals: int
    copies: tuple[tuple[int, int], ...]
    loose_copies: tuple[tuple[int, int], ...]
    ratio_db: float | None
    ratio_spread_db: float | None
    total_ratio_db: float

    def document(self) -> dict[str, float]:
        """As numbers of a rejection."""
        numbers = {f"{name}_db": round(level, 1) for name, level in zip("wyzx", self.level_db, strict=True)}
        numbers |= {"signals": float(self.signals), "total_ratio_db": round(self.total_ratio_db, 2)}
        if self.ratio_db is not None and self.ratio_spread_db is not None:
            numbers |= {
                "ratio_db": round(self.ratio_db, 2),
                "ratio_spread_db": round(self.ratio_spread_db, 2),
            }
        return numbers


class FieldMeter:
    """Measures a field that comes in blocks."""

    def __init__(self, rate_hz: int, limits: FieldLimits | None = None) -> None:
        self._limits = limits or FieldLimits()
        self._window = 1 << round(np.log2(_WINDOW_S * rate_hz))
        bins_hz = np.fft.rfftfreq(self._window, 1.0 / rate_hz)
        self._band = np.flatnonzero((bins_hz >= _BAND_HZ[0]) & (bins_hz <= _BAND_HZ[1]))
        self._shape = np.hanning(self._window).astype(np.float32)
        self._covariance = np.zeros((4, 4))
        self._frames = 0
        self._band_power = np.zeros(4)
        self._ratios = np.zeros(len(_RATIO_EDGES_DB) - 1, np.int64)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in a block (4, n); blocks of a second or so, as each is looked at by itself."""
        if block.ndim != 2 or block.shape[0] != len(FOA_CHANNELS):
            raise ValueError(f"block has shape {block.shape}; a first-order field has shape (4, samples)")
        exact = block.astype(np.float64)
        self._covariance += exact @ exact.T
        self._frames += block.shape[1]
        cells = self._cells(block)
        if cells is None:
            return
        self._band_power += cells.sum(axis=(1, 2))
        total = cells.sum(axis=0)
        counted = (total > total.max() * 10 ** (_GATE_DB / 10)) & (total > _SILENT_POWER * self._window)
        with np.errstate(divide="ignore"):
            ratios_db = 10 * np.log10(cells[1:].sum(axis=0)[counted] / np.maximum(cells[0][counted], 1e-30))
        bounded = np.clip(ratios_db, _RATIO_EDGES_DB[0], _RATIO_EDGES_DB[-1])
        self._ratios += np.histogram(bounded, _RATIO_EDGES_DB)[0]

    def numbers(self) -> FieldNumbers:
        """What was found so far."""
        power = np.diag(self._covariance) / max(1, self._frames)
        spread = self._percentiles((25, 50, 75))
        return FieldNumbers(
            level_db=tuple(_db(power).tolist()),
            band_level_db=tuple(_db(self._band_power / max(self._band_power[0], 1e-20)).tolist()),
            signals=self._signals(self._limits.rank_db),
            loose_signals=self._signals(self._limits.loose_copy_db),
            copies=self._copies(self._limits.copy_db),
            loose_copies=self._copies(self._limits.loose_copy_db),
            ratio_db=None if spread is None else float(spread[1]),
            ratio_spread_db=None if spread is None else float(spread[2] - spread[0]),
            total_ratio_db=float(_db(self._band_power[1:].sum() / max(self._band_power[0], 1e-20))),
        )

    def _cells(self, block: NDArray[np.floating]) -> NDArray[np.float64] | None:
        """Power of the four channels in stretches of time and frequency, (4, T, F)."""
        hop = self._window // 2
        count = (block.shape[1] - self._window) // hop + 1
        if count < _CELL or len(self._band) < _CELL:
            return None
        places = np.arange(self._window) + hop * np.arange(count)[:, None]
        spectrum = np.fft.rfft(block[:, places] * self._shape, axis=-1)[..., self._band]
        power = np.abs(spectrum).astype(np.float64) ** 2
        times, bins = count // _CELL, len(self._band) // _CELL
        cut = power[:, : times * _CELL, : bins * _CELL]
        return cut.reshape(4, times, _CELL, bins, _CELL).sum(axis=(2, 4))

    def _signals(self, least_db: float) -> int:
        power = np.linalg.eigvalsh(self._covariance)
        strongest = power.max()
        if strongest <= 0:
            return 0
        return int(np.count_nonzero(power > strongest * 10 ** (least_db / 10)))

    def _copies(self, left_db: float) -> tuple[tuple[int, int], ...]:
        """Pairs of live channels of one level (to 1 dB) whose difference or sum is all but nothing."""
        power = np.diag(self._covariance)
        live = power > power.max() * 10 ** (self._limits.dead_db / 10)
        found = []
        for first in range(4):
            for second in range(first + 1, 4):
                if not (live[first] and live[second]):
                    continue
                level = np.sqrt(power[first] * power[second])
                left = 1.0 - (self._covariance[first, second] / level) ** 2
                same_level = abs(10 * np.log10(power[first] / power[second])) < 1.0
                if same_level and left < 10 ** (left_db / 10):
                    found.append((first, second))
        return tuple(found)

    def _percentiles(self, percents: tuple[int, ...]) -> NDArray[np.float64] | None:
        total = int(self._ratios.sum())
        if total == 0:
            return None
        places = np.searchsorted(np.cumsum(self._ratios), np.array(percents) / 100 * total)
        middles = (_RATIO_EDGES_DB[:-1] + _RATIO_EDGES_DB[1:]) / 2
        return np.asarray(middles[np.minimum(places, len(middles) - 1)])


def why_no_field(found: FieldNumbers, limits: FieldLimits | None = None) -> Rejected | None:
    """The reason why four channels are no field; None for one that may be, whatever its convention.

    Reasons: "silent", "mono", "stereo", "dead_channel", "copied_channels", "weak_directions", "no_field".

    Args:
        found: What was measured.
        limits: Where the limits lie.
    """
    limits = limits or FieldLimits()
    strongest = max(found.level_db)
    live = [level > strongest + limits.dead_db for level in found.level_db]
    names = [name for name, alive in zip(FOA_CHANNELS, live, strict=True) if not alive]
    if found.signals == 0:
        return _rejected("silent", "all four channels are zero", found)
    said = f"its four channels are {_SIGNALS[found.signals]}{_and_dead(names)}"
    if sum(live) <= 2 or (found.signals < 3 and (names or not _is_dry_field(found, limits))):
        return _rejected("mono" if found.signals == 1 else "stereo", said, found)
    if names:
        return _rejected("dead_channel", f"no more than three channels are live{_and_dead(names)}", found)
    copied = _why_copied(found, limits)
    if copied is not None:
        return copied
    if found.ratio_db is not None and found.ratio_db < limits.weak_db:
        sentence = f"Y, Z and X are {-found.ratio_db:.1f} dB weaker than those of a field"
        return _rejected("weak_directions", sentence, found)
    if found.signals == 3 and not _is_dry_field(found, limits):
        return _rejected("no_field", f"{said}, and no field of three dry sources", found)
    if found.ratio_spread_db is not None and found.ratio_spread_db > limits.spread_db:
        sentence = f"(Y² + Z² + X²) / W² varies by {found.ratio_spread_db:.1f} dB: four sounds and no field"
        return _rejected("no_field", sentence, found)
    if found.ratio_db is not None and found.ratio_db > limits.strong_db:
        sentence = f"channel 0 is {found.ratio_db:.1f} dB weaker than the W of a field: the order is another"
        return _rejected("no_field", sentence, found)
    return None


def suspicion_of(found: FieldNumbers, limits: FieldLimits | None = None) -> tuple[Suspicion, str]:
    """What looks as if the convention was another than AmbiX, and why.

    Args:
        found: What was measured of a field.
        limits: Where the limits lie.
    """
    limits = limits or FieldLimits()
    ratio_db = found.ratio_db
    if ratio_db is not None and ratio_db > limits.n3d_db:
        return "n3d", (
            f"W is {ratio_db:.1f} dB weaker than AmbiX has it, as in N3D (4.8 dB) or of four loudspeakers"
        )
    if ratio_db is not None and ratio_db > limits.fuma_db:
        return "fuma", f"W is {ratio_db:.1f} dB weaker than AmbiX has it, as in FuMa (3.0 dB)"
    _, first, second, last = found.band_level_db
    if last < min(first, second) + limits.order_db:
        below_db = min(first, second) - last
        return (
            "order",
            f"the last channel is {below_db:.1f} dB below the others, as the vertical one of WXYZ would be",
        )
    return "", ""


def _is_dry_field(found: FieldNumbers, limits: FieldLimits) -> bool:
    """Whether fewer signals than channels may be that many dry sources."""
    off_db = min(abs(found.total_ratio_db - known_db) for known_db in _W_TOO_WEAK_DB)
    # Of one source all channels are copies up to their level; W in all four is no direction of it.
    copied = len(found.copies) == 6 if found.signals == 1 else bool(found.copies)
    return not copied and off_db <= limits.plane_db


def _why_copied(found: FieldNumbers, limits: FieldLimits) -> Rejected | None:
    """The reason where live channels are copies of each other."""
    if found.loose_copies and max(found.total_ratio_db, found.ratio_db or 0.0) > limits.fuma_db:
        # After a codec, copies are believed where Y, Z and X are too strong for a field besides.
        pairs = found.loose_copies
        reason = {1: "mono", 2: "stereo"}.get(found.loose_signals, "copied_channels")
    elif found.copies and found.signals > 1:
        pairs, reason = found.copies, "copied_channels"
    else:
        return None
    said = ", ".join(f"{FOA_CHANNELS[first]} and {FOA_CHANNELS[second]}" for first, second in pairs)
    return _rejected(reason, f"channels are copies of each other: {said}", found)


def _and_dead(names: list[str]) -> str:
    return f" ({', '.join(names)} dead)" if names else ""


def _rejected(reason: str, sentence: str, found: FieldNumbers) -> Rejected:
    return Rejected(reason, sentence, found.document())


def _db(power: NDArray[np.floating] | float) -> NDArray[np.float64]:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-20)))
