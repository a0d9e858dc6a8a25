"""The training loop: batches by step number, so that a resumed run sees the batches it would have seen.

One loop for every task. It runs on one CPU, one GPU or, started by `accelerate launch`, on many.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from spatialfoley.training.averaging import WeightAverage
from spatialfoley.training.checkpoints import load_checkpoint, save_checkpoint
from spatialfoley.training.settings import DecayRule, OptimizerSettings, TrainingSettings

Progress = Callable[[int, Mapping[str, float]], None]

PUBLISHED_SPARED = ("bias", "LayerNorm.weight", "layer_norm.weight")
"""Parts of names that the published training spares from weight decay."""


class Task(Protocol):
    """What a recipe trains: a model, its batches and its loss."""

    model: nn.Module

    def batch(self, generator: torch.Generator) -> Any:
        """A batch drawn with `generator` alone: equal generators give equal batches."""

    def loss(
        self, model: nn.Module, batch: Any, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss to minimise and the figures to log; random choices come from `generator`."""

    def export(self, folder: Path) -> None:
        """Write the weights in the form that pipelines load."""


class TrainingError(RuntimeError):
    """A run that must not go on, such as one with a loss that is not a number."""


def train(task: Task, settings: TrainingSettings, progress: Progress | None = None) -> Path:
    """Run (or resume) a recipe to its last step.

    Returns:
        The folder of the run: checkpoint.pt, log.jsonl and the exported weights.

    Raises:
        TrainingError: The loss became NaN or infinite; the last good checkpoint stays.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState
    except ImportError as problem:
        raise ImportError(
            "training needs the package accelerate; install it with pip install 'spatialfoley[train]'"
        ) from problem

    # Null conditions have no gradient where nothing was dropped, and one published table is never read.
    wrapper = DistributedDataParallelKwargs(find_unused_parameters=True)
    precision = "bf16" if settings.precision == "bfloat16" else "no"
    # Else a second run of this process could have no other precision than the first.
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=precision, kwargs_handlers=[wrapper])
    folder = Path(settings.output)
    optimizer = torch.optim.AdamW(
        parameter_groups(task.model, settings.optimizer.weight_decay, settings.optimizer.decay),
        lr=settings.optimizer.learning_rate,
        betas=settings.optimizer.betas,
        eps=settings.optimizer.epsilon,
    )
    state = load_checkpoint(folder)
    first = 0 if state is None else _resume(state, task.model, optimizer)
    model, optimizer = accelerator.prepare(task.model, optimizer)
    bare = accelerator.unwrap_model(model)
    average = _resumed_average(bare, settings, state) if accelerator.is_main_process else None
    model.train()
    log = _Log(folder / "log.jsonl", first) if accelerator.is_main_process else None
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps, settings.optimizer)
        for part in range(settings.gradient_accumulation):
            generator = step_generator(settings.seed, step, part, accelerator.process_index)
            loss, figures = task.loss(model, task.batch(generator), generator)
            if not math.isfinite(loss.item()):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {step}; lower optimizer.learning_rate"
                )
            accelerator.backward(loss / settings.gradient_accumulation)
        norm = accelerator.clip_grad_norm_(model.parameters(), settings.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done = step + 1
        if average is not None:
            average.update(bare, done)
        if log is not None:
            figures = {"loss": loss.item(), "gradient_norm": float(norm), **figures}
            log.add(figures)
            if done % settings.log_every_steps == 0 or done == settings.steps:
                means = log.flush(done)
                if progress is not None:
                    progress(done, means)
            if done % settings.save_every_steps == 0 or done == settings.steps:
                _save(folder, bare, optimizer, average, done)
    if accelerator.is_main_process:
        if average is not None:
            average.put_into(bare)
        task.model.eval()
        task.export(folder)
    return folder


def learning_rate(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Learning rate of a step: linear warm-up, then constant, a cosine to zero, or drops at shares of the run."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "steps":
        drops = sum(step >= share * steps for share in settings.drop_at)
        return settings.learning_rate * settings.drop_factor**drops
    share = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def parameter_groups(
    model: nn.Module, weight_decay: float, rule: DecayRule = "matrices"
) -> list[dict[str, Any]]:
    """Two groups of parameters: with weight decay, and without.

    Args:
        model: The network.
        weight_decay: Of the first group.
        rule: "matrices" decays what has two axes or more. "published" goes by names, as ViSAGe did: all but those
            that hold `bias`, `LayerNorm.weight` or `layer_norm.weight`, so that `layernorm_embedding.weight` and
            the learned null conditions decay too. "all" spares nothing.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in named:
        spared = {
            "matrices": parameter.ndim < 2,
            "published": any(part in name for part in PUBLISHED_SPARED),
            "all": False,
        }[rule]
        groups[not spared].append(parameter)
    return [
        {"params": groups[True], "weight_decay": weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]


def step_generator(seed: int, step: int, part: int = 0, process: int = 0) -> torch.Generator:
    """The source of all randomness of one step: a function of its numbers, so a resumed run repeats nothing."""
    mixed = (seed * 1_000_003 + step) * 1_000_003 + part * 1009 + process
    return torch.Generator().manual_seed(mixed % (2**63))


def _resume(state: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    model.load_state_dict(state["model"], strict=False)
    for name, buffer in state["buffers"].items():
        model.get_buffer(name).copy_(buffer)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _resumed_average(
    model: nn.Module, settings: TrainingSettings, state: Mapping[str, Any] | None
) -> WeightAverage | None:
    """The average of the weights as it stands at the first step to come; None for a recipe without."""
    if settings.average is None:
        return None
    average = WeightAverage(model, settings.average.sigma_rel)
    if state is not None:
        if state.get("average") is None:
            raise TrainingError(
                f"the checkpoint in {settings.output} has no averaged weights; "
                "take the section average out of the recipe, or start again in another output"
            )
        average.load(state["average"])
    return average


def _save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None,
    step: int,
) -> None:
    # Training-only buffers (moving averages) are not in the state dict, but a resumed run needs them.
    buffers = dict(model.named_buffers())
    state = {"model": model.state_dict(), "buffers": buffers, "optimizer": optimizer.state_dict()}
    if average is not None:
        state["average"] = average.weights
    save_checkpoint(folder, {**state, "step": step})


class _Log:
    """Means of the figures between two lines of log.jsonl; lines after the resumed step are dropped."""

    def __init__(self, path: Path, first: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= first]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.path = path
        self.sums: dict[str, float] = {}
        self.count = 0
        self.since = time.perf_counter()

    def add(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def flush(self, step: int) -> dict[str, float]:
        now = time.perf_counter()
        means = {name: value / self.count for name, value in self.sums.items()}
        means["steps_per_s"] = self.count / (now - self.since)
        line = {"step": step, **{name: round(value, 5) for name, value in means.items()}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.sums, self.count, self.since = {}, 0, now
        return means
