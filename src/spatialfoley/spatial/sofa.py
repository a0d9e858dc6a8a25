"""Head filters from SOFA files (AES69, SimpleFreeFieldHRIR); needs the extra ``spatialfoley[sofa]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.energy_map import beam_gains
from spatialfoley.spatial.head_filters import HeadFilters, omnitone_filters

SofaMethod = Literal["cube", "least_squares"]

_CUBE_ELEVATION_DEG = float(np.degrees(np.arcsin(np.sqrt(1.0 / 3.0))))
_FURTHEST_MEASUREMENT_DEG = 15.0


def load_sofa(path: str | Path, method: SofaMethod = "cube") -> HeadFilters:
    """First-order head filters from the measurements of a SOFA file.

    Args:
        path: A SOFA file with `Data.IR`, `SourcePosition` and `Data.SamplingRate`.
        method: "cube" feeds eight virtual loudspeakers at the corners of a cube, each through its nearest
            measurement; "least_squares" fits all measurements, which is dull above a few kilohertz.

    Returns:
        Filters with the loudness of the built-in ones, because the level of a SOFA file is arbitrary.

    Raises:
        ValueError: If h5py is missing, the file is not a SOFA file of head responses, or (cube) it has no
            measurement near a corner.
    """
    responses, vectors, rate_hz = _read_sofa(Path(path))
    if method == "cube":
        filters = _cube_filters(responses, vectors)
    elif method == "least_squares":
        filters = _least_squares_filters(responses, vectors)
    else:
        raise ValueError(f"method is {method!r}; it must be 'cube' or 'least_squares'")
    target = _diffuse_gain(omnitone_filters().at_rate(rate_hz).responses)
    filters *= target / max(_diffuse_gain(filters), 1e-12)
    return HeadFilters(filters.astype(np.float32), rate_hz, f"{Path(path).name} ({method})")


def _cube_filters(responses: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    azimuth_deg = np.tile([45.0, 135.0, -135.0, -45.0], 2)
    corners = unit_vectors(azimuth_deg, np.repeat([1.0, -1.0], 4) * _CUBE_ELEVATION_DEG)
    closeness = corners @ vectors.T
    nearest = closeness.argmax(axis=1)
    furthest_deg = float(np.degrees(np.arccos(np.clip(closeness.max(axis=1).min(), -1.0, 1.0))))
    if furthest_deg > _FURTHEST_MEASUREMENT_DEG:
        raise ValueError(
            f"the SOFA file has no measurement within {_FURTHEST_MEASUREMENT_DEG:g}° of each cube corner "
            f"(worst {furthest_deg:.0f}°); use method='least_squares'"
        )
    # Basic decoding, g = (W + 3 v·d) / 8: pressure and velocity at the centre are those of the plane wave.
    gains = beam_gains(corners) * np.array([1.0, 3.0, 3.0, 3.0]) / len(corners)
    return np.einsum("sc,set->ect", gains, responses[nearest])


def _least_squares_filters(responses: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    inverse = np.linalg.pinv(beam_gains(vectors))
    return np.einsum("cm,met->ect", inverse, responses)


def _diffuse_gain(filters: npt.NDArray[np.floating]) -> float:
    """RMS gain over all directions and both ears: W² plus a third of each directional channel's energy."""
    energy = np.sum(np.square(filters, dtype=np.float64), axis=(0, 2))
    return float(np.sqrt((energy[0] + energy[1:].sum() / 3.0) / 2.0))


def _read_sofa(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Responses (M, 2 ears left first, taps), unit vectors (M, 3) and the rate of a SOFA file."""
    try:
        import h5py
    except ImportError as error:
        raise ValueError("reading a SOFA file needs h5py: pip install 'spatialfoley[sofa]'") from error
    if not path.is_file():
        raise ValueError(f"SOFA file {path} does not exist")
    try:
        with h5py.File(path, "r") as file:
            return _parse_sofa(file)
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} is not a SOFA file of head responses: {error}") from error


def _parse_sofa(file: Any) -> tuple[np.ndarray, np.ndarray, int]:
    responses = np.asarray(file["Data.IR"], dtype=np.float64)
    positions = np.asarray(file["SourcePosition"], dtype=np.float64)
    if responses.ndim != 3 or responses.shape[1] != 2 or positions.shape != (len(responses), 3):
        raise KeyError(
            f"Data.IR of shape {responses.shape} with positions {positions.shape}, not (M, 2, taps)"
        )
    kind = file["SourcePosition"].attrs.get("Type", b"spherical")
    if (kind.decode() if isinstance(kind, bytes) else str(kind)) == "cartesian":
        vectors = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    else:
        vectors = unit_vectors(positions[:, 0], positions[:, 1])
    if "ReceiverPosition" in file:
        ears = np.asarray(file["ReceiverPosition"], dtype=np.float64).reshape(2, 3)
        if ears[0, 1] < ears[1, 1]:
            responses = responses[:, ::-1]
    responses = _with_delays(responses, np.asarray(file["Data.Delay"]) if "Data.Delay" in file else None)
    return responses, vectors, round(float(np.ravel(file["Data.SamplingRate"])[0]))


def _with_delays(responses: np.ndarray, delays: np.ndarray | None) -> np.ndarray:
    """Responses with the delays of the file, in samples of shape (1 or M, 2), put back (to whole samples)."""
    if delays is None or not np.any(delays):
        return responses
    shifts = np.broadcast_to(np.rint(delays).astype(int), responses.shape[:2])
    shifts = shifts - shifts.min()
    delayed = np.zeros((*responses.shape[:2], responses.shape[2] + int(shifts.max())))
    for measurement, ear in np.ndindex(*responses.shape[:2]):
        start = shifts[measurement, ear]
        delayed[measurement, ear, start : start + responses.shape[2]] = responses[measurement, ear]
    return delayed
