"""Whether a field sounds from where something is seen."""

import numpy as np
import pytest

from spatialfoley.generators.visage.spatial_agreement import seen_vectors, spatial_agreement
from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.foa import encode

NOISE = np.random.default_rng(0).standard_normal(8000).astype(np.float32)


def test_a_plane_wave_agrees_with_its_own_direction_and_with_no_other() -> None:
    wave = encode(NOISE, Direction(60, 20).vector())
    for azimuth, elevation in ((60, 20), (-120, -20), (150, 0), (0, 0)):
        towards = Direction(azimuth, elevation).vector()
        expected = float(Direction(60, 20).vector() @ towards)
        assert spatial_agreement(wave, towards[None]) == pytest.approx(expected, abs=1e-5)


def test_a_field_from_all_around_agrees_with_nothing() -> None:
    rng = np.random.default_rng(1)
    diffuse = sum(
        encode(rng.standard_normal(8000).astype(np.float32), vector)
        for vector in (np.array([x, y, z]) / np.sqrt(3) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1))
    )
    assert abs(spatial_agreement(diffuse, np.array([[1.0, 0, 0]]))) < 0.1
    assert spatial_agreement(np.zeros((4, 100)), np.array([[1.0, 0, 0]])) == 0


def test_a_moving_sound_agrees_with_what_moves_along() -> None:
    seen = unit_vectors(np.linspace(-45, 45, 20), 0.0)
    heard = encode(NOISE, np.repeat(seen, 400, axis=0))
    assert spatial_agreement(heard, seen) == pytest.approx(1, abs=1e-3)
    assert spatial_agreement(heard, seen[::-1]) < 0.7


def test_seen_vectors_follow_the_bright_patch() -> None:
    maps = np.zeros((4, 7, 7))
    maps[0, 3, 3] = maps[1, 3, 0] = maps[2, 0, 3] = 0.2
    ahead, left, up, dark = seen_vectors(maps.reshape(4, 49), np.eye(3))
    np.testing.assert_allclose(ahead, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(dark, [1, 0, 0], atol=1e-12)
    # The middle of the outermost patch stands 6/7 of the half width off the centre.
    outermost_deg = np.degrees(np.arctan(6 / 7))
    assert angle_between_deg(left, Direction(outermost_deg).vector()) < 1e-4
    assert angle_between_deg(up, Direction(0, outermost_deg).vector()) < 1e-4


def test_seen_vectors_turn_with_the_camera() -> None:
    maps = np.zeros((2, 49))
    maps[:, 24] = 1
    poses = np.stack([CameraPose(yaw_deg=90).matrix(), CameraPose(pitch_deg=30).matrix()])
    np.testing.assert_allclose(
        seen_vectors(maps, poses), [Direction(90).vector(), Direction(0, 30).vector()], atol=1e-9
    )


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"energy_map has the shape \(2, 48\), not \(T, 49\)"):
        seen_vectors(np.zeros((2, 48)), np.eye(3))
    with pytest.raises(ValueError, match="fov_deg is 180, but must be more than 0 and less than 180"):
        seen_vectors(np.zeros((2, 49)), np.eye(3), 180)
    with pytest.raises(ValueError, match=r"vectors has the shape \(3,\), not \(T, 3\)"):
        spatial_agreement(np.zeros((4, 9)), np.zeros(3))
    with pytest.raises(ValueError, match=r"field has the shape \(4, 1\), not \(4, at least 2\)"):
        spatial_agreement(np.zeros((4, 1)), np.zeros((2, 3)))
