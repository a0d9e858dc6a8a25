import json
from pathlib import Path

import pytest
from benchmarks.listening_networks import main


def test_the_benchmark_writes_a_row_for_every_listener(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "listening.json"
    main(["--size", "tiny", "--duration-s", "1", "--channels", "2", "--repeats", "1", "--json", str(file)])
    figures = json.loads(file.read_text())
    assert figures["channels"] == 2
    shown = capsys.readouterr().out
    for name in ("vggish", "cnn14", "passt"):
        assert figures[name]["float32_cpu_s"] > 0
        assert 0 <= figures[name]["bfloat16_deviation"] < 0.1
        assert f"| {name} |" in shown
