"""Head filters: impulse responses from the four channels of a field to the two ears."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from math import gcd

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import FOA_CHANNELS, Y

_OMNITONE_FILE = "omnitone_foa_wyzx_left_48k.wav"


@dataclass(frozen=True, eq=False)
class HeadFilters:
    """Impulse responses from W, Y, Z, X (SN3D) to the left and the right ear.

    Attributes:
        responses: Shape (2 ears, 4, taps), left ear first.
        rate_hz: Samples per second.
        name: Where they come from, for reports.
    """

    responses: npt.NDArray[np.float32]
    rate_hz: int
    name: str

    def __post_init__(self) -> None:
        shape = np.shape(self.responses)
        if len(shape) != 3 or shape[:2] != (2, len(FOA_CHANNELS)) or shape[2] == 0:
            raise ValueError(f"responses has shape {shape}; head filters have shape (2, 4, taps)")
        if self.rate_hz <= 0:
            raise ValueError(f"rate_hz is {self.rate_hz}; it must be positive")

    def at_rate(self, rate_hz: int) -> HeadFilters:
        """The same filters for sound of another rate; gains are kept."""
        if rate_hz == self.rate_hz:
            return self
        return HeadFilters(_resampled_responses(self.responses, self.rate_hz, rate_hz), rate_hz, self.name)


@lru_cache(maxsize=1)
def omnitone_filters() -> HeadFilters:
    """The first-order filters of Omnitone (KU100 head, 256 taps, 48 kHz), shipped with the package."""
    import soundfile

    with as_file(files("spatialfoley") / "resources" / "hrir" / _OMNITONE_FILE) as path:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    left = samples.T
    right = left.copy()
    right[Y] = -right[Y]  # the head is symmetric, and only Y changes sign when left and right are swapped
    return HeadFilters(np.stack([left, right]), rate_hz, "Omnitone (SADIE KU100)")


def _resampled_responses(
    responses: npt.NDArray[np.float32], from_hz: int, to_hz: int
) -> npt.NDArray[np.float32]:
    import soxr

    rows = responses.reshape(-1, responses.shape[-1])
    # The band limit rings before an onset near tap 0; room for it in front is cut off again afterwards.
    whole = from_hz // gcd(from_hz, to_hz)  # input samples that make a whole number of output samples
    margin = whole * -(-128 // whole)
    padded = np.pad(rows, [(0, 0), (margin, 128)])
    resampled = soxr.resample(padded.T.astype(np.float64), from_hz, to_hz, quality="VHQ").T
    first = margin * to_hz // from_hz
    length = -(-responses.shape[-1] * to_hz // from_hz) + 8
    # A filter is a density over time: fewer taps per second must each weigh more.
    kept = resampled[:, first : first + length] * (from_hz / to_hz)
    return kept.reshape(*responses.shape[:2], -1).astype(np.float32)
