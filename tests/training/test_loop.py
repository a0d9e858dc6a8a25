"""The loop on a problem with a known answer, and killed runs that go on as if nothing had happened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spatialfoley.training.averaging import power_of_width
from spatialfoley.training.loop import TrainingError, learning_rate, step_generator, train
from spatialfoley.training.settings import AverageSettings, OptimizerSettings, TrainingSettings


class Line:
    """Finds y = 3 x - 1 from noisy points."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Linear(1, 1)

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(16, 1, generator=generator)
        return x, 3 * x - 1

    def loss(
        self, model: nn.Module, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        loss = (model(batch[0]) - batch[1]).square().mean()
        return loss, {"squared_error": loss.item()}

    def export(self, folder: Path) -> None:
        (folder / "line.json").write_text(json.dumps([p.item() for p in self.model.parameters()]))


@pytest.fixture
def settings(tmp_path: Path) -> TrainingSettings:
    return TrainingSettings(
        task="line",
        output=str(tmp_path / "run"),
        steps=200,
        batch_size=16,
        data={},
        model={},
        optimizer=OptimizerSettings(learning_rate=0.1, weight_decay=0.0, schedule="cosine"),
        save_every_steps=50,
        log_every_steps=50,
    )


def test_training_finds_the_line(settings: TrainingSettings) -> None:
    folder = train(Line(), settings)
    weight, bias = json.loads((folder / "line.json").read_text())
    assert weight == pytest.approx(3, abs=0.01)
    assert bias == pytest.approx(-1, abs=0.01)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [50, 100, 150, 200]
    assert lines[-1]["squared_error"] < lines[0]["squared_error"]


@pytest.mark.parametrize("average", [None, AverageSettings(sigma_rel=0.2)], ids=["last", "averaged"])
def test_a_stopped_run_ends_where_an_undisturbed_one_does(
    settings: TrainingSettings, tmp_path: Path, average: AverageSettings | None
) -> None:
    settings = replace(settings, average=average)
    whole = train(Line(), settings)

    class Killed(Line):
        batches = 0

        def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            self.batches += 1
            if self.batches > 120:
                raise KeyboardInterrupt
            return super().batch(generator)

    stopped = replace(settings, output=str(tmp_path / "stopped"))
    with pytest.raises(KeyboardInterrupt):
        train(Killed(), stopped)
    resumed = train(Line(), stopped)
    assert (resumed / "line.json").read_text() == (whole / "line.json").read_text()
    steps = [json.loads(line)["step"] for line in (resumed / "log.jsonl").read_text().splitlines()]
    assert steps == [50, 100, 150, 200]


def test_a_loss_that_is_no_number_stops_the_run(settings: TrainingSettings) -> None:
    class Broken(Line):
        def loss(
            self, model: nn.Module, batch: tuple[Tensor, Tensor], generator: torch.Generator
        ) -> tuple[Tensor, dict[str, float]]:
            return super().loss(model, batch, generator)[0] * float("nan"), {}

    with pytest.raises(TrainingError, match=r"loss is nan at step 0; lower optimizer\.learning_rate"):
        train(Broken(), settings)


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    cosine = OptimizerSettings(learning_rate=1.0, schedule="cosine", warmup_steps=10)
    assert learning_rate(0, 110, cosine) == pytest.approx(0.1)
    assert learning_rate(10, 110, cosine) == pytest.approx(1.0)
    assert learning_rate(60, 110, cosine) == pytest.approx(0.5)
    assert learning_rate(110, 110, cosine) == pytest.approx(0.0)


def test_the_rate_drops_at_shares_of_the_run() -> None:
    steps = OptimizerSettings(learning_rate=1.0, schedule="steps", drop_at=(0.8, 0.9), warmup_steps=10)
    rates = [learning_rate(step, 100, steps) for step in (0, 9, 10, 79, 80, 89, 90, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01])


def test_the_averaged_weights_are_exported_and_the_last_ones_kept(settings: TrainingSettings) -> None:
    class Falling(Line):
        """A constant gradient of 1 on the bias and none on the weight."""

        def loss(
            self, model: nn.Module, batch: tuple[Tensor, Tensor], generator: torch.Generator
        ) -> tuple[Tensor, dict[str, float]]:
            return model(torch.zeros(1, 1)).sum(), {}

    constant = replace(
        settings,
        average=AverageSettings(sigma_rel=0.1),
        optimizer=OptimizerSettings(learning_rate=0.1, weight_decay=0.0),
    )
    line = Falling()
    start = next(p.item() for name, p in line.model.named_parameters() if name == "bias")
    folder = train(line, constant)
    exported = json.loads((folder / "line.json").read_text())[1]
    last = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]["bias"].item()
    # Adam moves by its rate at each step of a constant gradient: after step t the bias is start - 0.1 t.
    assert last == pytest.approx(start - 20.0, abs=1e-3)
    # The steps up to t weigh (t / T)^(gamma + 1) together.
    shares = (torch.arange(201, dtype=torch.float64) / 200) ** (power_of_width(0.1) + 1)
    mean_step = (shares.diff() * torch.arange(1, 201)).sum().item()
    assert exported == pytest.approx(start - 0.1 * mean_step, abs=1e-3)


def test_averaging_cannot_begin_in_the_middle_of_a_run(settings: TrainingSettings) -> None:
    train(Line(), replace(settings, steps=50))
    with pytest.raises(TrainingError, match="has no averaged weights; take the section average out"):
        train(Line(), replace(settings, average=AverageSettings()))


def test_steps_and_parts_draw_different_numbers() -> None:
    draws = {
        torch.rand((), generator=step_generator(0, s, p, r)).item()
        for s in (0, 1)
        for p in (0, 1)
        for r in (0, 1)
    }
    assert len(draws) == 8
