import numpy as np
import pytest
import torch

from spatialfoley.features.resize import crop_centre, squash, standardise


def test_constant_picture_stays_constant() -> None:
    frames = np.full((2, 37, 91, 3), 200, dtype=np.uint8)
    for resized in (squash(frames, 16), squash(frames, 64, "bilinear"), crop_centre(frames, 16)):
        assert resized.dtype == torch.uint8
        assert int(resized.min()) == int(resized.max()) == 200


def test_picture_of_the_right_size_is_untouched() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    expected = torch.tensor(frames).permute(0, 3, 1, 2)
    assert torch.equal(squash(frames, 16), expected)
    assert torch.equal(crop_centre(frames, 16), expected)


def left_third_red(height: int, width: int) -> np.ndarray:
    frames = np.zeros((1, height, width, 3), dtype=np.uint8)
    frames[:, :, : width // 3, 0] = 255
    return frames


def test_squashing_keeps_the_whole_width() -> None:
    red = squash(left_third_red(40, 120), 40)[0, 0]
    assert int(red[:, :12].min()) == 255
    assert int(red[:, 15:].max()) == 0


def test_cropping_keeps_the_centre() -> None:
    assert int(crop_centre(left_third_red(40, 120), 40).max()) == 0
    assert int(crop_centre(left_third_red(40, 120).transpose(0, 2, 1, 3), 40).max()) == 0


def test_cropping_resizes_the_shorter_side() -> None:
    frames = np.zeros((1, 20, 60, 3), dtype=np.uint8)
    frames[:, :, 20:40] = 255
    square = crop_centre(frames, 100)
    assert square.shape == (1, 3, 100, 100)
    assert int(square[..., 3:-3].min()) == 255


def test_colours_are_standardised_per_channel() -> None:
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8)[:, None, None]
    values = standardise(pixels, (0.5, 0.5, 0.1), (0.5, 0.25, 0.1))
    torch.testing.assert_close(values.flatten(), torch.tensor([-1.0, 2.0, 1.0]))


@pytest.mark.parametrize("resize", [squash, crop_centre])
def test_other_frames_are_refused(resize) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"frames is float64 of shape \(1, 4, 4, 3\), but must be uint8"):
        resize(np.zeros((1, 4, 4, 3)), 8)
    with pytest.raises(ValueError, match=r"of shape \(0, 4, 4, 3\)"):
        resize(np.zeros((0, 4, 4, 3), dtype=np.uint8), 8)
