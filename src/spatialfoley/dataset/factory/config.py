"""What is built: a source, stages in their order, shards; one YAML per data set, an unknown key is an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import FetchStage, Source, Stage, load_source, load_stage, seed_of
from spatialfoley.settings import RecipeError, from_mapping

SPLITS = ("train", "valid", "test")
EXECUTORS = ("processes", "ray")
LOCAL = "local"
"""Address of a Ray cluster that is started on this machine and ends with the build."""
AUTO = "auto"
"""Address of the Ray cluster that this machine belongs to."""


@dataclass(frozen=True)
class SplitSettings:
    """Shares of the recordings; a recording belongs to one split with all its clips."""

    valid: float = 0.1
    test: float = 0.1
    seed: int = 0
    given: bool = False
    """Take `split` of the records' facts, as published lists state it."""

    def __post_init__(self) -> None:
        if min(self.valid, self.test) < 0 or self.valid + self.test >= 1:
            raise RecipeError(
                f"splits: valid is {self.valid} and test {self.test}; give shares of at least 0, together below 1"
            )

    def of(self, record: Record) -> str:
        """Split of a record, by its recording.

        Raises:
            ValueError: It should state its split and does not.
        """
        if self.given:
            split = record.facts.get("split")
            if split not in SPLITS:
                raise ValueError(
                    f"record {record.id} has split {split!r}; with 'given: true' it must be one of "
                    f"{', '.join(SPLITS)}"
                )
            return str(split)
        draw = seed_of("split", self.seed, record.recording) / 2**63
        return "valid" if draw < self.valid else "test" if draw < self.valid + self.test else "train"


@dataclass(frozen=True)
class ShardSettings:
    """How clips are packed."""

    recordings: int = 50
    """Recordings whose clips share a shard of each split; in source order, so that timing changes nothing."""
    keep_work: bool = False
    """Keep the files of recordings whose shard is written; otherwise the disk holds little more than shards."""

    def __post_init__(self) -> None:
        if self.recordings < 1:
            raise RecipeError(f"shards.recordings is {self.recordings}; it must be at least 1")


@dataclass(frozen=True)
class RetrySettings:
    """What happens when the world is in the way."""

    attempts: int = 4
    """Of one run, for problems that may go away: network, rate limits, memory."""
    pause_s: float = 2.0
    """Before the second attempt; doubled before every further one."""
    longest_pause_s: float = 300.0
    stage_limit_s: float = 3600.0
    """A stage that takes longer on one record is stopped and recorded."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise RecipeError(f"retries.attempts is {self.attempts}; it must be at least 1")
        for name in ("pause_s", "longest_pause_s", "stage_limit_s"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"retries.{name} is {getattr(self, name)}; it must be above 0")

    def pause_before(self, attempt: int) -> float:
        """Seconds before attempt 2, 3, ..."""
        return min(self.longest_pause_s, self.pause_s * 2.0 ** (attempt - 2))


@dataclass(frozen=True)
class RaySettings:
    """Where the workers of a cluster are, see `ray_pool`."""

    address: str = LOCAL
    """"local" starts Ray on this machine; "auto" is the cluster that it belongs to; or host:port of a head."""
    cpus_per_worker: float = 1.0
    """Processors that each worker takes; it runs one thread."""
    gpus_per_worker: float = 0.0
    """Accelerators, or shares of one, that each worker takes."""

    def __post_init__(self) -> None:
        if not self.address:
            raise RecipeError("ray.address is empty; give 'local', 'auto' or host:port of the cluster's head")
        if self.cpus_per_worker <= 0:
            raise RecipeError(f"ray.cpus_per_worker is {self.cpus_per_worker}; it must be above 0")
        if self.gpus_per_worker < 0:
            raise RecipeError(f"ray.gpus_per_worker is {self.gpus_per_worker}; it must be at least 0")


@dataclass(frozen=True)
class StageSpec:
    """A stage by name and settings, as workers are told it."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Stage:
        """The stage itself; "fetch" is that of a source, whose kind and settings are in `settings`."""
        if self.name == "fetch":
            rest = {key: value for key, value in self.settings.items() if key != "kind"}
            return FetchStage(load_source(self.settings["kind"], rest))
        return load_stage(self.name, self.settings)


