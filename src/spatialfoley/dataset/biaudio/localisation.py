"""Where the sound of a clip comes from: the direction of its largest energy (ViSAudio eq. 11-20).

The published sum over spherical harmonics in ACN and SN3D is the beam of `spatial.energy_map`, whose grid of 2° is
read here; its square is the published energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.energy_map import MapVariant, covariance, energy_map, peak_cells, peak_vectors


@dataclass(frozen=True)
class Loudest:
    """Where a field is loudest.

    Attributes:
        direction: Between the cells of the grid; None for silence and for fields that are equally loud everywhere.
        cell: Row and column of the loudest cell, which are YT-Ambigen's elevation and azimuth index.
        contrast: How much louder it is there than where it is quietest, (most - least) / (most + least) of the
            energy: 1 for one plane wave, 0 for a field without direction.
    """

    direction: Direction | None
    cell: tuple[int, int]
    contrast: float

    def facts(self) -> dict[str, float]:
        """For the record of a clip; the angles are left out where there is no direction."""
        found = {"peak_contrast": round(self.contrast, 6)}
        if self.direction is not None:
            found["peak_azimuth_deg"] = round(self.direction.azimuth_deg, 3)
            found["peak_elevation_deg"] = round(self.direction.elevation_deg, 3)
        return found


def loudest_direction(samples: npt.ArrayLike, maps: MapVariant = "sn3d") -> Loudest:
    """Find the direction of maximum energy of a field.

    Args:
        samples: The field (W, Y, Z, X in SN3D), shape (4, N).
        maps: "sn3d", or the published evaluation's "reference" gains, which pull elevations to the horizon.

    Raises:
        ValueError: The field has another shape, holds values that are not finite, or `maps` is unknown.
    """
    rms = energy_map(covariance(samples), maps)
    energy = np.square(rms)
    most, least = float(energy.max()), float(energy.min())
    row, column = (int(number) for number in peak_cells(rms))
    vector = peak_vectors(rms)
    direction = None if np.isnan(vector).any() else Direction.from_vector(vector)
    contrast = (most - least) / (most + least) if most > 0 else 0.0
    return Loudest(direction, (row, column), contrast)
