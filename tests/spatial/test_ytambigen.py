import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_cells
from spatialfoley.spatial.foa import encode, rotate
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import (
    AmbigenIndex,
    direction_to_index,
    index_to_direction,
    nearest_index,
    network_vector,
    network_vector_to_direction,
    quarter_turn_right,
    quarter_turn_right_index,
    turned_index,
)


@pytest.mark.parametrize(
    ("elevation", "azimuth", "direction"),
    [
        (44.5, 89.5, Direction(0, 0)),
        (44.5, 44.5, Direction(90, 0)),
        (44.5, 134.5, Direction(-90, 0)),
        (44.5, -0.5, Direction(180, 0)),
        (0, 0, Direction(179, 89)),
        (89, 179, Direction(-179, -89)),
        (-0.5, 89.5, Direction(0, 90)),
    ],
)
def test_index_runs_clockwise_from_the_back_and_down_from_the_top(elevation, azimuth, direction):
    assert index_to_direction(AmbigenIndex(elevation, azimuth)) == direction
    assert direction_to_index(direction) == AmbigenIndex(elevation, azimuth)


def test_the_readme_says_the_mirror_image():
    assert index_to_direction(AmbigenIndex(44.5, 44.5), "readme") == Direction(-90, 0)
    assert direction_to_index(Direction(-90, 0), "readme") == AmbigenIndex(44.5, 44.5)


@pytest.mark.parametrize("sense", ["clockwise", "readme"])
def test_every_whole_index_there_and_back(sense):
    for elevation in range(90):
        for azimuth in range(0, 180, 7):
            index = AmbigenIndex(elevation, azimuth)
            assert nearest_index(index_to_direction(index, sense), sense) == index


def test_nearest_index_stays_in_range():
    assert nearest_index(Direction(180, 90)) == AmbigenIndex(0, 0)
    assert nearest_index(Direction(-180, -90)) == AmbigenIndex(89, 0)
    assert nearest_index(Direction(-359.9, 0)).azimuth == nearest_index(Direction(0.1, 0)).azimuth


@pytest.mark.parametrize(
    ("direction", "right_down_forward"),
    [
        (Direction(0), (0, 0, 1)),
        (Direction(90), (-1, 0, 0)),
        (Direction(-90), (1, 0, 0)),
        (Direction(0, 90), (0, -1, 0)),
    ],
)
def test_network_vector_is_right_down_forward(direction, right_down_forward):
    vector = network_vector(direction)
    np.testing.assert_allclose(vector, right_down_forward, atol=1e-7)
    np.testing.assert_allclose(network_vector_to_direction(vector).vector(), direction.vector(), atol=1e-6)


def test_index_names_the_map_cell_of_its_source():
    for elevation, azimuth in ((44, 10), (44, 89), (30, 134), (70, 44)):
        direction = index_to_direction(AmbigenIndex(elevation, azimuth))
        cell = peak_cells(energy_map(covariance(encode(np.ones(3), direction.vector()))))
        np.testing.assert_allclose(cell, (elevation, azimuth), atol=1.0)  # the grids differ by half a cell


def test_augmentation_turns_field_and_index_together():
    index = AmbigenIndex(30, 170)
    turned = quarter_turn_right_index(index)
    assert turned == AmbigenIndex(30, 35)
    sound = np.sin(np.arange(50.0))
    field = quarter_turn_right(encode(sound, index_to_direction(index).vector()))
    np.testing.assert_allclose(field, encode(sound, index_to_direction(turned).vector()), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AmbigenIndex(90, 0), "elevation is 90; an index .* between -0.5 and 89.5"),
        (lambda: AmbigenIndex(0, 181), "azimuth is 181; an index .* between -0.5 and 180"),
        (lambda: AmbigenIndex(float("nan"), 0), "elevation is nan"),
        (lambda: index_to_direction(AmbigenIndex(1, 1), "anticlockwise"), "sense is 'anticlockwise'"),
    ],
)
def test_wrong_indices_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(
    elevation=st.floats(5, 84), azimuth=st.floats(-0.5, 179.4), yaw_deg=st.floats(-720, 720, allow_nan=False)
)
def test_the_index_turns_with_the_field(elevation, azimuth, yaw_deg):
    """A plane wave from where the camera looked comes, after both were turned, from where it looks then."""
    index = AmbigenIndex(elevation, azimuth)
    wave = encode(np.ones(4, np.float32), index_to_direction(index).vector())
    turned = rotate(SpatialAudio(wave, 16000, "foa"), yaw_deg=yaw_deg).samples
    heard = turned[[3, 1, 2], 0]
    looks = index_to_direction(turned_index(index, yaw_deg)).vector()
    assert angle_between_deg(heard, looks) < 0.05


def test_a_quarter_turn_is_one_of_all_turns():
    for azimuth in (0.0, 44.5, 100.0, 170.25):
        index = AmbigenIndex(30.0, azimuth)
        assert turned_index(index, -90.0) == quarter_turn_right_index(index)
    assert turned_index(AmbigenIndex(30.0, 10.0), 360.0) == AmbigenIndex(30.0, 10.0)