@dataclass(frozen=True)
class BuildConfig:
    """A whole data set."""

    output: str
    source: Mapping[str, Any]
    """`kind` and the settings of that source."""
    stages: tuple[Mapping[str, Any], ...]
    """Each with `stage`, its name, and its settings."""
    splits: SplitSettings = SplitSettings()
    shards: ShardSettings = ShardSettings()
    retries: RetrySettings = RetrySettings()
    workers: int = 2
    executor: str = "processes"
    """"processes" of this machine, or "ray": workers of a cluster."""
    ray: RaySettings = RaySettings()
    max_work_gb: float = 100.0
    """No further recording is begun while the files of unfinished shards take more."""
    title: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise RecipeError(f"workers is {self.workers}; it must be at least 1")
        if self.executor not in EXECUTORS:
            raise RecipeError(f"executor is {self.executor!r}; it must be one of {', '.join(EXECUTORS)}")
        if self.max_work_gb <= 0:
            raise RecipeError(f"max_work_gb is {self.max_work_gb}; it must be above 0")
        if "kind" not in self.source:
            raise RecipeError("source has no kind; give one such as {kind: folder, path: recordings}")
        for number, stage in enumerate(self.stages, start=1):
            if "stage" not in stage:
                raise RecipeError(f"stage {number} of the list has no key 'stage'; it names the stage")
        # Impossible settings are found before anything is done.
        self.load_source()
        for spec in self.specs():
            spec.load()

    def load_source(self) -> Source:
        """The source."""
        rest = {key: value for key, value in self.source.items() if key != "kind"}
        return load_source(self.source["kind"], rest)

    def specs(self) -> tuple[StageSpec, ...]:
        """All stages in their order, the source's fetching first where it has any."""
        named = tuple(
            StageSpec(stage["stage"], {key: value for key, value in stage.items() if key != "stage"})
            for stage in self.stages
        )
        fetches = hasattr(type(self.load_source()), "fetch")
        return (StageSpec("fetch", dict(self.source)), *named) if fetches else named

    def chains(self) -> tuple[str, ...]:
        """For every stage a hash of all that its results depend on: it and the stages before it.

        With other settings of a stage only that stage and those after it are done again.
        """
        chains = []
        so_far = hashlib.sha256()
        for spec in self.specs():
            settings = dict(spec.settings)
            if spec.name == "fetch":
                source: Any = self.load_source()
                if hasattr(source, "fetch_depends_on"):
                    settings = {"kind": self.source["kind"], **source.fetch_depends_on()}
            said = json.dumps([spec.name, spec.load().version, settings], sort_keys=True)
            so_far.update(said.encode())
            chains.append(so_far.hexdigest()[:16])
        return tuple(chains)


def read_build(path: Path, workers: int | None = None, executor: str | None = None) -> BuildConfig:
    """The build that a YAML file describes; relative paths in it count from where the command runs.

    Args:
        path: The file.
        workers: Instead of those of the file.
        executor: Instead of that of the file.

    Raises:
        RecipeError: The file is missing, no mapping, or has an unknown, missing or impossible key.
    """
    if not path.is_file():
        raise RecipeError(
            f"config {path} does not exist; give a YAML file such as recipes/dataset_world.yaml"
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"config {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise RecipeError(f"config {path} holds no mapping; it needs output, source and stages")
    given = {"workers": workers, "executor": executor}
    chosen = {name: value for name, value in given.items() if value is not None}
    return from_mapping(BuildConfig, {**document, **chosen}, str(path))
