"""Directions, baselines, views and energy maps against numbers of the published code (commit d0949e4).

The `reference` variants must agree with `aux_*.npz` and `metrics_*.npz`; see `cases.py` for where they are found.
Tolerances: directions and gains 1e-6 (float32 results), maps 1e-5 relative (the published maps are summed in
float32), views one grey level, and 0.05 panorama pixels (the published arc cosine loses digits).
"""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.energy_map import (
    beam_gains,
    covariance,
    energy_map,
    energy_maps_over_time,
    grid_directions,
    peak_cells,
    peak_vectors,
)
from spatialfoley.spatial.projection import panorama_pixels, perspective, view_directions
from spatialfoley.spatial.single_direction import ambi_encode, mirrored, mono_decode
from spatialfoley.spatial.ytambigen import (
    AmbigenIndex,
    index_to_direction,
    network_vector,
    network_vector_to_direction,
    quarter_turn_right,
    quarter_turn_right_index,
)
from tests.parity.cases import case_params

FOV_DEG = 90.0  # the published views; the npz holds their pixels only


def arrays(path: Path, *keys: str):
    """The arrays of a case, or skip if the case holds other things."""
    case = np.load(path)
    missing = [key for key in keys if key not in case]
    if missing:
        pytest.skip(f"{path.name} has no {', '.join(missing)}")
    return [case[key] for key in keys]


def index_of(pair) -> AmbigenIndex:
    elevation, azimuth = (int(value) for value in pair)
    return AmbigenIndex(elevation, azimuth)


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
def test_network_direction_of_every_index(path):
    indices, vectors = arrays(path, "dir_index_elev_azim_augment", "dir_xyz_right_down_forward")
    for (elevation, azimuth, augmented), expected in zip(indices, vectors, strict=True):
        index = index_of((elevation, azimuth))
        direction = index_to_direction(quarter_turn_right_index(index) if augmented else index)
        np.testing.assert_allclose(network_vector(direction), expected, atol=1e-6)
        np.testing.assert_allclose(
            network_vector_to_direction(expected).vector(), direction.vector(), atol=1e-6
        )


def direction_of_script_angles(elevation_rad: float, azimuth_rad: float) -> Direction:
    """The camera direction for which the published scripts compute these (mirrored) angles."""
    return mirrored(Direction(float(np.degrees(azimuth_rad)), float(np.degrees(elevation_rad))))


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
def test_ambi_encode_baseline(path):
    mono, angles, fields = arrays(path, "mono", "mono2ambi_elev_azim_rad", "mono2ambi_wyzx")
    for pair, expected in zip(angles, fields, strict=True):
        field = ambi_encode(mono, direction_of_script_angles(*pair), "reference")
        np.testing.assert_allclose(field, expected, atol=2e-6 * np.abs(mono).max())


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
@pytest.mark.parametrize(
    ("key", "variant"),
    [("ambi2mono_prepare_test", "reference"), ("ambi2mono_evaluate_semantic_buggy", "reference_bug")],
)
def test_mono_decode(path, key, variant):
    field, angles, decoded = arrays(path, "foa_wyzx", "mono2ambi_elev_azim_rad", key)
    for pair, expected in zip(angles, decoded, strict=True):
        mono = mono_decode(field, direction_of_script_angles(*pair), variant)
        np.testing.assert_allclose(mono, expected, atol=5e-6 * max(1.0, np.abs(field).max() ** 2))


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
def test_views_of_a_panorama(path):
    panorama, coords, views = arrays(path, "pano_u8", "coords_elev_azim", "project_u8_stride2")
    size_px = (2 * views.shape[1], 2 * views.shape[2])
    for pair, expected in zip(coords, views, strict=True):
        view = perspective(panorama, index_to_direction(index_of(pair)), FOV_DEG, size_px, "reference")
        assert np.abs(view[::2, ::2].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
def test_sampling_positions_of_views(path):
    keys = ("pano_u8", "coords_elev_azim", "project_sample_xy_stride8", "project_u8_stride2")
    panorama, coords, positions, views = arrays(path, *keys)
    rays = view_directions((2 * views.shape[1], 2 * views.shape[2]), FOV_DEG, "reference")
    for pair, expected in zip(coords, positions, strict=True):
        world = rays @ CameraPose.facing(index_to_direction(index_of(pair))).matrix().T
        pixels = np.stack(panorama_pixels(world, *panorama.shape[:2], "reference"), axis=-1)
        np.testing.assert_allclose(pixels[::8, ::8], expected, atol=0.05)


@pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))
def test_centres_of_views(path):
    keys = ("pano_u8", "coords_elev_azim", "project_centre_xy_row112_col112")
    panorama, coords, centres = arrays(path, *keys)
    for pair, expected in zip(coords, centres, strict=True):
        forward = index_to_direction(index_of(pair)).vector()
        pixel = panorama_pixels(forward, *panorama.shape[:2], "reference")
        np.testing.assert_allclose(pixel, expected, atol=0.05)


