from pathlib import Path

import pytest

from spatialfoley.evaluation.pairs.cameras import Cameras, read_cameras
from spatialfoley.spatial.direction import Direction


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_degrees_and_indices_are_read(tmp_path: Path) -> None:
    degrees = read_cameras(written(tmp_path / "a.csv", "id,azimuth_deg,elevation_deg\nx,90,-10\n\ny, 0, 0\n"))
    assert degrees.of("x") == Direction(90, -10)
    rows = "".join(
        f'{{"id": "{name}", "elevation_index": 44.5, "azimuth_index": {azimuth}}}\n'
        for name, azimuth in (("x", 44.5), ("y", 89.5))
    )
    indices = read_cameras(written(tmp_path / "a.jsonl", rows))
    # The index runs clockwise from the back: 44.5 is the left, 89.5 the front.
    assert indices.of("x") == Direction(90, 0)
    assert indices.of("y") == Direction(0, 0)


def test_without_a_file_the_front_is_assumed_and_said() -> None:
    assert Cameras().of("x") == Direction(0, 0)
    assert "assumed to look to the front" in Cameras().said
    Cameras().require(["x"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,yaw\nx,1\n", "has the columns id,yaw; the columns are id,azimuth_deg,elevation_deg or"),
        ("id,azimuth_deg,elevation_deg\nx,1\n", "line 2 of .* has 2 values for 3 columns"),
        ("id,azimuth_deg,elevation_deg\nx,left,0\n", "line 2 of .* has azimuth_deg 'left'; give a number"),
        ("id,azimuth_deg,elevation_deg\nx,0,95\n", "line 2 of .*elevation_deg is 95"),
        ("id,azimuth_index,elevation_index\nx,200,0\n", "line 2 of .*azimuth is 200.*between"),
        ("id,azimuth_deg,elevation_deg\nx,0,0\nx,1,1\n", "line 3 of .* gives 'x' again"),
        ("id,azimuth_deg,elevation_deg\n,0,0\n", "line 2 of .* has no id"),
        ("", "holds no camera; give a line for each clip"),
        ('{"id": "x"\n', "line 1 of .* is no JSON"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_cameras(written(tmp_path / "cameras", text))


def test_clips_without_a_camera_are_listed(tmp_path: Path) -> None:
    cameras = read_cameras(written(tmp_path / "a.csv", "id,azimuth_deg,elevation_deg\nx,90,-10\n"))
    with pytest.raises(ValueError, match=r"a\.csv has no camera for 2 \(y, z\); add a line"):
        cameras.require(["x", "y", "z"])
    with pytest.raises(ValueError, match=r"gone\.csv cannot be read"):
        read_cameras(tmp_path / "gone.csv")
