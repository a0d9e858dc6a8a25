"""Pictures of sound as PNG files in memory: energy maps over time in one sheet, and spectrograms.

Values are levels from 0 (as quiet as the scale goes) to 1 (the loudest of the picture), painted with the one colour
scale of the report. PNG is written with `zlib` alone, so that reports need no picture library.

References:
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025.
    Stevens, Volkmann and Newman, JASA 1937; O'Shaughnessy, "Speech Communication", 1987 (mel scale).
"""

import math
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spatialfoley.evaluation.report.colours import LEVELS, scale_rgb
from spatialfoley.spatial.direction import angles_deg
from spatialfoley.spatial.energy_map import beam_rms, covariance, energy_map, peak_vectors
from spatialfoley.spatial.projection import panorama_directions
from spatialfoley.spatial.signal import SpatialAudio, require_layout

FloatArray = npt.NDArray[np.floating]

MAP_RANGE_DB = 15.0
"""Of the colours of a map, below the loudest direction of its moment; the beam of a plane wave falls to that 130°
away from it."""
AUDIBLE_RANGE_DB = 30.0
"""Moments that are quieter than the loudest one by more than this stay dark and have no direction."""
SPECTRUM_RANGE_DB = 70.0

_MAP_HEIGHT, _MAP_WIDTH = 60, 120
_MAP_BORDER = 1
"""Cells of a sheet repeat their edge, so that a browser's smoothing does not draw in the neighbour."""
_MAP_STEP_S, _MOST_MAPS = 0.2, 60
_SPECTRUM_ROWS, _SPECTRUM_COLUMNS = 72, 240
_SPECTRUM_WINDOW_S = 0.032
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16000.0


@dataclass(frozen=True, eq=False)
class MapSheet:
    """Energy maps of one sound, moment after moment, in one picture.

    Attributes:
        png: The sheet: maps from left to right, then from top to bottom, each with a border of one cell.
        columns: Maps in a row of the sheet.
        rows: Rows of the sheet.
        peaks_deg: Azimuth and elevation of the loudest direction of each moment; None where nothing can be told.
        loudest_db: Level of the loudest direction at its loudest moment, re full scale; minus infinity if silent.
    """

    png: bytes
    columns: int
    rows: int
    peaks_deg: tuple[tuple[float, float] | None, ...]
    loudest_db: float

    @property
    def scale(self) -> tuple[float, float]:
        """Width and height of the sheet in widths and heights of one map without its border."""
        width = self.columns * (_MAP_WIDTH + 2 * _MAP_BORDER) / _MAP_WIDTH
        return width, self.rows * (_MAP_HEIGHT + 2 * _MAP_BORDER) / _MAP_HEIGHT

    def offset(self, moment: int) -> tuple[float, float]:
        """Where a map begins in the sheet, from left and from top, in widths and heights of one map."""
        row, column = divmod(moment, self.columns)
        left = (column * (_MAP_WIDTH + 2 * _MAP_BORDER) + _MAP_BORDER) / _MAP_WIDTH
        return left, (row * (_MAP_HEIGHT + 2 * _MAP_BORDER) + _MAP_BORDER) / _MAP_HEIGHT


def map_moments(duration_s: float) -> tuple[int, float]:
    """How many maps a clip gets and how far they are apart: one per 0.2 s, at most 60."""
    step_s = max(_MAP_STEP_S, duration_s / _MOST_MAPS)
    return max(1, math.ceil(duration_s / step_s - 1e-6)), step_s


def map_sheet(field: SpatialAudio, duration_s: float) -> MapSheet:
    """Maps of a field over a duration; behind its end the field is silent.

    Args:
        field: Layout "foa".
        duration_s: Of the longest sound of the clip.
    """
    require_layout(field, "foa", "field")
    count, step_s = map_moments(duration_s)
    bounds = np.round(np.arange(count + 1) * step_s * field.rate_hz).astype(int)
    covariances = np.stack([covariance(field.samples[:, start:stop]) for start, stop in pairwise(bounds)])
    maps = beam_rms(covariances, panorama_directions(_MAP_HEIGHT, _MAP_WIDTH))
    loudest = maps.max(axis=(1, 2), keepdims=True)
    audible = loudest > loudest.max() * 10 ** (-AUDIBLE_RANGE_DB / 20)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    levels = np.zeros((rows * columns, _MAP_HEIGHT, _MAP_WIDTH))
    levels[:count] = np.where(audible, _levels(maps, loudest, MAP_RANGE_DB), 0)
    # Left and right edge of a panorama are one line behind the listener.
    bordered = np.pad(levels, ((0, 0), (0, 0), (_MAP_BORDER, _MAP_BORDER)), mode="wrap")
    bordered = np.pad(bordered, ((0, 0), (_MAP_BORDER, _MAP_BORDER), (0, 0)), mode="edge")
    height, width = bordered.shape[1:]
    sheet = bordered.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, -1)
    peaks = _peaks_deg(covariances, audible[:, 0, 0])
    return MapSheet(level_png(sheet), columns, rows, peaks, _db(float(loudest.max())))


