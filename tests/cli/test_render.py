from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio


@pytest.fixture
def field_file(tmp_path: Path) -> Path:
    """Noise from the left."""
    noise = np.random.default_rng(0).standard_normal(4_800) * 0.1
    path = tmp_path / "field.foa.wav"
    write_audio(path, SpatialAudio(encode(noise, Direction(90.0).vector()), 48_000, "foa"))
    return path


def level_difference_db(path: Path) -> float:
    """Left above right."""
    left, right = np.sqrt(np.mean(read_audio(path).samples.astype(float) ** 2, axis=1)) + 1e-6
    return 20 * np.log10(left / right)


@pytest.mark.parametrize("to", ["binaural", "stereo"])
def test_sound_on_the_left_is_on_the_left_until_the_head_turns_to_it(field_file: Path, to: str) -> None:
    target = field_file.with_name(f"field.{to}.wav")
    assert run(["render", str(field_file), "--to", to]) == 0
    assert level_difference_db(target) > 3
    assert run(["render", str(field_file), "--to", to, "--yaw-deg", "90"]) == 0
    assert abs(level_difference_db(target)) < 0.1
    assert run(["render", str(field_file), "--to", to, "--yaw-deg", "180"]) == 0
    assert level_difference_db(target) < -3


@pytest.mark.parametrize(("to", "channels"), [("5.1", 6), ("7.1.4", 12)])
def test_loudspeakers_get_their_channels(field_file: Path, tmp_path: Path, to: str, channels: int) -> None:
    assert run(["render", str(field_file), "--to", to, "--out", str(tmp_path / "speakers.wav")]) == 0
    assert read_audio(tmp_path / "speakers.wav").samples.shape == (channels, 4_800)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "quad"], "to is 'quad'; give one of binaural, stereo, 5.1, 7.1.4"),
        (["--yaw-deg", "nan"], "yaw_deg is nan"),
        (["--to", "stereo", "--sofa", "x.sofa"], "head filters serve binaural only"),
        (["--sofa", "gone.sofa"], "gone.sofa"),
        (["--out", "ears.mp3"], "must end in .wav"),
    ],
)
def test_bad_arguments_get_one_sentence(
    field_file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["render", str(field_file), *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_file_that_is_no_field_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stereo = tmp_path / "stereo.wav"
    write_audio(stereo, SpatialAudio(np.zeros((2, 10)), 48_000, "stereo"))
    assert run(["render", str(stereo)]) == 2
    assert "has 2 channels; a sound field has 4" in capsys.readouterr().err
    assert run(["render", str(tmp_path / "gone.wav")]) == 2
