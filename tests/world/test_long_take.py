import numpy as np
import pytest

from spatialfoley.media.video import read_video
from spatialfoley.pipeline.camera_file import read_camera_file
from spatialfoley.spatial.direction import angle_between_deg
from spatialfoley.world.long_take import PIECE_S, take_camera, take_scene, write_long_take


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    return write_long_take(tmp_path_factory.mktemp("take"), 13.0, size_px=32)


def test_picture_camera_and_truth_are_as_long_as_asked(take):
    video = read_video(take.video)
    assert (video.duration_s, video.frame_count) == (pytest.approx(13.0), 260)
    with np.load(take.truth) as truth:
        assert truth["times_s"] == pytest.approx(np.arange(260) / 20)
        assert truth["vectors"].shape == (260, 3)
        assert truth["in_view"].all()
        assert truth["level_db"].max() > -40
        assert truth["level_db"].min() == -120
    poses = read_camera_file(take.camera).over_clip(0.0, video.duration_s)
    moments = np.arange(0, 13, 0.37)
    np.testing.assert_allclose(poses.angles_at(moments), take_camera(moments).angles_at(moments), atol=0.05)


def test_sources_stay_in_view_of_the_turning_camera(take):
    with np.load(take.truth) as truth:
        vectors, times_s = truth["vectors"], truth["times_s"]
    ahead = take_camera(times_s).matrices_at(times_s)[:, :, 0]
    assert angle_between_deg(vectors, ahead).max() < 55
    assert angle_between_deg(ahead[0], ahead).max() > 30


def test_the_camera_goes_on_and_the_place_stays_where_pieces_meet():
    first, second = take_scene(3), take_scene(4)
    assert first.seed == second.seed
    np.testing.assert_allclose(
        first.camera.angles_at([PIECE_S])[:, 0], second.camera.angles_at([0.0])[:, 0], atol=1e-9
    )
    assert first.sources[0].sound_seed != second.sources[0].sound_seed


def test_too_short_a_take_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"duration_s is 0.5; it must be 1 or more"):
        write_long_take(tmp_path, 0.5)
