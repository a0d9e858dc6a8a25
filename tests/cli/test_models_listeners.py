from pathlib import Path

import pytest
import torch

from spatialfoley.cli import run
from spatialfoley.evaluation.networks.vggish import Vggish, VggishConfig


def test_a_listener_is_imported_after_its_network_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    network = Vggish(VggishConfig(widths=(2, 3, 4, 5), hidden=8, embedding_size=6))
    file = tmp_path / "vggish-10086976.pth"
    torch.save(network.state_dict(), file)
    assert run(["models", "import", "vggish", str(file)]) == 0
    assert "licence Apache-2.0; commercial use allowed" in capsys.readouterr().out
    assert run(["models", "list"]) == 0
    assert "cnn14-16k" in capsys.readouterr().out
    assert run(["models", "import", "cnn14-16k", str(file)]) == 2
    assert "does not fit the listener cnn14: these are no weights of CNN14" in capsys.readouterr().err
