import sys

import numpy as np
import pytest

from spatialfoley.spatial.binaural import load_sofa, render_binaural
from spatialfoley.spatial.direction import Direction, unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from tests.parity.cases import shared_folder

h5py = pytest.importorskip("h5py", reason="SOFA files need the extra [sofa]")

RATE_HZ = 44100
KEMAR = shared_folder() / "data" / "hrtf" / "MIT_KEMAR_normal_pinna.sofa"


def level_difference_db(ears):
    left, right = np.sqrt(np.mean(ears.astype(float) ** 2, axis=1))
    return 20 * np.log10(left / right)


def write_head(
    path, right_ear_first=False, cartesian=False, delays=None, elevations_deg=(-60, -35, 0, 35, 60)
):
    """A head of two cardioid microphones pointing left and right, as a SOFA file."""
    azimuth_deg, elevation_deg = (a.ravel() for a in np.meshgrid(np.arange(0, 360, 15), elevations_deg))
    vectors = unit_vectors(azimuth_deg, elevation_deg)
    responses = np.zeros((len(vectors), 2, 16))
    responses[:, 0, 3] = 0.5 * (1 + vectors[:, 1])
    responses[:, 1, 3] = 0.5 * (1 - vectors[:, 1])
    ears = np.array([[0, 0.09, 0], [0, -0.09, 0]])[:, :, None]
    with h5py.File(path, "w") as file:
        file["Data.IR"] = responses[:, ::-1] if right_ear_first else responses
        file["ReceiverPosition"] = ears[::-1] if right_ear_first else ears
        spherical = np.stack([azimuth_deg, elevation_deg, np.full(len(vectors), 1.4)], axis=1)
        file["SourcePosition"] = 1.4 * vectors if cartesian else spherical
        file["SourcePosition"].attrs["Type"] = "cartesian" if cartesian else "spherical"
        file["Data.SamplingRate"] = [float(RATE_HZ)]
        file["Data.Delay"] = np.zeros((1, 2)) if delays is None else delays
    return path


@pytest.mark.parametrize("method", ["cube", "least_squares"])
@pytest.mark.parametrize("options", [{}, {"right_ear_first": True}, {"cartesian": True}])
def test_head_of_two_cardioids_is_found_exactly(tmp_path, method, options):
    filters = load_sofa(write_head(tmp_path / "head.sofa", **options), method)
    assert filters.rate_hz == RATE_HZ
    # Left = 0.5 W + 0.5 Y, right = 0.5 W - 0.5 Y, at tap 3, up to one common level.
    shape = filters.responses / filters.responses[0, 0, 3]
    expected = np.zeros((2, 4, 16))
    expected[0, :2, 3], expected[1, :2, 3] = (1, 1), (1, -1)
    np.testing.assert_allclose(shape, expected, atol=0.02)


def test_delays_of_the_file_are_applied(tmp_path):
    filters = load_sofa(write_head(tmp_path / "head.sofa", delays=np.array([[5.0, 9.0]])), "least_squares")
    assert np.abs(filters.responses[0, 0]).argmax() == 3
    assert np.abs(filters.responses[1, 0]).argmax() == 3 + 4


def test_measurements_far_from_the_cube_are_refused(tmp_path):
    path = write_head(tmp_path / "ring.sofa", elevations_deg=(0,))
    with pytest.raises(ValueError, match="no measurement within 15° of each cube corner"):
        load_sofa(path, "cube")


@pytest.mark.skipif(not KEMAR.is_file(), reason=f"{KEMAR} is missing (set SPATIALFOLEY_SHARED_DIR)")
@pytest.mark.parametrize(
    ("method", "at_30_db", "at_90_db"), [("cube", 5.4, 7.0), ("least_squares", 14.4, 7.2)]
)
def test_measured_head(method, at_30_db, at_90_db):
    filters = load_sofa(KEMAR, method)
    sound = 0.1 * np.random.default_rng(0).standard_normal(12000)
    for azimuth_deg, expected_db in ((0, 0.0), (30, at_30_db), (90, at_90_db), (-90, -at_90_db)):
        scene = SpatialAudio(encode(sound, Direction(azimuth_deg).vector()), 48000, "foa")
        ears = render_binaural(scene, filters).samples
        assert level_difference_db(ears) == pytest.approx(expected_db, abs=0.4)
        assert -16 < 10 * np.log10(np.mean(ears.astype(float) ** 2) / np.mean(sound**2)) < 0


def test_missing_h5py_says_what_to_install(tmp_path, monkeypatch):
    path = write_head(tmp_path / "head.sofa")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match=r"pip install 'spatialfoley\[sofa\]'"):
        load_sofa(path)


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.sofa does not exist"):
        load_sofa(tmp_path / "gone.sofa")
    (tmp_path / "text.sofa").write_text("no head")
    with pytest.raises(ValueError, match=r"text\.sofa is not a SOFA file of head responses"):
        load_sofa(tmp_path / "text.sofa")
    with h5py.File(tmp_path / "empty.sofa", "w"):
        pass
    with pytest.raises(ValueError, match=r"empty\.sofa is not a SOFA file of head responses"):
        load_sofa(tmp_path / "empty.sofa")
    with pytest.raises(ValueError, match="method is 'magic'"):
        load_sofa(write_head(tmp_path / "head.sofa"), "magic")