def signals_of(path: Path) -> dict[int, np.ndarray]:
    """The fields of a metrics case, (4, N) float32 in [-1, 1], by number."""
    case = np.load(path)
    names = [key for key in case.files if key.startswith("signal") and key.endswith("_int16")]
    numbers = [int(key.removeprefix("signal").removesuffix("_int16")) for key in names]
    return {k: (case[f"signal{k}_int16"].astype(np.float32) / 32768.0).T for k in sorted(numbers)}


def kind_and_number(name: str) -> tuple[str, int]:
    """overall12 is the kind "overall" of signal 12, 5fps0 the kind "5fps" of signal 0."""
    kind = next(kind for kind in ("overall", "1fps", "5fps") if name.startswith(kind))
    return kind, int(name.removeprefix(kind))


def reference_maps(field: np.ndarray, kind: str) -> np.ndarray:
    maps_per_s = {"overall": None, "1fps": 1.0, "5fps": 5.0}[kind]
    return energy_maps_over_time(field, maps_per_s=maps_per_s, variant="reference")


@pytest.mark.parametrize("path", case_params("visage", "metrics_*.npz"))
def test_stored_energy_maps(path):
    case = np.load(path)
    fields = signals_of(path)
    compared = 0
    for key in case.files:
        if not key.startswith("raw_"):
            continue
        name, _, frame = key.removeprefix("raw_").partition("_frame")
        kind, number = kind_and_number(name)
        maps = reference_maps(fields[number], kind)
        expected = case[key]
        np.testing.assert_allclose(maps[int(frame or 0)], expected, rtol=1e-5, atol=1e-5 * expected.max())
        compared += 1
    assert compared


@pytest.mark.parametrize("path", case_params("visage", "metrics_*.npz"))
def test_stored_peaks(path):
    case = np.load(path)
    fields = signals_of(path)
    compared = 0
    for key in case.files:
        if not key.startswith("argmax_"):
            continue
        kind, number = kind_and_number(key.removeprefix("argmax_"))
        maps = reference_maps(fields[number], kind)
        expected = np.atleast_2d(case[key])
        found = peak_cells(maps)
        values = maps.reshape(len(maps), -1).max(axis=1)
        stored = maps[np.arange(len(maps)), expected[:, 0], expected[:, 1]]
        # Two cells may tie within float32; otherwise the cell must be the same.
        same = (found == expected).all(axis=1) | (stored >= values * (1 - 5e-6))
        assert same.all(), f"{key}: {found.tolist()} instead of {expected.tolist()}"
        compared += 1
    assert compared


@pytest.mark.parametrize("path", case_params("visage", "metrics_*.npz"))
def test_matrix_of_gains(path):
    (stored,) = arrays(path, "sph_matrix_4x16200_first_rows")
    # The published matrix runs from the bottom row up; the maps are flipped afterwards.
    gains = beam_gains(grid_directions()[::-1].reshape(-1, 3), "reference")[:, [W, Y, Z, X]].T
    stride = gains.shape[1] // stored.shape[1]
    np.testing.assert_allclose(gains[:, ::stride], stored, atol=1e-6)


@pytest.mark.parametrize("path", case_params("visage", "metrics_*.npz"))
def test_augmentation_turns_the_map_as_it_turns_the_index(path):
    for field in signals_of(path).values():
        before = energy_map(covariance(field), "reference")
        after = energy_map(covariance(quarter_turn_right(field)), "reference")
        np.testing.assert_allclose(np.roll(before, 45, axis=1), after, rtol=1e-4, atol=1e-6 * after.max())
        assert peak_vectors(after).shape == (3,)
