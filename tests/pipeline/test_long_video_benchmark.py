"""The measurement of long videos runs, and reports what its readers look for."""

import json
import runpy
from pathlib import Path

import pytest

from tests.model_folders import write_tiny_model

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "long_video.py"))


def windows(count: int, seconds_each: float = 2.0) -> list[dict[str, float]]:
    return [
        {"wall_s": (i + 1) * seconds_each, "made_s": 4.0 * (i + 1), "peak_rss_mib": 100.0 + i}
        for i in range(count)
    ]


def test_throughput_is_that_of_each_quarter() -> None:
    steady = windows(8)
    assert SCRIPT["throughput"](steady, "wall_s") == pytest.approx([2.0] * 4)
    slower = steady[:6] + [{**w, "wall_s": 12.0 + 4 * (i + 1)} for i, w in enumerate(steady[6:])]
    assert SCRIPT["throughput"](slower, "wall_s") == pytest.approx([2.0, 2.0, 2.0, 1.0])


def test_memory_is_read_when_so_many_minutes_are_made() -> None:
    assert SCRIPT["memory_at"](windows(35)) == {"1 min": 114.0, "2 min": 129.0}


def test_a_short_take_gives_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_tiny_model(tmp_path / "random-tiny")
    arguments = ["--minutes", "0.1", "--model", model, "--size-px", "32", "--json", tmp_path / "found.json"]
    SCRIPT["main"]([*map(str, arguments), "--options", '{"outputs": ["foa"]}'])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["windows"] >= 2
    assert set(found["seams"]) == {"joins", "middles"}
    assert found["seams"]["joins"]["moments"] == found["windows"] - 1
    assert [set(quarter) for quarter in found["direction"]] == [{"median_deg", "weighted_deg", "audible"}] * 4
    assert found["peak_rss_mib"]["all files"] >= found["peak_rss_mib"]["loaded"] > 50
    assert "first sound on disk" in capsys.readouterr().out
