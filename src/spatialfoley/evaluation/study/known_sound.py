"""What the metrics of sound itself give where the answer is known: see `known_field`.

The resampler is judged by tones: what it adds to a tone that both rates hold, and what it lets through of one that
the lower rate cannot hold.
"""

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.divergence import KlFormula, kl_divergence
from spatialfoley.evaluation.metrics.envelope import envelope_l1
from spatialfoley.evaluation.metrics.frechet import frechet_distance
from spatialfoley.evaluation.metrics.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.metrics.statistics import wilson_interval
from spatialfoley.evaluation.metrics.synchrony import desync_s
from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.study.known_field import RATE_HZ, Measure, tone
from spatialfoley.evaluation.suite.scores import level_difference_db
from spatialfoley.media.audio import resample
from spatialfoley.world import CLASSES, make_scene, render_foa, render_mono

FloatArray = NDArray[np.floating]

HEARD_SCENES = (11, 12, 13)
_SHIFT = np.array([1.0, 2.0, 2.0, 0.0, 0.0, 0.0])
_CLICKS_S = (0.4, 1.3, 2.05, 3.5)


def _simplex(points: int, dimensions: int, first: int = 0) -> FloatArray:
    """Points (points, dimensions) whose mean is 0 and whose covariance is 1 along points - 1 axes from `first` on.

    Fewer points than dimensions: their covariance has no full rank.
    """
    basis = np.zeros((points, points - 1))
    for axis in range(points - 1):
        # Helmert's contrasts: orthogonal to each other and to the mean.
        basis[: axis + 1, axis] = 1.0
        basis[axis + 1, axis] = -(axis + 1.0)
    basis /= np.linalg.norm(basis, axis=0)
    found = np.zeros((points, dimensions))
    found[:, first : first + points - 1] = basis * np.sqrt(points - 1.0)
    return found


def _kl(formula: KlFormula) -> float:
    """Of posteriors (1/2, 1/4, 1/4) and (1/4, 1/2, 1/4)."""
    true, found = np.log([[0.5, 0.25, 0.25]]), np.log([[0.25, 0.5, 0.25]])
    return float(kl_divergence(true + 3.0, found - 1.0, formula)[0])


def _clicks() -> NDArray[np.float32]:
    """Sharp attacks that die away within a tenth of a second."""
    sound = np.zeros(4 * RATE_HZ, np.float32)
    decay = np.exp(-np.arange(RATE_HZ // 10) / (0.02 * RATE_HZ)) * np.sin(np.arange(RATE_HZ // 10))
    for time_s in _CLICKS_S:
        start = round(time_s * RATE_HZ)
        sound[start : start + len(decay)] += 0.5 * decay.astype(np.float32)
    return sound


def _onset_error_s() -> float:
    """Largest error of four attacks at known moments; the limit of the matching where one is missed or invented."""
    score = match_onsets(np.array(_CLICKS_S), detect_onsets(_clicks(), RATE_HZ))
    alone = 0.25 if score.misses + score.false_alarms else 0.0
    return float(np.max(np.abs(score.errors_s), initial=alone))


def _onset_score() -> list[float]:
    """Median error, misses and false alarms of onsets 50 ms late, one missed and one invented."""
    score = match_onsets(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.05, 2.05, 3.05, 0.3]))
    return [score.median_abs_error_s or 0.0, float(score.misses), float(score.false_alarms)]


def _resampled_error_db(from_hz: int, to_hz: int, tone_hz: float) -> float:
    """Error re the tone, in dB, of a tone that both rates hold, away from the ends."""
    found = resample(_sine(from_hz, tone_hz)[None], from_hz, to_hz)[0]
    wanted = _sine(to_hz, tone_hz)
    inner = slice(to_hz // 10, -to_hz // 10)
    error = found[inner].astype(np.float64) - wanted[inner]
    return 10 * float(np.log10(np.mean(error**2) / np.mean(wanted[inner].astype(np.float64) ** 2) + 1e-20))


def _alias_db(from_hz: int, to_hz: int, tone_hz: float) -> float:
    """What is left, re the tone in dB, of a tone above half the lower rate, away from the ends."""
    found = resample(_sine(from_hz, tone_hz)[None], from_hz, to_hz)[0]
    inner = found[to_hz // 10 : -to_hz // 10].astype(np.float64)
    return 10 * float(np.log10(np.mean(inner**2) / 0.125 + 1e-20))


def _sine(rate_hz: int, tone_hz: float) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * tone_hz * np.arange(2 * rate_hz) / rate_hz)).astype(np.float32)


