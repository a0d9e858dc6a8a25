"""Procedural sounds: each class has its own recipe, each event a start to the sample and its own pitch.

Everything lies below 7.5 kHz and noise is drawn in the frequency domain, so that one scene sounds the same at
every rate of 16 kHz or more; lower rates lose what they cannot hold.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from spatialfoley.timeline import sample_count
from spatialfoley.world.events import Event
from spatialfoley.world.recordings import recorded_sound
from spatialfoley.world.scenes import Scene, Source

BAND_LIMIT_HZ: Final = 7500.0
PEAK_LIMIT: Final = 0.9
TABLE_SIZE: Final = 4096

Recipe = Callable[[np.random.Generator, Source, Event, int], np.ndarray]


def render_source_signals(scene: Scene, rate_hz: int = 16000) -> np.ndarray:
    """Synthesise each source by itself, as heard at the place of the listener, without direction or room.

    Args:
        scene: The scene.
        rate_hz: Sample rate, 8000 or more.

    Returns:
        float32 of shape (sources, N) with N = duration × rate; the sum of magnitudes stays below 0.9. Exactly
        zero where no event sounds.

    Raises:
        ValueError: If the rate is too low.
    """
    if rate_hz < 8000:
        raise ValueError(f"rate_hz is {rate_hz}; it must be 8000 or more")
    length = sample_count(scene.duration_s, rate_hz)
    signals = np.zeros((len(scene.sources), length), np.float32)
    for index, source in enumerate(scene.sources):
        rng = np.random.default_rng((source.sound_seed, 5))
        for event in source.events:
            stream = np.random.default_rng(int(rng.integers(2**31)))
            start = int(np.ceil(event.time_s * rate_hz - 1e-6))
            if scene.settings.recordings is None:
                sound = RECIPES[source.class_name](stream, source, event, rate_hz)
            else:
                sound = recorded_sound(scene.settings.recordings, source, event, rate_hz)
            end = min(length, start + len(sound))
            if end > start:
                signals[index, start:end] += (source.gain * event.strength * sound[: end - start]).astype(
                    np.float32
                )
    loudest = float(np.abs(signals).sum(axis=0).max(initial=0.0))
    if loudest > PEAK_LIMIT:
        signals *= PEAK_LIMIT / loudest
    return signals


def band_noise(
    rng: np.random.Generator,
    length_s: float,
    rate_hz: int,
    band_hz: tuple[float, float],
    tilt: float = 0.0,
    first_s: float = 0.0,
) -> np.ndarray:
    """Draw noise of unit RMS between two frequencies, the same realisation at every rate.

    Args:
        rng: Generator of the noise.
        length_s: Length; rounded up to 20 ms so that common rates give whole samples.
        rate_hz: Sample rate.
        band_hz: Lower and upper band edge; the upper is at most ``BAND_LIMIT_HZ``.
        tilt: Power of frequency that the spectrum falls with: 0 white, 0.5 pink.
        first_s: Time of the first sample, so that the noise begins between samples as tones do.

    Returns:
        Samples, shape (N,).
    """
    blocks = int(np.ceil(length_s / 0.02))
    length = round(blocks * 0.02 * rate_hz)
    low, high = (round(edge * blocks * 0.02) for edge in band_hz)
    coefficients = rng.standard_normal(2 * (high - low)).view(complex)
    if tilt:
        coefficients = coefficients * (np.arange(low, high) / low) ** -tilt
    coefficients /= np.sqrt(2 * np.sum(np.abs(coefficients) ** 2))
    coefficients = coefficients * np.exp(2j * np.pi * np.arange(low, high) * (first_s / (blocks * 0.02)))
    held = min(length // 2 + 1, high)
    spectrum = np.zeros(length // 2 + 1, complex)
    spectrum[low:held] = coefficients[: held - low]
    return np.fft.irfft(spectrum, length) * length


def _times_s(event: Event, length_s: float, rate_hz: int) -> np.ndarray:
    """Return seconds since the event at each sample from the first one after it on, shape (N,)."""
    first = np.ceil(event.time_s * rate_hz - 1e-6) / rate_hz - event.time_s
    return max(first, 0.0) + np.arange(round(length_s * rate_hz)) / rate_hz


def _fade_end(sound: np.ndarray, rate_hz: int, fade_s: float = 0.01) -> np.ndarray:
    count = min(len(sound), round(fade_s * rate_hz))
    sound[len(sound) - count :] *= np.linspace(1, 0, count)
    return sound


def _hold(times_s: np.ndarray, length_s: float, attack_s: float, release_s: float) -> np.ndarray:
    """Return an envelope that rises, holds until ``length_s`` and falls, shape (N,)."""
    return np.clip(np.minimum(times_s / attack_s, (length_s + release_s - times_s) / release_s), 0, 1)


def _periodic(cycles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a sum of harmonics along a running phase in cycles, through a table; unit peak."""
    grid = np.arange(TABLE_SIZE) / TABLE_SIZE
    harmonics = np.arange(1, len(weights) + 1)[:, None]
    table = (weights[:, None] * np.sin(2 * np.pi * harmonics * grid)).sum(axis=0)
    table /= np.abs(table).max()
    return table[(cycles * TABLE_SIZE).astype(np.int64) % TABLE_SIZE]


