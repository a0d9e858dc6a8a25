"""Any sound track in blocks: a file's or a video's, of any codec, with hours of it in the memory of seconds.

`SoundFile` is for files whose length and layout are known and that are read more than once; this is for what comes
from outside: lengths that are wrong, tracks that begin after the picture, holes, channels without a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.container import InputContainer

from spatialfoley.media.container import open_media
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_file import FloatArray
from spatialfoley.spatial.signal import BLOCK_SAMPLES, rechunked

_CODEC_BLOCK_SAMPLES = 2880  # the longest block of AAC and Opus: decoders give whole blocks, the last one too
_SHORT_S = 0.5  # by how much a track may fall short of its declared length before it counts as cut off
_HOLE_S = 0.05  # time stamps of containers are rounded to a millisecond; what is longer is a hole


@dataclass(frozen=True)
class StreamedSound:
    """A sound track that is decoded from its start each time it is asked for.

    Attributes:
        path: The file.
        channels: As the track has them, in the order in which the codec gives them.
        rate_hz: Samples per second.
        codec: Such as "flac", "opus", "aac", "pcm_s24le"; for what libsndfile reads its subtype, "pcm_24".
        layout: What the channels are said to be, such as "ambisonic 1", "5.1"; empty where nothing is said.
        stream: Number of the track in the container; None for a file that libsndfile reads.
        declared: Samples that the header states; None where it states none.
    """

    path: Path
    channels: int
    rate_hz: int
    codec: str
    layout: str
    stream: int | None
    declared: int | None

    def blocks(
        self, length: int = BLOCK_SAMPLES, origin_s: float | None = None, longest_s: float | None = None
    ) -> Iterator[FloatArray]:
        """Yield the sound in blocks (C, length), the last one as short as it comes out.

        Holes are filled with silence.

        Args:
            length: Samples of a block.
            origin_s: Moment of the container's clock at which the sound should begin, such as that of a picture:
                what lies before is left out, what is missing is silence. None: at the first sample.
            longest_s: No hole is filled beyond this length.

        Raises:
            MediaError: The track cannot be decoded to its end, ends early, or holds samples that are not finite.
        """
        parts = self._parts_of_file() if self.stream is None else self._parts_of_track(origin_s, longest_s)
        for block in rechunked(parts, length):
            if not np.isfinite(block).all():
                raise MediaError(f"{self.path} holds samples that are not finite; make it again")
            yield block

    def _parts_of_file(self) -> Iterator[FloatArray]:
        read = 0
        try:
            with soundfile.SoundFile(str(self.path)) as file:
                while len(part := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                    read += len(part)
                    yield np.ascontiguousarray(part.T)
        except (OSError, soundfile.LibsndfileError) as error:
            raise MediaError(f"the sound of {self.path} cannot be decoded to its end ({error})") from error
        self._require_whole(read)

    def _parts_of_track(self, origin_s: float | None, longest_s: float | None) -> Iterator[FloatArray]:
        with closing(open_media(self.path)) as container:
            track: Any = container.streams[self.stream or 0]
            resampler = av.AudioResampler(format="fltp", layout=track.layout, rate=self.rate_hz)
            clock = _Clock(self.rate_hz, origin_s, longest_s)
            try:
                # Codecs decode whole blocks; the container knows where in the last one the sound ends.
                yield from self._trimmed(clock.in_place(_decoded(container, track, resampler)), clock)
            except av.FFmpegError as error:
                raise MediaError(
                    f"the sound of {self.path} cannot be decoded to its end ({error.strerror}); "
                    "copy or convert it again"
                ) from error
        self._require_whole(clock.decoded and clock.given - clock.shift)

    def _trimmed(self, parts: Iterator[FloatArray], clock: _Clock) -> Iterator[FloatArray]:
        if self.declared is None:
            yield from parts
            return
        held: list[FloatArray] = []
        for part in parts:
            over = min(clock.given - clock.shift - self.declared, part.shape[1])
            if over <= 0:
                yield part
                continue
            yield part[:, : part.shape[1] - over]
            held.append(part[:, part.shape[1] - over :])
            if sum(block.shape[1] for block in held) > _CODEC_BLOCK_SAMPLES:
                yield from held  # the header was wrong, not the last block
                held = []

    def _require_whole(self, read: int) -> None:
        if read == 0:
            raise MediaError(
                f"{self.path} has a sound track without a single sample; copy or convert it again"
            )
        if self.declared is not None and read < self.declared - _SHORT_S * self.rate_hz:
            raise MediaError(
                f"the sound of {self.path} ends after {read / self.rate_hz:.2f} s of the "
                f"{self.declared / self.rate_hz:.2f} s that it states: it is cut off; copy it again"
            )


class _Clock:
    """Puts decoded parts where their time stamps say."""

    def __init__(self, rate_hz: int, origin_s: float | None, longest_s: float | None) -> None:
        self.rate_hz, self.origin_s = rate_hz, origin_s
        self.longest = None if longest_s is None else round(longest_s * rate_hz)
        self.given = self.decoded = 0
        self.shift = 0
        """Samples of silence before the first sample; below 0, samples that were left out."""

    def in_place(self, parts: Iterator[tuple[float | None, FloatArray]]) -> Iterator[FloatArray]:
        for time_s, part in parts:
            if time_s is not None:
                missing = self._missing(time_s)
                while missing > 0:
                    silence = np.zeros((part.shape[0], min(missing, BLOCK_SAMPLES)), np.float32)
                    self.given += silence.shape[1]
                    missing -= silence.shape[1]
                    yield silence
            self.decoded += part.shape[1]
            # Samples before the origin are counted as given below zero, so that nothing else has to know of them.
            self.given += part.shape[1]
            late = part[:, max(0, part.shape[1] - max(0, self.given)) :]
            if late.shape[1]:
                yield late

    def _missing(self, time_s: float) -> int:
        """Samples of silence to be put before a part."""
        if self.decoded == 0:
            origin_s = time_s if self.origin_s is None else self.origin_s
            self.origin_s = origin_s
            offset_s = time_s - origin_s
            # A millisecond is the rounding of a container, not a delay.
            self.shift = 0 if abs(offset_s) < 1.5e-3 else round(offset_s * self.rate_hz)
            self.given = min(0, self.shift)
            return self._bounded(max(0, self.shift))
        assert self.origin_s is not None
        hole = round((time_s - self.origin_s) * self.rate_hz) - self.given
        return self._bounded(hole) if hole > _HOLE_S * self.rate_hz else 0

    def _bounded(self, missing: int) -> int:
        return missing if self.longest is None else max(0, min(missing, self.longest - self.given))


def open_sound(path: str | Path, prefer_channels: tuple[int, ...] = ()) -> StreamedSound | None:
    """The sound of a file, or a track of a video; None where there is none.

    Args:
        path: Any file that libsndfile or FFmpeg reads.
        prefer_channels: Of several tracks take the first with so many channels; otherwise the first.

    Raises:
        MediaError: No such file, or no media file.
    """
    source = Path(path)
    with closing(open_media(source)) as container:
        tracks = [track for track in container.streams.audio if track.channels]
        try:
            # libsndfile first: it keeps the channel order of files in which FFmpeg guesses loudspeakers.
            with soundfile.SoundFile(str(source)) as file:
                declared = file.frames if 0 < file.frames < 2**62 else None
                layout = tracks[0].layout.name if tracks and tracks[0].channels == file.channels else ""
                codec = file.subtype.lower()
                return StreamedSound(
                    source, file.channels, int(file.samplerate), codec, layout, None, declared
                )
        except soundfile.LibsndfileError:
            pass  # a video, or a codec that only FFmpeg knows
        if not tracks:
            return None
        chosen = next((track for track in tracks if track.channels in prefer_channels), tracks[0])
        rate_hz = int(chosen.rate)
        length_s = float((chosen.duration or 0) * (chosen.time_base or 0))
        return StreamedSound(
            path=source,
            channels=int(chosen.channels),
            rate_hz=rate_hz,
            codec=str(chosen.codec_context.name),
            layout=str(chosen.layout.name),
            stream=int(chosen.index),
            declared=round(length_s * rate_hz) or None,
        )


def _decoded(
    container: InputContainer, track: Any, resampler: av.AudioResampler
) -> Iterator[tuple[float | None, FloatArray]]:
    """Parts and their times on the container's clock."""
    for frame in container.decode(track):
        time_s = None if frame.pts is None else float(frame.pts * frame.time_base)
        for out in resampler.resample(frame):
            yield time_s, out.to_ndarray()
            time_s = None
    for out in resampler.resample(None):
        yield None, out.to_ndarray()
