"""Recipes: one complete YAML per run, read into frozen dataclasses; an unknown key is an error."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from spatialfoley.settings import RecipeError, from_mapping

DecayRule = Literal["matrices", "published", "all"]
Schedule = Literal["constant", "cosine", "steps"]

LARGEST_SIGMA_REL = 0.28
"""Widths of a weight average are below 1 / sqrt(12) = 0.2887: that is the equal average of all steps."""


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """AdamW, its schedule and the gradient's limit."""

    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    schedule: Schedule = "constant"
    """After a linear warm-up: `constant`, `cosine` (to zero at the last step), or `steps` (see drop_at)."""
    drop_at: tuple[float, ...] = ()
    """For `steps`: shares of the run, from 0 to 1 and rising, at which the rate is multiplied by drop_factor."""
    drop_factor: float = 0.1
    warmup_steps: int = 0
    decay: DecayRule = "matrices"
    """What the weight decay falls on, see `training.loop.parameter_groups`."""

    def __post_init__(self) -> None:
        if self.decay not in typing.get_args(DecayRule):
            raise RecipeError(
                f"optimizer.decay is {self.decay!r}; it must be 'matrices', 'published' or 'all'"
            )
        if self.schedule not in typing.get_args(Schedule):
            raise RecipeError(
                f"optimizer.schedule is {self.schedule!r}; it must be 'constant', 'cosine' or 'steps'"
            )
        if self.learning_rate <= 0:
            raise RecipeError(f"optimizer.learning_rate is {self.learning_rate}; it must be above 0")
        if self.epsilon <= 0:
            raise RecipeError(f"optimizer.epsilon is {self.epsilon}; it must be above 0, such as 1e-8")
        if (self.schedule == "steps") != bool(self.drop_at):
            raise RecipeError(
                f"optimizer.drop_at is {list(self.drop_at)} with schedule {self.schedule!r}; "
                "give shares such as [0.8, 0.9] with 'steps' and none with the others"
            )
        if list(self.drop_at) != sorted(self.drop_at) or not all(0 < share < 1 for share in self.drop_at):
            raise RecipeError(
                f"optimizer.drop_at is {list(self.drop_at)}; it must be rising shares of the run between 0 and 1"
            )
        if not 0 < self.drop_factor <= 1:
            raise RecipeError(
                f"optimizer.drop_factor is {self.drop_factor}; it must be above 0 and at most 1"
            )


@dataclasses.dataclass(frozen=True)
class AverageSettings:
    """Averaging of the weights over the run; the averaged weights are what is exported."""

    sigma_rel: float = 0.05
    """Width of the average as a share of the run, see `training.averaging`."""

    def __post_init__(self) -> None:
        if not 0 < self.sigma_rel <= LARGEST_SIGMA_REL:
            raise RecipeError(
                f"average.sigma_rel is {self.sigma_rel}; it must be above 0 and at most {LARGEST_SIGMA_REL}"
            )


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """A whole recipe; `data` and `model` are read by the task that the recipe names."""

    task: str
    output: str
    steps: int
    batch_size: int
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    seed: int = 0
    optimizer: OptimizerSettings = OptimizerSettings()
    average: AverageSettings | None = None
    """None exports the weights of the last step."""
    objective: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    precision: str = "float32"
    gradient_accumulation: int = 1
    save_every_steps: int = 500
    log_every_steps: int = 50
    threads: int | None = None
    """Threads of one process on a CPU; None leaves torch's choice."""
    initialize_from: str | None = None
    """A folder or file of weights to start with; the task says what it does with them."""

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise RecipeError(f"precision is {self.precision!r}; it must be 'float32' or 'bfloat16'")
        for name in ("steps", "batch_size", "gradient_accumulation", "save_every_steps", "log_every_steps"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainingSettings:
    """The recipe at `path`, with `key=value` overrides (dots go into sections: `optimizer.learning_rate=1e-3`).

    Raises:
        RecipeError: The file is missing or no mapping, or a key is unknown, missing or of the wrong type.
    """
    if not path.is_file():
        raise RecipeError(
            f"recipe {path} does not exist; recipes are YAML files such as recipes/tiny_visage.yaml"
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise RecipeError(
            f"recipe {path} holds no mapping; it needs keys such as task, steps, data and model"
        )
    for override in overrides:
        _override(document, override)
    return from_mapping(TrainingSettings, document, str(path))


def _override(document: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(
            f"--set got {override!r}; it must be key=value, such as optimizer.learning_rate=1e-3"
        )
    section = document
    *parents, last = key.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise RecipeError(f"--set {override}: {parent} is no section")
    section[last] = yaml.safe_load(text)