def _ball(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, 0.45, rate_hz)
    base_hz = 150.0 * source.pitch * event.pitch
    # Integral of base × (1 + 1.3 exp(-t / 35 ms)): the pitch drops as the ball springs back.
    phase = 2 * np.pi * base_hz * (t + 1.3 * 0.035 * (1 - np.exp(-t / 0.035)))
    body = (np.sin(phase) + 0.35 * np.sin(2 * phase) + 0.15 * np.sin(3 * phase)) * np.exp(
        -t / (0.09 * source.decay)
    )
    slap = band_noise(rng, 0.04, rate_hz, (300, 2500), first_s=t[0])
    body[: len(slap)] += 0.25 * slap * np.exp(-t[: len(slap)] / 0.006)
    return _fade_end(0.55 * body, rate_hz)


def _bell(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, 1.4, rate_hz)
    base_hz = 620.0 * source.pitch * event.pitch
    sound = np.zeros_like(t)
    for ratio, level, decay_s in ((1.0, 0.5, 0.45), (2.0, 0.4, 0.32), (2.76, 0.45, 0.24), (5.4, 0.2, 0.1)):
        frequency_hz = base_hz * ratio
        if frequency_hz < min(BAND_LIMIT_HZ, 0.45 * rate_hz):
            sound += level * np.exp(-t / (decay_s * source.decay)) * np.sin(2 * np.pi * frequency_hz * t)
    return _fade_end(0.55 * sound, rate_hz, 0.1)


def _drum(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, 0.5, rate_hz)
    tone_hz = 185.0 * source.pitch * event.pitch
    rattle = band_noise(rng, 0.5, rate_hz, (900, 6500), first_s=t[0])[: len(t)] * np.exp(
        -t / (0.075 * source.decay)
    )
    skin = np.sin(2 * np.pi * tone_hz * t) * np.exp(-t / 0.06)
    return _fade_end(np.clip(0.27 * rattle + 0.4 * skin, -0.9, 0.9), rate_hz)


def _rotor(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, event.length_s + 0.15, rate_hz)
    base_hz = 82.0 * source.pitch * event.pitch
    # The engine comes up to speed within 120 ms, as its blades do in the picture.
    cycles = base_hz * (t - 0.4 * 0.05 * (1 - np.exp(-t / 0.05)))
    weights = 1.0 / np.arange(1, 19) ** 0.7
    beat = 1 - 0.35 * (0.5 + 0.5 * np.cos(2 * np.pi * cycles / 6))
    return 0.62 * _periodic(cycles, weights) * beat * _hold(t, event.length_s, 0.015, 0.12)


def _lamp(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    length_s = 0.3 * source.decay
    t = _times_s(event, length_s, rate_hz)
    buzz_hz = 95.0 * source.pitch * event.pitch
    crackle = band_noise(rng, length_s, rate_hz, (3200, 7000), first_s=t[0])[: len(t)]
    gate = (0.5 + 0.5 * np.cos(2 * np.pi * buzz_hz * t)) ** 2
    return 0.3 * np.clip(crackle, -2.8, 2.8) * gate * np.clip(1 - t / length_s, 0, 1) ** 0.7


def _bird(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    scale = source.pitch * event.pitch
    sound = []
    for (low_hz, high_hz), length_s in (((2200, 3600), 0.085), ((3700, 2500), 0.11)):
        t = _times_s(event, length_s, rate_hz)
        slope = (high_hz - low_hz) / length_s
        phase = 2 * np.pi * scale * (low_hz * t + 0.5 * slope * t**2)
        sound.append(np.sin(phase) * np.clip(np.minimum(t / 0.006, (length_s - t) / 0.03), 0, 1))
        sound.append(np.zeros(round(0.025 * rate_hz)))
    return 0.6 * np.concatenate(sound)


def _fountain(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, event.length_s + 0.1, rate_hz)
    band_hz = (400 * source.pitch, 7000)
    hiss = band_noise(rng, event.length_s + 0.12, rate_hz, band_hz, tilt=0.4, first_s=t[0])[: len(t)]
    ripple = 1 + 0.25 * np.sin(2 * np.pi * 7 * source.pitch * t + rng.uniform(0, 6))
    return 0.17 * np.clip(hiss, -3.5, 3.5) * ripple * _hold(t, event.length_s, 0.015, 0.1)


def _metronome(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, 0.12, rate_hz)
    base_hz = 1250.0 * source.pitch * event.pitch
    knock = np.sin(2 * np.pi * base_hz * t) * np.exp(-t / (0.016 * source.decay))
    edge = 0.5 * np.sin(2 * np.pi * 2.32 * base_hz * t) * np.exp(-t / (0.008 * source.decay))
    return _fade_end(0.6 * (knock + edge), rate_hz)


def _horn(rng: np.random.Generator, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    t = _times_s(event, event.length_s + 0.08, rate_hz)
    base_hz = 370.0 * source.pitch * event.pitch
    vibrato = 0.012 * base_hz / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * t)
    weights = np.array([1.0, 0.8, 0.9, 0.6, 0.4, 0.25, 0.12])
    return 0.55 * _periodic(base_hz * t + vibrato, weights) * _hold(t, event.length_s, 0.015, 0.07)


RECIPES: Final[dict[str, Recipe]] = {
    "ball": _ball,
    "bell": _bell,
    "drum": _drum,
    "rotor": _rotor,
    "lamp": _lamp,
    "bird": _bird,
    "fountain": _fountain,
    "metronome": _metronome,
    "horn": _horn,
}
