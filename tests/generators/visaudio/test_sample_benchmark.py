"""The sampling benchmark runs, and reports what its readers look for."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from spatialfoley.generators.visaudio.sampler import FlowSettings

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "visaudio_sample.py"


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_benchmark_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark: dict[str, Any]
) -> None:
    path, threads = tmp_path / "figures.json", str(torch.get_num_threads())
    options = ["--size", "tiny", "--part", "sampling", "--repeats", "1", "--deviation-steps", "2"]
    benchmark["main"]([*options, "--tie-ears", "--threads", threads, "--json", str(path)])
    figures = json.loads(path.read_text())
    assert figures["machine"]["torch"] == torch.__version__
    sampling = figures["sampling"]
    assert sampling["tokens"] == {"latent": 250, "clip": 64, "sync": 192}
    assert sampling["velocity deviation"] < 0.05
    assert sampling["latents deviation"]["no guidance"] < 0.05
    clips = sampling["clips"]["cpu_s"]
    assert clips["(a) plain"] == pytest.approx(clips["b over a"] * clips["(b) ours"])
    assert "(c) ours, few steps" in capsys.readouterr().out


def test_without_a_gpu_that_part_is_skipped_with_a_sentence(
    capsys: pytest.CaptureFixture[str], benchmark: dict[str, Any]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert benchmark["main"](["--device", "cuda"])["device"] == {"skipped": "no GPU"}
    assert "there is no GPU here: this part is skipped" in capsys.readouterr().out


def test_guided_steps_are_those_within_the_interval(benchmark: dict[str, Any]) -> None:
    count = benchmark["guided_evaluations"]
    assert count(FlowSettings()) == 25
    assert count(FlowSettings(steps=10, guidance_start=0.25, guidance_end=0.75)) == 5
