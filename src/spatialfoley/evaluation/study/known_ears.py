"""What the ear metrics and the shipped head filters give for sounds whose answer is known: see `known_field`."""

import hashlib
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import soundfile
from numpy.typing import NDArray

from spatialfoley.conventions import W, Y
from spatialfoley.evaluation.metrics.binaural import (
    EarCues,
    delay_error_s,
    ear_cues,
    is_mono_collapse,
    left_right_distance,
    level_error_db,
    louder_ear_right,
    mean_coherence,
)
from spatialfoley.evaluation.study.known_field import RATE_HZ, SECONDS, Measure
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

FloatArray = NDArray[np.floating]

_PRIME = 2**31 - 1
_FILTERS = "resources/hrir/omnitone_foa_wyzx_left_48k.wav"


@cache
def hiss(multiplier: int = 16807) -> NDArray[np.float32]:
    """Noise that no version of a library changes: a multiplicative generator (Park and Miller, 1988), by hand."""
    state, values = 20021, np.empty(RATE_HZ * SECONDS)
    for index in range(len(values)):
        state = multiplier * state % _PRIME
        values[index] = state
    return (0.2 * (values / _PRIME - 0.5)).astype(np.float32)


def _heard(azimuth_deg: float, elevation_deg: float = 0.0) -> NDArray[np.float32]:
    """Both ears of a noise from a direction, through the shipped head filters."""
    field = encode(hiss(), unit_vectors(azimuth_deg, elevation_deg))
    return render_binaural(SpatialAudio(field, RATE_HZ, "foa")).samples


@cache
def _mean_cues(azimuth_deg: float, elevation_deg: float) -> tuple[float, float]:
    """Level difference in dB and delay in microseconds of a noise from a direction."""
    cues = ear_cues(_heard(azimuth_deg, elevation_deg), RATE_HZ)
    return float(np.mean(cues.level_db)), 1e6 * float(np.mean(cues.delay_s))


def _level_from(azimuth_deg: float, elevation_deg: float = 0.0) -> Measure:
    return lambda: _mean_cues(azimuth_deg, elevation_deg)[0]


def _delay_from(azimuth_deg: float, elevation_deg: float = 0.0) -> Measure:
    return lambda: _mean_cues(azimuth_deg, elevation_deg)[1]


def _symmetry() -> list[float]:
    """What a source at the left and its mirror image add up to: nothing, in an even head."""
    left, right = _mean_cues(60.0, 20.0), _mean_cues(-60.0, 20.0)
    return [first + second for first, second in zip(left, right, strict=True)]


def _click_gap() -> float:
    """Largest gap between the ears of a click from the left and W + Y, W - Y of the filters in the file."""
    with as_file(files("spatialfoley") / _FILTERS) as path:
        filters, rate_hz = soundfile.read(path, dtype="float64")
    click = np.zeros(2 * len(filters), np.float32)
    click[0] = 1.0
    field = encode(click, unit_vectors(90.0, 0.0))
    heard = render_binaural(SpatialAudio(field, rate_hz, "foa")).samples[:, : len(filters)]
    wanted = np.stack([filters[:, W] + filters[:, Y], filters[:, W] - filters[:, Y]])
    return float(np.max(np.abs(heard - wanted)))


def _constructed() -> EarCues:
    """Ears of which the left one is 5 samples ahead and 6.0206 dB louder."""
    source = np.convolve(hiss(), np.ones(16) / 16, "same")
    return ear_cues(np.stack([source, np.roll(source, 5) / 2]), RATE_HZ)


def _constructed_cues() -> list[float]:
    cues = _constructed()
    return [float(np.mean(cues.level_db)), 1e6 * float(np.mean(cues.delay_s))]


def _errors() -> list[float]:
    """Errors of the constructed ears against one channel given twice: in dB and in microseconds."""
    same = ear_cues(np.stack([hiss(), hiss()]), RATE_HZ)
    lateral = np.ones(len(same.energy))
    level_db, delay_s = (error(same, _constructed(), lateral) for error in (level_error_db, delay_error_s))
    return [level_db or 0.0, 1e6 * (delay_s or 0.0)]


def _side() -> list[float]:
    """Share of right sides for a true source at the left, at the right, and one channel given twice."""
    left, twice = ear_cues(_heard(60.0), RATE_HZ), ear_cues(np.stack([hiss(), hiss()]), RATE_HZ)
    lateral = np.full(len(left.energy), 0.9)
    return [
        louder_ear_right(cues, side) or 0.0
        for cues, side in ((left, lateral), (left, -lateral), (twice, lateral))
    ]


def _coherence(*ears: FloatArray) -> float:
    return mean_coherence(ear_cues(np.stack(ears), RATE_HZ)) or 0.0


def _square_distance() -> float:
    """D of a square wave in one ear and its inverse in the other: as far apart as can be."""
    square = np.where(np.arange(RATE_HZ) // 20 % 2 == 0, 0.3, -0.3)
    return left_right_distance(np.stack([square, -square]))


def _collapsed() -> list[float]:
    """One channel given twice, and the true ears, where the truth differs between the ears."""
    true = _heard(60.0)
    twice = np.stack([hiss(), hiss()])
    return [float(bool(is_mono_collapse(true, ears))) for ears in (twice, true)]


def _filter_digits() -> float:
    """First digits of the hash of the head filters' file, as a number."""
    content = (files("spatialfoley") / _FILTERS).read_bytes()
    return float(int(hashlib.sha256(content).hexdigest()[:8], 16))


MEASURES: dict[str, Measure] = {
    "head filters, hash of the file": _filter_digits,
    "ears: click from 90°": _click_gap,
    "ears: level from 90°": _level_from(90.0),
    "ears: level from 30°": _level_from(30.0),
    "ears: level from (-60°, 30°)": _level_from(-60.0, 30.0),
    "ears: delay from 90°": _delay_from(90.0),
    "ears: delay from 30°": _delay_from(30.0),
    "ears: delay from (-60°, 30°)": _delay_from(-60.0, 30.0),
    "ears: level, delay from the front": lambda: list(_mean_cues(0.0, 0.0)),
    "ears: left and right add up to 0": _symmetry,
    "made ears: 6 dB, 5 samples": _constructed_cues,
    "made ears: errors against equal ears": _errors,
    "louder ear: right, wrong, tied": _side,
    "coherence of equal ears": lambda: _coherence(hiss(), hiss()),
    "coherence of independent ears": lambda: _coherence(hiss(), hiss(48271)),
    "D of equal ears": lambda: left_right_distance(np.stack([hiss(), hiss()])),
    "D of opposite square waves": _square_distance,
    "D of the ears from 90°": lambda: left_right_distance(_heard(90.0)),
    "one channel given twice: found, not found": _collapsed,
}
