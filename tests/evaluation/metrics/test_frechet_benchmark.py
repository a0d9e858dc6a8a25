import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.frechet_estimate import Case, main, simulate


def test_the_estimate_finds_the_known_distance() -> None:
    row = simulate(Case(80, 16, 0.0), repeats=12)
    # One set is of scale 1, the other of √(0.5² + 0.75 · 1.3²): 16 (1.232 - 1)² and a little for the means.
    assert row["known"] == pytest.approx(16 * (np.sqrt(0.25 + 0.75 * 1.69) - 1) ** 2, abs=0.5)
    assert row["value"] > row["known"] + 1.5
    assert row["unbiased"] == pytest.approx(row["known"], abs=0.5)
    assert row["known_held"] > 0.7


def test_the_quick_run_writes_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert text.strip() == (tmp_path / "frechet_estimate.md").read_text().strip()
    assert "| 120 × 32, falling ^-0.5, 5 frames |" in text
    assert "| 300 × 128 |" in text
    figures = json.loads((tmp_path / "frechet_estimate.json").read_text())
    assert [row["clips"] for row in figures["simulated"]] == [200, 120]
    for row in figures["simulated"]:
        assert abs(row["unbiased"] - row["known"]) < abs(row["value"] - row["known"])
    assert 0 < figures["times"][0]["roots_cpu_s"] < figures["times"][0]["distance_cpu_s"]
    assert figures["times"][0]["distance_cpu_s"] <= figures["times"][0]["estimate_cpu_s"]


def test_one_set_has_no_spread(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--repeats", "1"])
    assert "--repeats is 1; a spread needs 2 or more" in capsys.readouterr().err
