import json
import re
from pathlib import Path

import pytest

from spatialfoley.cli import run
from spatialfoley.cli.demo import DEMO_SUITE_SEED, print_directions
from spatialfoley.world.files import write_clip
from spatialfoley.world.scenes import make_scene
from spatialfoley.world.seeds import held_out_seed


def angle_error_deg(shown: str) -> float:
    found = re.search(r"angle error, weighted by energy: ([\d.]+)°", shown)
    assert found is not None, shown
    return float(found[1])


def test_the_demo_leaves_its_files_and_prints_the_angle(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--out", str(tmp_path), "--model", str(tiny_model), "--seed", "3"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "scene.foa.wav", "scene.binaural.wav", "scene.mp4", "scene.energy.mp4", "scene.json", "world",
    }  # fmt: skip
    shown = capsys.readouterr().out
    assert 0 <= angle_error_deg(shown) <= 180
    assert "meant: azimuth" in shown
    camera = json.loads((tmp_path / "scene.json").read_text())["camera"]
    scene = make_scene(held_out_seed(3, DEMO_SUITE_SEED), "in_view", "static")
    assert camera["yaw_deg"] == pytest.approx(float(scene.camera.yaw_deg[0]))


def test_the_true_sound_is_where_it_was_meant_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = make_scene(5, "in_view", "static")
    print_directions(scene, write_clip(scene, tmp_path, "scene").foa)
    assert angle_error_deg(capsys.readouterr().out) < 5


def test_a_negative_seed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", str(tmp_path / "o"), "--seed", "-4"]) == 2
    assert "seed is -4; give a whole number from 0" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
