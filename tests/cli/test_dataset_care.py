"""The verbs that look after a built set, as a person types them."""

import shutil
from pathlib import Path

import pytest

from spatialfoley.cli import run
from spatialfoley.dataset.factory.runner import build
from tests.dataset.factory.test_runner import config


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("care") / "set"
    build(config(root, count=6, reject_every=5))
    return root


def test_a_good_set_and_a_damaged_one(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "check", str(built), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "8 clips in" in said
    assert "all as it should be" in said
    (stranger := built / "shards" / "spare.tar").write_bytes(b"x")
    assert run(["dataset", "check", str(built), "--workers", "1"]) == 1
    stranger.unlink()
    shown = capsys.readouterr()
    assert "extra: spare.tar: shards.jsonl has it not" in shown.err
    assert "1 findings" in shown.out


def test_a_folder_without_a_set_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dataset", "check", str(tmp_path)]) == 2
    assert (
        "holds no shards.jsonl; build it with 'spatialfoley dataset build CONFIG'" in capsys.readouterr().err
    )


def test_a_card_and_a_takedown(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = str(shutil.copytree(built, tmp_path / "set"))
    assert run(["dataset", "card", copy, "--contact", "rights@example.org"]) == 0
    assert "rights@example.org" in (tmp_path / "set" / "card.md").read_text()
    wanted = tmp_path / "ids.txt"
    wanted.write_text("n-0001  # asked by mail\n\nn-0002-00000000\n")
    assert run(["dataset", "takedown", copy, "--file", str(wanted), "--reason", "asked"]) == 0
    assert "1 recordings and 1 clips taken down: 3 clips left" in capsys.readouterr().out
    card = (tmp_path / "set" / "card.md").read_text()
    assert "2 recordings or clips were taken down" in card
    assert "rights@example.org" in card
    assert "n-0001" not in (tmp_path / "set" / "licences.csv").read_text()
    assert run(["dataset", "check", copy, "--workers", "1"]) == 0
    assert run(["dataset", "takedown", copy, "nobody"]) == 2
    assert "has no recording and no clip nobody; nothing was changed" in capsys.readouterr().err


def test_statistics(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(built, tmp_path / "set")
    assert run(["dataset", "stats", str(copy), "--workers", "1"]) == 0
    shown = capsys.readouterr()
    assert "8 clips, 0 hours" in shown.out
    assert "8 clips: foa cannot be read" in shown.err
    assert (copy / "stats.html").is_file()
