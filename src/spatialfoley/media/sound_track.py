"""One encoded sound track that grows together with the picture and ends with it to the sample."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.container import OutputContainer

from spatialfoley.media.audio import fit_length, refuse_unwritable
from spatialfoley.media.sound_file import FloatArray, resampled_blocks
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, Sound

SoundCodec = Literal["aac", "opus"]

_OPUS_RATE_HZ = 48000
_AAC_RATES_HZ = (32000, 44100, 48000)
_STEREO_BIT_RATE = 256_000
# Direction survives Opus from 512 kb/s on for four channels; at 256 kb/s the field already loses its focus.
_AMBISONIC_BIT_RATE = 640_000
_BLOCK_SAMPLES = 1 << 15


class SoundTrack:
    """Feeds an encoder in step with the picture, so that neither waits in memory for the other."""

    def __init__(self, container: OutputContainer, audio: Sound, codec: SoundCodec, ambisonic: bool) -> None:
        """Add the track to `container`, before anything is written to it.

        Samples that are bad raise ValueError when their turn comes.

        Raises:
            ValueError: the layout cannot be played as given, or the codec does not fit.
        """
        _check(audio, codec, ambisonic)
        self.rate_hz = coded_rate_hz(audio.rate_hz, codec)
        self._channels = LAYOUT_CHANNELS[audio.layout]
        self._blocks = self._at_coded_rate(audio)
        self._held: FloatArray = np.zeros((self._channels, 0), np.float32)
        self._layout = "ambisonic 1" if ambisonic else ("mono" if audio.layout == "mono" else "stereo")
        self._container = container
        self._stream: Any = _add_stream(container, codec, self.rate_hz, self._layout)
        self.samples_written = 0

    def advance(self, until_s: float) -> None:
        """Encode the sound up to `until_s` seconds."""
        self._encode_up_to(int(until_s * self.rate_hz))

    def finish(self, duration_s: float) -> None:
        """Encode the rest and end at exactly round(duration_s * rate): cut, or padded with silence."""
        self._encode_up_to(round(duration_s * self.rate_hz))
        self._container.mux(self._stream.encode(None))

    def _encode_up_to(self, end: int) -> None:
        while self.samples_written < end:
            stop = min(end, self.samples_written + _BLOCK_SAMPLES)
            block = self._next(stop - self.samples_written)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block), format="fltp", layout=self._layout
            )
            frame.sample_rate = self.rate_hz
            frame.time_base = Fraction(1, self.rate_hz)
            frame.pts = self.samples_written
            self._container.mux(self._stream.encode(frame))
            self.samples_written = stop

    def _next(self, count: int) -> FloatArray:
        """The next samples of the sound, and silence behind its end."""
        while self._held.shape[1] < count:
            block = next(self._blocks, None)
            if block is None:
                self._held = fit_length(self._held, count)
            else:
                self._held = np.concatenate([self._held, block], axis=1)
        wanted, self._held = self._held[:, :count], self._held[:, count:]
        return wanted

    def _at_coded_rate(self, audio: Sound) -> Iterator[FloatArray]:
        frames = round(audio.frames * self.rate_hz / audio.rate_hz)
        for block in resampled_blocks(_checked(audio), self._channels, audio.rate_hz, self.rate_hz, frames):
            # Resampling can overshoot full scale a little; encoders would clip it anyway.
            yield np.clip(block, -1.0, 1.0)


def _checked(audio: Sound) -> Iterator[FloatArray]:
    for block in audio.blocks(_BLOCK_SAMPLES):
        refuse_unwritable(block)
        yield block


def _check(audio: Sound, codec: str, ambisonic: bool) -> None:
    if codec not in ("aac", "opus"):
        raise ValueError(f"codec is {codec!r}; give 'aac' or 'opus'")
    if ambisonic and audio.layout != "foa":
        raise ValueError(
            f"audio has layout {audio.layout!r} but ambisonic=True needs 'foa'; leave ambisonic out"
        )
    if not ambisonic and audio.layout not in ("mono", "stereo", "binaural"):
        raise ValueError(
            f"audio has layout {audio.layout!r}, which players send to the wrong loudspeakers; render it "
            "to binaural or stereo first, or set ambisonic=True for 'foa'"
        )
    if ambisonic and codec == "aac":
        # Measured: AAC turns a source at (-135, -30) degrees to (-149, -35); Opus family 2 keeps it.
        raise ValueError("codec 'aac' bends the directions of ambisonic sound; use codec='opus'")


def default_codec(path: Path) -> SoundCodec:
    """AAC in mp4, which plays everywhere; Opus in Matroska, which cannot end AAC to the sample."""
    return "opus" if path.suffix.lower() == ".mkv" else "aac"


def coded_rate_hz(rate_hz: int, codec: str) -> int:
    """Rate at which sound of `rate_hz` is stored: Opus knows only 48 kHz, AAC keeps the usual rates."""
    return rate_hz if codec == "aac" and rate_hz in _AAC_RATES_HZ else _OPUS_RATE_HZ


def _add_stream(container: OutputContainer, codec: str, rate_hz: int, layout: str) -> Any:
    if layout == "ambisonic 1":
        options = {"mapping_family": "2"}
        stream: Any = container.add_stream("libopus", rate=rate_hz, layout=layout, options=options)
        stream.bit_rate = _AMBISONIC_BIT_RATE
        stream.metadata["SA3D"] = "ambisonic 1"  # makes the mp4 muxer write the SA3D box
        return stream
    # Intensity stereo and noise substitution throw away the time differences between the ears.
    options = {"aac_is": "0", "aac_pns": "0"} if codec == "aac" else {}
    encoder = "aac" if codec == "aac" else "libopus"
    stream = container.add_stream(encoder, rate=rate_hz, layout=layout, options=options)
    stream.bit_rate = _STEREO_BIT_RATE if layout == "stereo" else _STEREO_BIT_RATE // 2
    return stream
