"""FLAC of 24 bit: half the bytes of WAV, every sample back."""

from pathlib import Path

import numpy as np
import soundfile

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import COMMENTS, refuse_unwritable
from spatialfoley.media.errors import MediaError
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, Sound

_FULL_SCALE_24 = 1 << 23


def write_flac(path: str | Path, audio: Sound) -> None:
    """Write a FLAC file, completely or not at all; what its channels mean is in its comment.

    Args:
        path: the file to write, ending in .flac.
        audio: what to write; sound on disk is read in blocks.

    Raises:
        ValueError: NaN or infinite samples, or a peak above 1.
        MediaError: the name does not end in .flac, or the folder cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".flac":
        raise MediaError(f"cannot write {target}: the name must end in .flac")
    channels = LAYOUT_CHANNELS[audio.layout]
    with (
        atomic_path(target) as temporary,
        soundfile.SoundFile(str(temporary), "w", audio.rate_hz, channels, "PCM_24", format="FLAC") as file,
    ):
        file.comment = COMMENTS.get(audio.layout, audio.layout)
        for block in audio.blocks():
            refuse_unwritable(block)
            file.write(_whole_numbers(block))


def _whole_numbers(block: np.ndarray) -> np.ndarray:
    """Samples as the upper 24 bits of int32, interleaved: what was of 16 or 24 bit comes out as it went in."""
    scaled = np.rint(block.T.astype(np.float64) * _FULL_SCALE_24)
    clipped = np.clip(scaled, -_FULL_SCALE_24, _FULL_SCALE_24 - 1).astype(np.int32)
    return np.ascontiguousarray(clipped << 8)
