"""The decoding benchmark runs, and reports what its readers look for."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "visage_decode.py"


def test_the_benchmark_writes_its_figures(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    path = tmp_path / "figures.json"
    threads = str(torch.get_num_threads())
    main(["--tiny", "--steps", "2", "--token-steps", "4", "--threads", threads, "--json", str(path)])
    figures = json.loads(path.read_text())
    for name in ("exact_speedup", "fast_speedup", "exact_ms_per_step", "fast_ms_per_step"):
        assert figures[name] > 0
    assert figures["same_tokens"]["same"]
    # The first four rows hold 1 token of W, twice 4 + 3, and 1 + 3 * 4.
    assert figures["same_tokens"]["tokens"] == 1 + 7 + 13 + 7
    assert 0 <= figures["fast_deviation"]["relative_logit_error"] < 0.05
    assert "exact_speedup" in capsys.readouterr().out


def test_the_comparison_of_systems_writes_its_figures(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    path = tmp_path / "figures.json"
    threads = str(torch.get_num_threads())
    main(["--systems", "--tiny", "--quick", "--steps", "2", "--threads", threads, "--json", str(path)])
    figures = json.loads(path.read_text())
    one = figures["auto"]["one clip"]
    assert (one["visage"]["rows"], one["visage-sc"]["rows"]) == (861, 376)
    assert all(row["seconds"] > 0 for row in (*one.values(), *figures["training step"].values()))
    assert figures["ratios"]["visage-sc, auto, one clip: times faster"] > 0
    assert "4 candidates over one" in capsys.readouterr().out
