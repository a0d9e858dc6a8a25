from pathlib import Path

import pytest
import torch

from spatialfoley import weights
from spatialfoley.cli import run
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import UniCodecConfig
from spatialfoley.codecs.unicodec_network import UniCodecNetwork

SMALL = UniCodecConfig(
    first_width=2,
    width=64,
    layers=1,
    expert_width=32,
    codebook_size=64,
    backbone_width=64,
    backbone_inner_width=64,
    backbone_layers=1,
)


def test_unicodec_is_imported_after_its_network_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("COLUMNS", "500")
    torch.manual_seed(0)
    file, foreign = tmp_path / "unicode.ckpt", tmp_path / "dac.ckpt"
    torch.save({"state_dict": UniCodecNetwork(SMALL).state_dict(), "epoch": 1, "callbacks": {}}, file)
    torch.save({"state_dict": {"decoder.model.0.bias": torch.zeros(2)}}, foreign)

    assert run(["models", "list"]) == 0
    assert "spatialfoley models fetch unicodec" in capsys.readouterr().out
    assert run(["models", "import", "unicodec", str(file)]) == 0
    assert (
        "licence not stated by its authors; ask the authors before any commercial use"
        in capsys.readouterr().out
    )
    place = weights.locate("unicodec")
    assert place is not None
    assert UniCodec.load(place).vocabulary_size == 64
    assert run(["models", "import", "unicodec", str(foreign)]) == 2
    assert "is no UniCodec checkpoint" in capsys.readouterr().err
