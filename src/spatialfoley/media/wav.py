"""A WAV writer whose header never claims loudspeakers: ambisonic files carry channel mask 0.

General WAV writers mark four channels as "quad" or "4.0", and then players and YouTube treat W, Y, Z, X as
four loudspeakers. The header here is WAVE_FORMAT_EXTENSIBLE; files beyond 4 GiB become RF64 (EBU Tech 3306).
"""

import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import numpy as np

Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]

_BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_NO_SPEAKERS = 0x0
_MASKS = {"mono": 0x4, "stereo": 0x3, "binaural": 0x3, "foa": _NO_SPEAKERS, "5.1": 0x3F, "7.1.4": 0x2D63F}
_RIFF_LIMIT = 2**32 - 1


class WavWriter:
    """Writes blocks of samples as they come, so that hours of sound need no memory.

    Trusts its caller about the range of the samples; `write_audio` is the checked way in.
    """

    def __init__(
        self,
        path: str | Path,
        channels: int,
        rate_hz: int,
        layout: str,
        subtype: Subtype,
        comment: str = "",
        keep_frames: int | None = None,
    ) -> None:
        """Begin a file; or go on in one that was begun in the same way, after its first `keep_frames` samples."""
        self._subtype = subtype
        self._frame_bytes = channels * _BYTES[subtype]
        self._frames = keep_frames or 0
        self._before = _header_before_data(channels, rate_hz, _MASKS[layout], subtype, comment)
        mode = "wb" if keep_frames is None else "r+b"
        self._file: BinaryIO = Path(path).open(mode)  # type: ignore[assignment]  # noqa: SIM115 - closed by close()
        header = self._header()
        self._file.write(header)
        self._file.truncate(len(header) + self._frames * self._frame_bytes)
        self._file.seek(0, 2)

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (C, N)."""
        interleaved = np.ascontiguousarray(np.asarray(samples, dtype=np.float32).T)
        self._file.write(_encoded(interleaved, self._subtype))
        self._frames += len(interleaved)

    def flush(self) -> None:
        """Hand what was written to the operating system, so that it outlives this process."""
        self._file.flush()

    def close(self) -> None:
        """Write the final lengths into the header."""
        if self._file.closed:
            return
        if self._frames * self._frame_bytes % 2:
            self._file.write(b"\0")  # chunks are padded to even length
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def __enter__(self) -> "WavWriter":
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _header(self) -> bytes:
        data_bytes = self._frames * self._frame_bytes
        # A JUNK chunk keeps the place of RF64's 64-bit lengths.
        riff_bytes = 4 + 36 + len(self._before) + 8 + data_bytes + data_bytes % 2
        if riff_bytes <= _RIFF_LIMIT:
            head = (
                b"RIFF"
                + struct.pack("<I", riff_bytes)
                + b"WAVE"
                + b"JUNK"
                + struct.pack("<I", 28)
                + bytes(28)
            )
            return head + self._before + b"data" + struct.pack("<I", data_bytes)
        lengths = struct.pack("<QQQI", riff_bytes, data_bytes, self._frames, 0)
        head = b"RF64" + struct.pack("<I", _RIFF_LIMIT) + b"WAVE" + b"ds64" + struct.pack("<I", 28) + lengths
        return head + self._before + b"data" + struct.pack("<I", _RIFF_LIMIT)


def _header_before_data(channels: int, rate_hz: int, mask: int, subtype: Subtype, comment: str) -> bytes:
    width = _BYTES[subtype]
    tag = 3 if subtype == "FLOAT" else 1
    fmt = struct.pack(
        "<HHIIHH", 0xFFFE, channels, rate_hz, rate_hz * channels * width, channels * width, 8 * width
    )
    fmt += struct.pack("<HHI", 22, 8 * width, mask) + struct.pack("<H", tag) + _GUID_TAIL
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    if comment:
        text = comment.encode("utf-8") + b"\0"
        text += b"\0" * (len(text) % 2)
        info = b"INFO" + b"ICMT" + struct.pack("<I", len(text)) + text
        chunks += b"LIST" + struct.pack("<I", len(info)) + info
    return chunks


def _encoded(interleaved: np.ndarray, subtype: Subtype) -> bytes:
    if subtype == "FLOAT":
        return interleaved.astype("<f4").tobytes()
    scale = 2.0 ** (8 * _BYTES[subtype] - 1)
    whole = np.clip(np.rint(interleaved.astype(np.float64) * scale), -scale, scale - 1).astype("<i4")
    if subtype == "PCM_16":
        return whole.astype("<i2").tobytes()
    return whole.reshape(-1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
