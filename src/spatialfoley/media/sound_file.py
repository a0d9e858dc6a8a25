"""Sound that stays on disk: read in blocks, so that hours of it need no more memory than seconds."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from spatialfoley.media.container import open_media
from spatialfoley.media.errors import MediaError
from spatialfoley.spatial.signal import BLOCK_SAMPLES, LAYOUT_CHANNELS, Layout

FloatArray = NDArray[np.float32]

_LAYOUT_OF_CHANNELS: dict[int, Layout] = {1: "mono", 2: "stereo", 4: "foa", 6: "5.1", 12: "7.1.4"}


@dataclass(frozen=True)
class SoundFile:
    """A sound file as a `Sound`: opened anew for every pass, of which as many may run as are wanted.

    Attributes:
        path: the file.
        rate_hz: samples per second.
        layout: what the channels mean.
        frames: samples of one channel.
        gain: factor on every sample that is read.
    """

    path: Path
    rate_hz: int
    layout: Layout
    frames: int
    gain: float = 1.0

    @classmethod
    def open(cls, path: str | Path, layout: Layout | None = None) -> "SoundFile":
        """Look at a file that libsndfile reads: WAV, RF64, FLAC, Ogg.

        Args:
            path: the file.
            layout: what the channels mean; None takes 2 channels for binaural where the file's comment says
                so, else for stereo, 1 for mono, 4 for FOA, 6 and 12 for loudspeakers.

        Raises:
            MediaError: no such file, no sound, or a channel count that does not fit the layout.
        """
        source = Path(path)
        with closing(open_media(source)):
            pass  # says in one sentence what is wrong with a missing, empty or foreign file
        try:
            with soundfile.SoundFile(str(source)) as file:
                channels, rate_hz, frames, comment = file.channels, file.samplerate, file.frames, file.comment
        except soundfile.LibsndfileError as error:
            raise MediaError(
                f"{source} is no sound file that can be read in blocks ({error.error_string}); "
                "give a WAV or FLAC file"
            ) from error
        if layout is None and channels == 2 and comment.startswith("binaural"):
            layout = "binaural"
        layout = layout or _LAYOUT_OF_CHANNELS.get(channels)
        if layout is None or LAYOUT_CHANNELS[layout] != channels:
            wanted = (
                "1, 2, 4 (AmbiX), 6 or 12" if layout is None else f"{LAYOUT_CHANNELS[layout]} for {layout}"
            )
            raise MediaError(f"{source} has {channels} channels; give a file with {wanted}")
        if frames == 0:
            raise MediaError(f"{source} holds no sound (0 samples); copy or record it again")
        return cls(source, int(rate_hz), layout, int(frames))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz

    def scaled(self, gain: float) -> "SoundFile":
        """The same sound times a factor, applied when it is read."""
        return replace(self, gain=self.gain * gain)

    def read(self, start: int, count: int) -> FloatArray:
        """Samples ``start`` to ``start + count`` of all channels, shape (C, count).

        Raises:
            ValueError: if the stretch is not inside the file.
            MediaError: if the file holds less than when it was opened, or samples that are not finite.
        """
        if not (start >= 0 and count >= 0 and start + count <= self.frames):
            raise ValueError(
                f"samples {start} to {start + count} of {self.path} are asked for; it has {self.frames}"
            )
        with self._reader(start) as reader:
            return self._next(reader, start, count)

    def blocks(self, length: int = BLOCK_SAMPLES) -> Iterator[FloatArray]:
        """Yield the whole sound in blocks (C, length), the last one as short as it comes out.

        Raises:
            ValueError: if the length is below 1.
            MediaError: if the file holds less than when it was opened, or samples that are not finite.
        """
        if length < 1:
            raise ValueError(f"length is {length}; a block has at least 1 sample")
        with self._reader(0) as reader:
            for start in range(0, self.frames, length):
                yield self._next(reader, start, min(length, self.frames - start))

    def _reader(self, start: int) -> soundfile.SoundFile:
        try:
            reader = soundfile.SoundFile(str(self.path))
            reader.seek(start)
        except (OSError, soundfile.LibsndfileError) as error:
            raise MediaError(f"{self.path} cannot be read any more ({error}); make it again") from error
        return reader

    def _next(self, reader: soundfile.SoundFile, start: int, count: int) -> FloatArray:
        samples = np.ascontiguousarray(reader.read(count, dtype="float32", always_2d=True).T)
        if samples.shape[1] != count:
            raise MediaError(
                f"{self.path} ends at sample {start + samples.shape[1]} of {self.frames}: it was changed or cut "
                "off while it was read; make it again"
            )
        if not np.isfinite(samples).all():
            channel, index = np.argwhere(~np.isfinite(samples))[0]
            raise MediaError(
                f"{self.path} holds {samples[channel, index]} at channel {channel}, sample {start + index}; "
                "every sample must be finite: make it again"
            )
        return samples if self.gain == 1.0 else samples * np.float32(self.gain)


def resampled_blocks(
    blocks: Iterable[FloatArray], channels: int, from_hz: int, to_hz: int, frames: int
) -> Iterator[FloatArray]:
    """The blocks of a sound at another rate, as ``media.audio.resample`` makes them of the whole.

    Args:
        blocks: the sound, (C, n) each.
        channels: C.
        from_hz: its rate.
        to_hz: the wanted rate.
        frames: samples of the result: cut, or filled up with zeros.
    """
    left = frames
    for block in blocks if from_hz == to_hz else _resampled(blocks, channels, from_hz, to_hz):
        if left and block.shape[1]:
            yield block[:, :left]
            left -= min(left, block.shape[1])
    while left:
        count = min(left, BLOCK_SAMPLES)
        yield np.zeros((channels, count), np.float32)
        left -= count


def _resampled(blocks: Iterable[FloatArray], channels: int, from_hz: int, to_hz: int) -> Iterator[FloatArray]:
    stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield _planar(stream.resample_chunk(np.ascontiguousarray(block.T)), channels)
    yield _planar(stream.resample_chunk(np.zeros((0, channels), np.float32), last=True), channels)


def _planar(interleaved: FloatArray, channels: int) -> FloatArray:
    return np.ascontiguousarray(interleaved.reshape(-1, channels).T)
