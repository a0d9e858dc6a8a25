"""Views in C show what `spatial.projection.perspective` shows."""

import numpy as np
import pytest

from spatialfoley.kernels import native_code, panorama_view
from spatialfoley.kernels.panorama_view import PanoramaView, unavailable_reason
from spatialfoley.spatial.direction import CameraPose
from spatialfoley.spatial.projection import perspective

RNG = np.random.default_rng(0)
POSES = [CameraPose(*RNG.uniform([-180, -90, -180], [180, 90, 180])) for _ in range(30)]
EXTREMES = [
    CameraPose(180.0),
    CameraPose(-180.0, 90.0),
    CameraPose(0.0, -90.0),
    CameraPose(179.9, -89.9, 45.0),
]


@pytest.fixture(scope="module")
def native() -> None:
    if unavailable_reason() is not None:
        pytest.skip(f"the C code cannot be used: {unavailable_reason()}")


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("variant", ["correct", "reference"])
@pytest.mark.parametrize(("height", "width"), [(60, 120), (61, 120), (2, 4), (1, 2)])
def test_noise_is_sampled_alike(variant: str, height: int, width: int) -> None:
    panorama = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = PanoramaView((31, 46), 100.0, variant)
    for pose in POSES + EXTREMES:
        expected = perspective(panorama, pose, 100.0, (31, 46), variant)
        difference = np.abs(camera.of(panorama, pose).astype(int) - expected)
        if variant == "reference":  # does not wrap: a pixel exactly behind may come from either edge
            assert np.mean(difference > 2) < 0.03
            difference[difference > 2] = 0
        # Noise differs by up to 255 from pixel to pixel: places are the same to a hundredth of a pixel.
        assert difference.max() <= 2
        assert difference.mean() < 0.1


@pytest.mark.usefixtures("native")
def test_nothing_is_read_or_written_beyond_the_pictures() -> None:
    """Bytes around both pictures have no influence, and stay."""
    buffer = np.full(40 * 80 * 3 + 64, 255, np.uint8)
    panorama = buffer[32:-32].reshape(40, 80, 3)
    panorama[:] = 10
    camera = PanoramaView(33)
    for pose in POSES + EXTREMES:
        view = camera.of(panorama, pose)
        assert (view.min(), view.max()) == (10, 10)


def test_pictures_of_any_memory_order_are_taken() -> None:
    panorama = RNG.integers(0, 256, (40, 80, 3), dtype=np.uint8)
    camera = PanoramaView(20)
    flipped = np.asfortranarray(panorama)[::-1][::-1]
    np.testing.assert_array_equal(camera.of(flipped, POSES[0]), camera.of(panorama, POSES[0]))


def test_without_a_compiler_the_reference_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no C compiler (gcc or cc) is installed")

    monkeypatch.setattr(panorama_view, "load_compiled", no_compiler)
    for cached in (panorama_view._library, unavailable_reason):
        cached.cache_clear()
    try:
        assert unavailable_reason() == "no C compiler (gcc or cc) is installed"
        camera = PanoramaView(20)
        assert not camera.native
        panorama = RNG.integers(0, 256, (40, 80, 3), dtype=np.uint8)
        np.testing.assert_array_equal(
            camera.of(panorama, POSES[0]), perspective(panorama, POSES[0], 90.0, 20)
        )
    finally:
        monkeypatch.undo()
        for cached in (panorama_view._library, unavailable_reason):
            cached.cache_clear()


def test_code_that_does_not_compile_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "broken.c").write_text("int one(void) { return }\n")
    with pytest.raises(RuntimeError, match=r"broken.c could not be compiled and loaded|no C compiler"):
        native_code.load_compiled(tmp_path / "broken.c", ["-O1", "-fPIC"])
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PanoramaView(0), "size_px is 0"),
        (lambda: PanoramaView(8, 180.0), "fov_deg is 180.0"),
        (lambda: PanoramaView(8, 90.0, "exact"), "variant is 'exact'"),
        (lambda: PanoramaView(8).of(np.zeros((4, 8, 3)), CameraPose()), "type float64; it must be uint8"),
    ],
)
def test_wrong_views_are_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
