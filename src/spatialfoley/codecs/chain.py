"""A sound through a second codec and back, which lends it that codec's texture, without moving what is heard.

ViSAGe-SC's slides name "chaining" without a formula; this is our reading. Direction is the ratio of the channels
of a field, so that they are scaled by one common gain, never each by itself; it is taken back afterwards. Every
sample stays at its time, whatever the rates and the frame of the codec, and a channel that is silent stays silent,
where a codec would answer with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import weights
from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.conventions import W
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, Layout, Sound, SpatialAudio

CHAIN_CODECS = ("dac_44khz", "unicodec", "tiny")
"""Codecs that a sound can be sent through, by their names among the models; "dac" is the first one too."""

_TINY_FOLDER = "tiny-visage"
FloatArray = NDArray[np.float32]


class WaveformCodec(Protocol):
    """Codes of sound (B, C, N) and back, aligned with it up to `ChainedCodec.delay_samples`."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    def encode(self, samples: Tensor) -> Tensor:
        """Codes of sound (B, C, N)."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Sound (B, C, at least N) of codes."""
        ...


@dataclass(frozen=True)
class ChainedCodec:
    """A codec to send sound through.

    Attributes:
        name: For messages.
        codec: What codes.
        delay_samples: By how much its output comes later than its input, at its rate. 0 for all that are named
            here: their frames lie symmetrically around the samples that they stand for.
        channels: How many it takes; None for any number.
        device: Where it wants sound to be.
    """

    name: str
    codec: WaveformCodec
    delay_samples: int = 0
    channels: int | None = None
    device: str | torch.device = "cpu"


@dataclass(frozen=True)
class ChainSettings:
    """How sound is sent through a codec.

    Attributes:
        peak: Level to which the loudest moment of the whole sound is brought before it is coded, and taken back
            after; 0.7 (-3 dB of full scale) is what UniCodec and its relatives were trained on.
        silence_db: A channel this far below the loudest moment of the sound is silent, and stays so.
        window_s: Longer sounds are coded in windows of this length, in whole seconds.
        margin_s: What of its neighbours each window hears on both sides, in whole seconds.
        fade_s: Length of the cross-fade between windows.
    """

    peak: float = 0.7
    silence_db: float = -90.0
    window_s: int = 10
    margin_s: int = 1
    fade_s: float = 0.05

    def __post_init__(self) -> None:
        if not 0.0 < self.peak <= 1.0:
            raise ValueError(f"peak is {self.peak}; give a level above 0 and at most 1 (full scale)")
        if not self.silence_db < 0.0:
            raise ValueError(f"silence_db is {self.silence_db}; give a level below 0 dB")
        if self.window_s < 1 or not 1 <= self.margin_s <= self.window_s:
            raise ValueError(
                f"window_s is {self.window_s} and margin_s {self.margin_s}; give whole seconds from 1 on, the "
                "margin not longer than the window"
            )
        if not 0.0 < self.fade_s <= self.margin_s / 2:
            raise ValueError(
                f"fade_s is {self.fade_s}; it must be above 0 and at most half of margin_s {self.margin_s}"
            )


def chain_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names of codecs in the order in which a sound passes them, as "unicodec,dac" or one by one.

    Raises:
        ValueError: If one of them is unknown.
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    full = tuple("dac_44khz" if name.strip() == "dac" else name.strip() for name in given)
    for name in full:
        if name not in CHAIN_CODECS:
            raise ValueError(f"chain has the codec {name!r}; it takes {', '.join(CHAIN_CODECS)}")
    return full


def locate_chain_codec(name: str) -> Path:
    """Where the weights of a codec lie on this machine.

    Args:
        name: One of `CHAIN_CODECS`.

    Raises:
        ValueError: If there is no such codec, or its weights are not here; the sentence says what gets them.
    """
    (full,) = chain_names([name])
    path = weights.locate(_registered(full))
    if path is None:
        raise ValueError(
            f"the codec {full} is not on this machine; get it with `spatialfoley models fetch {full}` or "
            f"`spatialfoley models import {full} PATH`"
        )
    return path / "codec.safetensors" if full == "tiny" else path


def chain_codec_record(name: str) -> dict[str, str]:
    """What a result says of a codec on this machine: its name, and the SHA-256 and the licence of its weights.

    Raises:
        ValueError: As `locate_chain_codec`.
    """
    (full,) = chain_names([name])
    digest = weights.sha256_of(locate_chain_codec(full), weights.home() / "hashes.json")
    return {"codec": full, "weights_sha256": digest, "licence": weights.info(_registered(full)).licence}


def _registered(name: str) -> str:
    """The tiny codec is a part of the tiny model."""
    return _TINY_FOLDER if name == "tiny" else name


def load_chain_codec(
    name: str, device: str | torch.device = "cpu", show: Callable[[str], None] = lambda line: None
) -> ChainedCodec:
    """Load a codec whose weights are on this machine.

    Args:
        name: One of `CHAIN_CODECS`.
        device: Where it runs.
        show: Gets one line on the licence before the weights are read.

    Raises:
        ValueError: If there is no such codec, or its weights are not here.
    """
    (full,) = chain_names([name])
    path = locate_chain_codec(full)
    show(f"chain: {weights.licence_line(_registered(full))}")
    if full == "tiny":
        return ChainedCodec(full, TinyCodec.load(path.parent).to(device), channels=4, device=device)
    codec = UniCodec.load(path, str(device)) if full == "unicodec" else _load_dac(path, str(device))
    return ChainedCodec(full, codec, device=device)


