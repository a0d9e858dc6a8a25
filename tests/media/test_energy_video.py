import numpy as np
import pytest

from spatialfoley.media.energy_video import (
    PaintSettings,
    moving_covariance,
    pixel_directions,
    write_energy_video,
)
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio


def plane_wave(direction: Direction, duration_s: float = 1.0, rate_hz: int = 16_000) -> SpatialAudio:
    noise = np.random.default_rng(0).standard_normal(round(duration_s * rate_hz)).astype(np.float32) * 0.1
    return SpatialAudio(encode(noise, direction.vector()), rate_hz, "foa")


def ears(duration_s: float = 1.0, rate_hz: int = 16_000) -> SpatialAudio:
    return SpatialAudio(np.zeros((2, round(duration_s * rate_hz)), np.float32), rate_hz, "binaural")


def test_pixels_of_a_flat_picture_look_where_they_should() -> None:
    vectors = pixel_directions((90, 160), fov_deg=90.0)
    assert angle_between_deg(vectors[44:46, 79:81].mean((0, 1)), [1, 0, 0]) < 0.1
    # The middle square covers 90 degrees: its borders are 45 degrees off.
    left_of_square = (vectors[44, 34] + vectors[44, 35] + vectors[45, 34] + vectors[45, 35]) / 4
    assert angle_between_deg(left_of_square, [1, 1, 0]) < 0.1
    assert vectors[0, 80, 2] == pytest.approx(np.sin(np.pi / 4), abs=0.01)
    assert vectors[44, 0, 1] > vectors[44, 35, 1] > 0


def test_pixels_of_a_panorama_cover_the_sphere() -> None:
    vectors = pixel_directions((90, 180), panorama=True)
    assert angle_between_deg(vectors[44:46, 44:46].mean((0, 1)), [0, 1, 0]) < 0.1
    assert vectors[0, 0, 2] > 0.99


def test_covariance_follows_the_sound_without_losing_level() -> None:
    field = plane_wave(Direction(90.0))
    covariances = moving_covariance(field, maps_per_s=10.0)
    assert covariances[5, 0, 0] == pytest.approx(0.01, rel=0.1)
    assert covariances[5, 1, 1] == pytest.approx(covariances[5, 0, 0], rel=1e-3)
    assert abs(covariances[5, 3, 3]) < 1e-6


@pytest.mark.parametrize(
    ("panorama", "direction", "where"),
    [(False, Direction(30.0, 20.0), (29, 27)), (True, Direction(-90.0, 0.0), (48, 144))],
)
def test_the_brightest_paint_lies_on_the_source(tmp_path, panorama, direction, where) -> None:
    video = Video.from_frames(np.full((10, 96, 192, 3), 20, np.uint8), 10.0)
    target = tmp_path / "energy.mp4"
    write_energy_video(
        target, video, plane_wave(direction), ears(), panorama, settings=PaintSettings(sharpness=20)
    )
    painted = read_video(target)
    assert painted.duration_s == pytest.approx(1.0, abs=1e-3)
    frame = painted.frames_at([0.5], crop=None)[0].astype(float).sum(-1)
    row, column = np.unravel_index(frame.argmax(), frame.shape)
    if panorama:
        assert (row, column) == pytest.approx(where, abs=8)
    else:
        seen = pixel_directions((96, 192))[row, column]
        assert angle_between_deg(seen, direction.vector()) < 6


def test_silence_leaves_the_picture_without_a_spot(tmp_path) -> None:
    video = Video.from_frames(np.full((5, 32, 32, 3), 100, np.uint8), 5.0)
    silent = SpatialAudio(np.zeros((4, 16_000), np.float32), 16_000, "foa")
    write_energy_video(tmp_path / "e.mp4", video, silent, ears())
    frame = read_video(tmp_path / "e.mp4").frames_at([0.5])[0]
    assert np.ptp(frame) <= 6


def test_a_field_of_view_that_no_flat_picture_has_is_refused() -> None:
    with pytest.raises(ValueError, match="fov_deg is 200"):
        pixel_directions((10, 10), fov_deg=200.0)
