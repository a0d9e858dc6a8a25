"""The loudest direction of known fields."""

import numpy as np
import pytest

from spatialfoley.dataset.biaudio.localisation import loudest_direction
from spatialfoley.spatial.direction import Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import grid_directions
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.ytambigen import AmbigenIndex, index_to_direction

NOISE = np.random.default_rng(0).standard_normal((3, 4000)).astype(np.float32) * 0.1


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg"), [(0, 0), (90, 0), (-90, 0), (179, 0), (0, 45), (30, 20), (-120, -60)]
)
def test_one_source_is_found(azimuth_deg: float, elevation_deg: float) -> None:
    source = Direction(azimuth_deg, elevation_deg)
    found = loudest_direction(encode(NOISE[0], source.vector()))
    assert found.direction is not None
    assert angle_between_deg(found.direction.vector(), source.vector()) < 0.3
    cell = index_to_direction(AmbigenIndex(*found.cell))
    assert angle_between_deg(cell.vector(), source.vector()) < 2.5  # half a cell, and the published degree
    assert found.contrast == pytest.approx(1.0, abs=1e-3)


def test_energy_is_that_of_equation_11() -> None:
    """Formed sample by sample as the paper writes it."""
    field = encode(NOISE[0], unit_vectors(40.0, 10.0)) + encode(NOISE[1], unit_vectors(-100.0, -30.0)) * 0.7
    field = field[:, :400]
    w, y, z, x = field
    directions = grid_directions()[..., None]  # rows, columns, xyz, time
    energy = np.mean(
        (w + directions[..., 1, :] * y + directions[..., 2, :] * z + directions[..., 0, :] * x) ** 2, -1
    )
    found = loudest_direction(field)
    assert found.cell == np.unravel_index(energy.argmax(), energy.shape)
    assert found.contrast == pytest.approx(np.ptp(energy) / (energy.max() + energy.min()), rel=1e-5)
    assert found.direction is not None
    assert angle_between_deg(found.direction.vector(), grid_directions()[found.cell]) < 1.5


def test_the_reference_maps_pull_elevations_down() -> None:
    field = encode(NOISE[0], unit_vectors(0.0, 45.0))
    assert loudest_direction(field, "reference").cell == (26, 89)  # elevation 36°
    assert loudest_direction(field).cell[0] == pytest.approx(21.5, abs=0.5)


def test_fields_without_direction() -> None:
    omni = np.zeros((4, 4000), np.float32)
    omni[0] = NOISE[0]
    assert loudest_direction(omni).direction is None
    assert loudest_direction(omni).contrast < 1e-9
    silent = loudest_direction(np.zeros((4, 100), np.float32))
    assert (silent.direction, silent.contrast) == (None, 0.0)


def test_a_diffuse_field_has_less_contrast_than_a_source() -> None:
    rng = np.random.default_rng(1)
    waves = rng.standard_normal((200, 3))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    diffuse = sum(encode(rng.standard_normal(4000).astype(np.float32), wave) for wave in waves)
    assert loudest_direction(diffuse).contrast < 0.25
    assert loudest_direction(encode(NOISE[0], waves[0]) * 300 + diffuse).contrast > 0.6