def _load_dac(path: Path, device: str) -> WaveformCodec:
    from spatialfoley.codecs.dac import DacCodec  # transformers is slow to import

    # The original release is one file without a config beside it.
    described = path.is_dir() and (path / "config.json").is_file()
    return DacCodec.load(path if described else weights.weight_files(path)[0], device)


def chained(audio: SpatialAudio, chain: ChainedCodec, settings: ChainSettings | None = None) -> SpatialAudio:
    """Send a sound through a codec.

    Args:
        audio: Of any layout that the codec takes.
        chain: The codec.
        settings: None for the defaults.

    Returns:
        The same layout, rate and length.

    Raises:
        ValueError: If the codec takes another number of channels.
    """
    blocks = list(chained_blocks(audio, chain, settings))
    samples = np.concatenate([np.zeros((len(audio.samples), 0), np.float32), *blocks], axis=1)
    return SpatialAudio(samples, audio.rate_hz, audio.layout)


def chained_blocks(
    sound: Sound, chain: ChainedCodec, settings: ChainSettings | None = None
) -> Iterator[FloatArray]:
    """As `chained`, for a sound of any length, which is read twice and never held as a whole.

    Yields:
        Blocks (C, n), together as long as the sound.

    Raises:
        ValueError: If the codec takes another number of channels.
    """
    s = settings or ChainSettings()
    channels = LAYOUT_CHANNELS[sound.layout]
    if chain.channels not in (None, channels):
        raise ValueError(
            f"the codec {chain.name} takes {chain.channels} channels, but the sound is {sound.layout} and has "
            f"{channels}; give a sound field or another codec"
        )
    loudest = max((_loudest(block, sound.layout) for block in sound.blocks()), default=0.0)
    tail = np.zeros((channels, 0), np.float32)
    for window, before, after in _windows(sound, s):
        coded = _coded(window, sound.rate_hz, chain, loudest, s)
        inner = coded[:, before : coded.shape[1] - after]
        length = tail.shape[1]
        if length:
            rise = ((np.arange(length) + 0.5) / length).astype(np.float32)
            inner = np.concatenate([tail * (1 - rise) + inner[:, :length] * rise, inner[:, length:]], axis=1)
        length = round(s.fade_s * sound.rate_hz) if after else 0
        tail = inner[:, inner.shape[1] - length :]
        yield inner[:, : inner.shape[1] - length]


def _windows(sound: Sound, s: ChainSettings) -> Iterator[tuple[FloatArray, int, int]]:
    """Windows (C, n) of a sound, and how many samples of each are only heard, before and after.

    What is left of two neighbours overlaps by the fade. Windows begin at whole seconds, where samples of all rates
    meet.
    """
    rate_hz = sound.rate_hz
    core, margin = s.window_s * rate_hz, s.margin_s * rate_hz
    fade = round(s.fade_s * rate_hz)
    held, before = np.zeros((LAYOUT_CHANNELS[sound.layout], 0), np.float32), 0
    for block in sound.blocks():
        held = np.concatenate([held, block], axis=1)
        # The last window takes the rest, so that none is shorter than a margin.
        while held.shape[1] > before + core + 2 * margin:
            yield held[:, : before + core + margin], before, margin - fade
            held, before = held[:, before + core - margin :], margin
    if held.shape[1]:
        yield held, before, 0


def _coded(
    window: FloatArray, rate_hz: int, chain: ChainedCodec, loudest: float, s: ChainSettings
) -> FloatArray:
    """A window (C, n) through the codec; `loudest` is of the whole sound."""
    if loudest == 0.0:
        return np.zeros_like(window)
    audible = _audible(window, rate_hz, loudest * 10.0 ** (s.silence_db / 20.0))
    if not audible.any():
        return np.zeros_like(window)
    gain, delay = s.peak / loudest, chain.delay_samples
    at_rate = resample(window * np.float32(gain), rate_hz, chain.codec.rate_hz)
    length = max(at_rate.shape[1], 1)
    at_rate = fit_length(at_rate, length)
    padded = torch.from_numpy(np.pad(at_rate, ((0, 0), (0, delay))))[None]
    codes = chain.codec.encode(padded.to(chain.device))
    decoded = chain.codec.decode(codes)[0, :, delay : delay + length].float().cpu().numpy()
    back = resample(fit_length(decoded, length), chain.codec.rate_hz, rate_hz)
    return fit_length(back, window.shape[1]) * audible / np.float32(gain)


_BLOCKS_PER_S = 200
_SPREAD = 3


def _audible(window: FloatArray, rate_hz: int, threshold: float) -> FloatArray:
    """1 where a channel (C, n) exceeds a level, or soon will or just did, with ramps to 0 elsewhere."""
    size = max(1, rate_hz // _BLOCKS_PER_S)
    count = -(-window.shape[1] // size)
    padded = fit_length(np.abs(window), count * size)
    sounding = padded.reshape(len(window), count, size).max(axis=2) > threshold
    spread = sounding.copy()
    for shift in range(1, _SPREAD + 1):
        spread[:, shift:] |= sounding[:, :-shift]
        spread[:, :-shift] |= sounding[:, shift:]
    middles, samples = (np.arange(count) + 0.5) * size, np.arange(window.shape[1]) + 0.5
    return np.stack([np.interp(samples, middles, channel) for channel in spread]).astype(np.float32)


def _loudest(block: FloatArray, layout: Layout) -> float:
    """Of a field the length of (X, Y, Z) counts, not single channels: the same whichever way it is turned."""
    if layout != "foa":
        return float(np.abs(block).max(initial=0.0))
    others = np.delete(block, W, axis=0)
    return float(np.hypot.reduce(others, axis=0).max(initial=np.abs(block[W]).max(initial=0.0)))