def _desync_s() -> float:
    """Of two clips that are 0.4 s early and late, then late and 0.8 s late: signed offsets would cancel."""
    first, last = np.zeros((2, 21)), np.zeros((2, 21))
    first[0, 12] = first[1, 8] = last[0, 8] = last[1, 6] = 1.0
    return desync_s(first, last)


def _level_db() -> float:
    found = level_difference_db(tone(400)[None], 0.5 * tone(600)[None])
    return float("nan") if found is None else found


def _wilson() -> list[float]:
    found = wilson_interval(5, 10)
    return [found.low, found.high] if found is not None else []


def _heard_logits(scene_seed: int) -> list[float]:
    """Logits of the world's classifier on the sound of a scene."""
    sound = render_mono(make_scene(scene_seed, kind="in_view", camera="static", duration_s=3.0), RATE_HZ)
    logits = load_listener("world").hear(sound[None], RATE_HZ).logits
    return [] if logits is None else [float(value) for value in logits[0]]


def _heard_classes() -> float:
    """How many of the golden scenes are recognised."""
    right = 0
    for seed in HEARD_SCENES:
        truth = make_scene(seed, kind="in_view", camera="static", duration_s=3.0).sources[0].class_name
        right += CLASSES[int(np.argmax(_heard_logits(seed)))] == truth
    return float(right)


def _embedding() -> list[float]:
    """First eight numbers and the length of the embedding of a golden scene's W, read at 48 kHz."""
    scene = make_scene(HEARD_SCENES[0], kind="in_view", camera="static", duration_s=3.0)
    found = load_listener("world").hear(render_foa(scene, 48000)[:1], 48000).embeddings[0, 0]
    return [*(float(value) for value in found[:8]), float(np.linalg.norm(found))]


def _weights_digits() -> float:
    """First digits of the hash of the classifier's weights, as a number."""
    return float(int(load_listener("world").weights_sha256[:8], 16))


MEASURES: dict[str, Measure] = {
    "FD of a set and itself, shifted": lambda: frechet_distance(_simplex(7, 6), _simplex(7, 6) + _SHIFT),
    "FD of a set and twice the set": lambda: frechet_distance(_simplex(5, 64), 2 * _simplex(5, 64)),
    "FD of sets in different planes": lambda: frechet_distance(_simplex(5, 64), _simplex(5, 64, first=9)),
    "FD of a full set and twice it": lambda: frechet_distance(_simplex(7, 6), 2 * _simplex(7, 6)),
    "KL, av-bench": lambda: _kl("av-bench"),
    "KL, audioldm": lambda: _kl("audioldm"),
    "E-L1 of a sound and half of it": lambda: envelope_l1(tone(500)[None], 0.5 * tone(500)[None], RATE_HZ),
    "E-L1 of a tone and silence": lambda: envelope_l1(tone(500)[None], 0 * tone(500)[None], RATE_HZ),
    "onsets of four attacks": _onset_error_s,
    "onsets: matched, missed, false": _onset_score,
    "resampler 44.1 to 16 kHz, tone of 1 kHz": lambda: _resampled_error_db(44100, 16000, 1000.0),
    "resampler 48 to 16 kHz, tone of 5.9 kHz": lambda: _resampled_error_db(48000, 16000, 5900.0),
    "resampler 16 to 48 kHz, tone of 5.9 kHz": lambda: _resampled_error_db(16000, 48000, 5900.0),
    "resampler 44.1 to 16 kHz, alias of 10 kHz": lambda: _alias_db(44100, 16000, 10000.0),
    "resampler 48 to 16 kHz, alias of 9 kHz": lambda: _alias_db(48000, 16000, 9000.0),
    "resampler, samples of 5 s": lambda: float(resample(np.zeros((1, 220500)), 44100, 16000).shape[1]),
    "DeSync of early and late clips": _desync_s,
    "level of half a tone": _level_db,
    "Wilson interval of 5 in 10": _wilson,
    "classifier, hash of the weights": _weights_digits,
    "classifier, scenes recognised": _heard_classes,
    **{
        f"classifier, logits of scene {seed}": lambda seed=seed: _heard_logits(seed)  # type: ignore[misc]
        for seed in HEARD_SCENES
    },
    "classifier, embedding at 48 kHz": _embedding,
}
