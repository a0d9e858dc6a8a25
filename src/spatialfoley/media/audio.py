"""Sound files: read anything, write AmbiX WAV that says what it is, resample to exact lengths."""

import math
from contextlib import closing
from pathlib import Path
from typing import get_args

import av
import numpy as np
import soundfile
import soxr

from spatialfoley.conventions import FULL_SCALE
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.container import open_media
from spatialfoley.media.errors import MediaError
from spatialfoley.media.wav import Subtype, WavWriter
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, Layout, Sound, SpatialAudio

AMBIX_COMMENT = "AmbiX ACN SN3D order 1 WYZX"
"""Text that every ambisonic file carries: the header itself has no field for the convention."""

_CODEC_BLOCK_SAMPLES = 2880  # the longest block of AAC and Opus
_LAYOUT_OF_CHANNELS: dict[int, Layout] = {1: "mono", 2: "stereo", 4: "foa", 6: "5.1", 12: "7.1.4"}
COMMENTS = {"foa": AMBIX_COMMENT, "binaural": "binaural, for headphones"}


def read_audio(path: str | Path, layout: Layout | None = None) -> SpatialAudio:
    """Read a sound file, or the first sound of a video file.

    Args:
        path: any file that libsndfile or FFmpeg reads.
        layout: what the channels mean; None guesses 1 mono, 2 stereo, 4 FOA (AmbiX: ACN order, SN3D),
            6 and 12 loudspeakers.

    Returns:
        Samples float32 (C, N) at the file's rate.

    Raises:
        MediaError: no such file, no sound in it, cut off, or a channel count without a layout.
    """
    source = Path(path)
    with closing(open_media(source)):
        pass  # says in one sentence what is wrong with a missing, empty or foreign file
    try:
        # libsndfile first: it keeps the channel order of files in which FFmpeg guesses loudspeakers.
        interleaved, rate_hz = soundfile.read(str(source), dtype="float32", always_2d=True)
        samples = np.ascontiguousarray(interleaved.T)
    except soundfile.LibsndfileError:
        samples, rate_hz = _read_with_ffmpeg(source)
    channels = samples.shape[0]
    guessed = layout or _LAYOUT_OF_CHANNELS.get(channels)
    if guessed is None:
        raise MediaError(f"{source} has {channels} channels; give 1, 2, 4 (AmbiX), 6 or 12, or a layout")
    if samples.shape[1] == 0:
        raise MediaError(f"{source} holds no sound (0 samples); copy or record it again")
    return SpatialAudio(samples, int(rate_hz), guessed)


def write_audio(path: str | Path, audio: Sound, subtype: Subtype = "PCM_24", comment: str = "") -> None:
    """Write a WAV file, completely or not at all.

    Ambisonic files have channel mask 0 and the comment "AmbiX ACN SN3D order 1 WYZX".

    Args:
        path: the file to write, ending in .wav.
        audio: what to write; sound on disk is read in blocks.
        subtype: "PCM_16", "PCM_24" or "FLOAT".
        comment: further text for the file's comment field.

    Raises:
        ValueError: unknown subtype, NaN or infinite samples, or a peak above 1 for PCM.
        MediaError: the name does not end in .wav, or the folder cannot be written.
    """
    target = Path(path)
    if subtype not in get_args(Subtype):
        raise ValueError(f"subtype is {subtype!r}; give one of {', '.join(get_args(Subtype))}")
    if target.suffix.lower() != ".wav":
        raise MediaError(f"cannot write {target}: the name must end in .wav")
    text = "; ".join(part for part in (COMMENTS.get(audio.layout, ""), comment) if part)
    channels = LAYOUT_CHANNELS[audio.layout]
    with (
        atomic_path(target) as temporary,
        WavWriter(temporary, channels, audio.rate_hz, audio.layout, subtype, text) as writer,
    ):
        for block in audio.blocks():
            refuse_unwritable(block, may_exceed_full_scale=subtype == "FLOAT")
            writer.write(block)


def refuse_unwritable(samples: np.ndarray, may_exceed_full_scale: bool = False) -> None:
    """Raise ValueError when samples (C, N) are not finite, or louder than full scale."""
    bad = int(np.size(samples) - np.count_nonzero(np.isfinite(samples)))
    if bad:
        raise ValueError(f"audio has {bad} NaN or infinite samples; nothing was written; check the model")
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak > FULL_SCALE and not may_exceed_full_scale:
        raise ValueError(
            f"audio has a peak of {peak:.4f}, above the limit {FULL_SCALE:g} of whole-number samples; scale "
            "all channels by the same factor, or write subtype='FLOAT'"
        )


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Resample (C, N) with soxr's high quality; the length is exactly round(N * to_hz / from_hz).

    Raises:
        ValueError: not two axes, or a rate that is not positive.
    """
    if samples.ndim != 2:
        raise ValueError(f"samples has shape {samples.shape}; give (channels, samples)")
    for name, rate_hz in (("from_hz", from_hz), ("to_hz", to_hz)):
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"{name} is {rate_hz}; give a rate above 0 Hz")
    length = round(samples.shape[1] * to_hz / from_hz)
    if from_hz == to_hz or samples.shape[1] == 0:
        return np.asarray(samples, dtype=np.float32)
    resampled = soxr.resample(np.ascontiguousarray(samples.T, dtype=np.float32), from_hz, to_hz, quality="HQ")
    return fit_length(np.ascontiguousarray(resampled.T), length)


def fit_length(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut (..., N) to `length` samples, or append silence up to it.

    Raises:
        ValueError: length below 0.
    """
    if length < 0:
        raise ValueError(f"length is {length}; give a number of samples from 0 on")
    missing = length - samples.shape[-1]
    if missing <= 0:
        return samples[..., :length]
    return np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, missing)])


def _read_with_ffmpeg(path: Path) -> tuple[np.ndarray, int]:
    """Decode the first audio stream to float32 (C, N)."""
    with closing(open_media(path)) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} has no sound; give a file with an audio stream")
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        blocks: list[np.ndarray] = []
        try:
            for frame in container.decode(stream):
                blocks += [out.to_ndarray() for out in resampler.resample(frame)]
            blocks += [out.to_ndarray() for out in resampler.resample(None)]
        except av.FFmpegError as error:
            raise MediaError(
                f"the sound of {path} cannot be decoded to its end ({error.strerror}); "
                "copy or convert it again"
            ) from error
        rate_hz = int(stream.rate)
        declared = round(float((stream.duration or 0) * (stream.time_base or 0)) * rate_hz)
    if not blocks:
        raise MediaError(f"{path} has an audio stream without a single sample; copy or convert it again")
    samples = np.concatenate(blocks, axis=1)
    # Codecs decode whole blocks; the container knows where in the last one the sound ends.
    if 0 < samples.shape[1] - declared <= _CODEC_BLOCK_SAMPLES and declared > 0:
        samples = samples[:, :declared]
    return samples, rate_hz