def spectrogram_levels(sound: SpatialAudio, duration_s: float, top_hz: float) -> FloatArray:
    """Spectrogram of every channel, shape (C, 72, 240): high frequencies first, time from left to right.

    Frequencies lie on the mel scale from 40 Hz to `top_hz`; levels are relative to the loudest cell of all
    channels, over `SPECTRUM_RANGE_DB`.
    """
    window = max(16, round(_SPECTRUM_WINDOW_S * sound.rate_hz))
    step_s = duration_s / _SPECTRUM_COLUMNS
    parts = max(1, math.ceil(step_s / (_SPECTRUM_WINDOW_S / 2)))
    centres_s = (np.arange(_SPECTRUM_COLUMNS * parts) + 0.5) * step_s / parts
    starts = np.round(centres_s * sound.rate_hz).astype(int)  # of the padded sound, so centred in the window
    length = int(starts[-1]) + window
    padded = np.pad(sound.samples, ((0, 0), (window // 2, max(0, length - window // 2 - sound.frames))))
    frames = padded[:, starts[:, None] + np.arange(window)] * np.hanning(window).astype(np.float32)
    bins = 1 << max(11, (window - 1).bit_length())
    power = np.abs(np.fft.rfft(frames, bins, axis=-1)) ** 2
    power = power.reshape(len(power), _SPECTRUM_COLUMNS, parts, -1).mean(axis=2)
    bands = np.sqrt(power @ _mel_bands(bins, sound.rate_hz, top_hz).T).swapaxes(1, 2)[:, ::-1]
    return _levels(bands, bands.max(), SPECTRUM_RANGE_DB)


def top_frequency_hz(sounds: list[SpatialAudio]) -> float:
    """Upper end of the spectrograms of sounds that stand side by side."""
    return min(_HIGHEST_HZ, max(sound.rate_hz for sound in sounds) / 2)


def frequency_height(frequency_hz: float, top_hz: float) -> float:
    """Where a frequency lies in a spectrogram, 0 at the bottom and 1 at the top."""
    return (_mel(frequency_hz) - _mel(_LOWEST_HZ)) / (_mel(top_hz) - _mel(_LOWEST_HZ))


def level_png(levels: FloatArray) -> bytes:
    """A PNG of levels (H, W) in [0, 1] in the colours of the scale; beyond they are clipped."""
    indices = np.round(np.clip(levels, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    # Neighbours are alike, so differences pack smaller where pictures are smooth.
    left = np.zeros_like(indices)
    left[:, 1:] = indices[:, :-1]
    packed = min((_packed(indices, 0), _packed(indices - left, 1)), key=len)
    return _png(indices.shape[1], indices.shape[0], 3, packed, scale_rgb().tobytes())


def rgb_png(picture: npt.NDArray[np.uint8], longest_side_px: int) -> bytes:
    """A PNG of a picture (H, W, 3), averaged over whole blocks until it fits about `longest_side_px`."""
    block = max(1, math.ceil(max(picture.shape[:2]) / longest_side_px))
    height, width = max(1, picture.shape[0] // block), max(1, picture.shape[1] // block)
    cut = picture[: height * block, : width * block].astype(np.float32)
    small = cut.reshape(height, -1, width, cut.shape[1] // width, 3).mean(axis=(1, 3))
    pixels = np.round(small).astype(np.uint8)
    left = np.zeros_like(pixels)
    left[:, 1:] = pixels[:, :-1]
    return _png(width, height, 2, _packed((pixels - left).reshape(height, -1), 1))


def _levels(amplitudes: FloatArray, loudest: FloatArray, range_db: float) -> FloatArray:
    """Levels in [0, 1] of amplitudes below a loudest one; 0 for silence."""
    ratio = amplitudes / np.where(loudest > 0, loudest, 1.0)
    return 1 + 20 * np.log10(np.maximum(ratio, 10 ** (-range_db / 20))) / range_db


def _peaks_deg(
    covariances: FloatArray, audible: npt.NDArray[np.bool_]
) -> tuple[tuple[float, float] | None, ...]:
    """Loudest direction of each moment, unless the moment is too quiet or the same all around."""
    vectors = peak_vectors(energy_map(covariances))
    peaks: list[tuple[float, float] | None] = []
    for vector, heard in zip(vectors, audible, strict=True):
        azimuth_deg, elevation_deg = angles_deg(vector)
        known = bool(heard) and bool(np.isfinite(vector).all())
        peaks.append((round(float(azimuth_deg), 1), round(float(elevation_deg), 1)) if known else None)
    return tuple(peaks)


def _mel_bands(bins: int, rate_hz: int, top_hz: float) -> FloatArray:
    """Triangles of equal width in mel, at least two bins wide, each with sum 1: (rows, bins / 2 + 1)."""
    frequencies = np.fft.rfftfreq(bins, 1 / rate_hz)
    mels = np.linspace(_mel(_LOWEST_HZ), _mel(top_hz), _SPECTRUM_ROWS + 1)
    centres = 700 * (10 ** ((mels[:-1] + np.diff(mels) / 2) / 2595) - 1)
    widths = np.maximum(np.gradient(centres), 1.01 * rate_hz / bins)
    bands = np.maximum(0.0, 1 - np.abs(frequencies - centres[:, None]) / widths[:, None])
    return bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-12)


def _mel(frequency_hz: float) -> float:
    return 2595 * math.log10(1 + frequency_hz / 700)


def _db(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def _packed(rows: npt.NDArray[np.uint8], filter_type: int) -> bytes:
    marked = np.concatenate([np.full((len(rows), 1), filter_type, np.uint8), rows], axis=1)
    return zlib.compress(marked.tobytes(), 9)


def _png(width: int, height: int, colour_type: int, packed: bytes, palette: bytes = b"") -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"IDAT", packed), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
