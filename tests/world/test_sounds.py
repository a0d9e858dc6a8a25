import dataclasses

import numpy as np
import pytest

from spatialfoley.world import CLASSES, make_scene, render_mono, render_source_signals
from spatialfoley.world.kinds import SOURCE_CLASSES, source_class
from spatialfoley.world.sounds import band_noise

RATE_HZ = 16000


def scene_of(name: str, seed: int = 11, duration_s: float = 5.0):
    scene = make_scene(seed, "centred", "static", duration_s)
    drawn = dataclasses.replace(scene.sources[0], kind=source_class(name))
    events = tuple(dataclasses.replace(event, length_s=0.5 * drawn.kind.sustained) for event in drawn.events)
    return dataclasses.replace(scene, sources=(dataclasses.replace(drawn, events=events),))


def log_mel_means(signal: np.ndarray, bands: int = 40) -> np.ndarray:
    """Mean log-mel spectrum of the parts that sound, without its overall level."""
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bands + 2)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    bins_hz = np.linspace(0, 8000, 257)[:, None]
    rise = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    fall = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    frames = np.lib.stride_tricks.sliding_window_view(signal, 512)[::160]
    frames = frames[frames.std(axis=1) > 1e-3] * np.hanning(512)
    levels = np.log(np.abs(np.fft.rfft(frames)) ** 2 @ np.maximum(0, np.minimum(rise, fall)) + 1e-5)
    return levels.mean(axis=0) - levels.mean()


@pytest.mark.parametrize("name", CLASSES)
def test_sound_begins_at_the_event_and_silence_is_exact(name: str) -> None:
    scene = scene_of(name)
    source = scene.sources[0]
    signal = render_source_signals(scene, RATE_HZ)[0]
    first_sample = int(np.flatnonzero(signal)[0])
    assert first_sample / RATE_HZ == pytest.approx(source.events[0].time_s, abs=2 / RATE_HZ)
    last_possible_s = max(event.time_s + event.length_s for event in source.events) + 1.5
    assert not signal[int(last_possible_s * RATE_HZ) :].any()


@pytest.mark.parametrize("name", CLASSES)
def test_every_event_is_heard_within_20_ms(name: str) -> None:
    scene = scene_of(name)
    signal = render_source_signals(scene, RATE_HZ)[0]
    for event in scene.sources[0].events:
        start = int(event.time_s * RATE_HZ)
        assert np.abs(signal[start : start + 320]).max() > 0.02


@pytest.mark.parametrize("name", CLASSES)
def test_a_scene_sounds_the_same_at_every_rate(name: str) -> None:
    scene = scene_of(name)
    low, high = (render_source_signals(scene, rate_hz)[0] for rate_hz in (16000, 48000))
    assert (len(low), len(high)) == (80000, 240000)
    spectra = [np.fft.rfft(signal)[:30000] / len(signal) for signal in (low, high)]
    difference = np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[0])
    assert difference < 0.03


def test_lengths_are_exact_at_odd_rates() -> None:
    scene = make_scene(3, duration_s=1.37)
    assert render_mono(scene, 44100).shape == (round(1.37 * 44100),)
    assert render_mono(scene, 8000).shape == (10960,)


def test_sounds_never_clip_and_are_finite() -> None:
    for seed in range(40):
        signals = render_source_signals(make_scene(seed, "several"), RATE_HZ)
        assert np.isfinite(signals).all()
        assert np.abs(signals).sum(axis=0).max() <= 0.9 + 1e-6


def test_classes_are_told_apart_by_their_mean_spectrum() -> None:
    features: dict[str, list[np.ndarray]] = {name: [] for name in CLASSES}
    for seed in range(20):
        for kind in SOURCE_CLASSES:
            scene = scene_of(kind.name, seed=1000 * (1 + CLASSES.index(kind.name)) + seed)
            features[kind.name].append(log_mel_means(render_source_signals(scene, RATE_HZ)[0]))
    centroids = np.stack([np.mean(features[name][::2], axis=0) for name in CLASSES])
    held_out = np.stack([features[name][1::2] for name in CLASSES])
    nearest = np.linalg.norm(held_out[:, :, None] - centroids, axis=3).argmin(axis=2)
    accuracy = np.mean(nearest == np.arange(len(CLASSES))[:, None])
    assert accuracy > 0.95


def test_sources_of_one_class_vary() -> None:
    first, second = (render_mono(scene_of("bell", seed)) for seed in (1, 2))
    peaks_hz = [np.argmax(np.abs(np.fft.rfft(signal))) / 5.0 for signal in (first, second)]
    assert abs(np.log2(peaks_hz[0] / peaks_hz[1])) > 0.02


def test_the_same_scene_sounds_the_same_twice() -> None:
    np.testing.assert_array_equal(render_mono(make_scene(9)), render_mono(make_scene(9)))


def test_band_noise_keeps_to_its_band_with_unit_level() -> None:
    noise = band_noise(np.random.default_rng(0), 1.0, RATE_HZ, (1000, 2000))
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert noise.std() == pytest.approx(1.0, rel=1e-6)
    assert power[1000:2000].sum() / power.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_rate_too_low_is_refused() -> None:
    with pytest.raises(ValueError, match="rate_hz is 4000; it must be 8000 or more"):
        render_source_signals(make_scene(0), 4000)


def test_an_unknown_class_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="name is 'cat', but the world has only ball, bell"):
        source_class("cat")
