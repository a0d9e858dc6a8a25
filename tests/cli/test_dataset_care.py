"""The verbs that look after a built set, as a person types them."""

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
