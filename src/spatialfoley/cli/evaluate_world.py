"""``spatialfoley evaluate --suite world``: models and baselines on the same held-out clips."""

import platform
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.cli.reporting import console, progress_bar, warn

if TYPE_CHECKING:
    from spatialfoley.evaluation.metrics.statistics import Interval
    from spatialfoley.evaluation.report.document import Metric
    from spatialfoley.evaluation.suite.figures import SuiteResult
    from spatialfoley.evaluation.suite.settings import WorldSuiteSettings
    from spatialfoley.evaluation.suite.systems import Generate, System

ALL_MODELS = "all"
MONO_MODEL = "tiny-visage"
"""Whose mono sound the two-stage baselines start from, where it is among the models."""


def evaluate_world(
    settings: "WorldSuiteSettings", models: str | None, out: Path, device: str, dtype: str, jobs: int = 1
) -> None:
    """Score models and baselines on the world, write the report and print the headline figures.

    Args:
        settings: Which clips.
        models: A name, folder or several of them with commas between; "all" for every model of the package;
            None for the one that is used where none is named.
        out: Folder of the results.
        device: As of ``load_pipeline``.
        dtype: As of ``load_pipeline``.
        jobs: Processes.
    """
    import typer

    from spatialfoley.evaluation.suite.run import run_world_suite, write_world_report
    from spatialfoley.pipeline.model_folder import EMBEDDED_MODEL
    from spatialfoley.pipeline.products import require_writable
    from spatialfoley.pipeline.versions import installed_versions

    require_writable(out)
    names = model_names(models or EMBEDDED_MODEL)
    build = partial(world_systems, names, device, dtype)
    systems = build()
    for system in systems:
        if system.is_model:
            warn(f"{system.name}: licence {system.details.get('licence', 'not stated')}")
    with progress_bar("scoring") as report:
        run = run_world_suite(systems, settings, out, progress=report, jobs=jobs, build=build)
    provenance = {
        "command": command_line(settings, names, jobs),
        "versions": installed_versions(),
        "machine": f"{platform.machine()}, {platform.system()}, device {device}, dtype {dtype}",
    }
    files = write_world_report(run, systems, settings, out, provenance)
    print_headlines(run.result, files)
    failed_models = [
        model
        for model in run.result.models
        if not any(run.result.scored[g][model] for g in run.result.groups)
    ]
    if run.result.failures:
        raise typer.Exit(2 if failed_models else 1)


def model_names(text: str) -> tuple[str, ...]:
    """Names or folders from a list with commas; "all" stands for every generator in the package.

    Raises:
        ValueError: The list is empty or holds a name twice.
    """
    from spatialfoley import weights

    if text.strip() == ALL_MODELS:
        known = weights.list_models()
        return tuple(model.name for model in known if model.place == "embedded" and model.kind == "generator")
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError(f"--model is {text!r}; give a name, several with commas between, or {ALL_MODELS}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--model holds {twice} twice; give each model once")
    return names


def world_systems(names: Sequence[str], device: str, dtype: str) -> "list[System]":
    """Everything that is scored: models, the two-stage baselines, codecs, truth and noise.

    Args:
        names: Models or folders.
        device: As of ``load_pipeline``.
        dtype: As of ``load_pipeline``.

    Raises:
        ValueError: A model or a spatializer cannot be loaded.
    """
    from spatialfoley.evaluation.suite.systems import (
        codec_system,
        model_system,
        noise_system,
        truth_system,
    )
    from spatialfoley.pipeline.loading import load_pipeline
    from spatialfoley.pipeline.round_trips import round_trip

    models: list[System] = []
    codecs: list[System] = []
    for name in names:
        pipe = load_pipeline(name, device=device, dtype=dtype)
        description = pipe.describe()
        label, title = run_label(description), str(description["model"])
        if any(model.name == title for model in models):
            raise ValueError(
                f"the model in {name} is called {title}, as another one; score it in a run of its own"
            )
        models.append(model_system(title, suite_generator(pipe), label, details=description))
        back = round_trip(pipe)
        if back is not None:
            codecs.append(codec_system(title, back, label))
    lenders = [model for model in models if model.name == MONO_MODEL]
    placed = two_stage_systems([*lenders, None], device)
    return [*models, *placed, *codecs, truth_system(), noise_system()]


def two_stage_systems(sources: "Sequence[System | None]", device: str) -> "list[System]":
    """Every spatializer after every source of mono sound; None is the true mono sound."""
    from spatialfoley.evaluation.suite.systems import two_stage_system
    from spatialfoley.kernels.devices import choose_device
    from spatialfoley.pipeline.spatializers import EMBEDDED_SPATIALIZER, SPATIALIZERS, load_spatializer

    place = choose_device(device)
    spatializers = [load_spatializer(name, place) for name in SPATIALIZERS]
    found = []
    for source in sources:
        for spatialize in spatializers:
            details = spatialize.describe()
            label = f"{spatialize.name}-{str(details['weights_sha256'] or 'formula')[:8]}"
            # Only the one that listens and looks can be wrong in ways worth hearing.
            shown = spatialize.name == EMBEDDED_SPATIALIZER
            found.append(two_stage_system(spatialize.name, spatialize, label, source, details, shown))
    return found


def run_label(description: dict[str, Any]) -> str:
    """Name of the model with the start of its weights' hash, so that no folder mixes two trainings."""
    hashes = description.get("weights_sha256")
    marks = hashes.values() if isinstance(hashes, dict) else [hashes] if hashes else []
    return "-".join([str(description["model"]), *(str(mark)[:8] for mark in marks), description["kernel"]])


def suite_generator(pipe: Any) -> "Generate":
    """How a pipeline makes the sound of a clip: from picture, camera and seed; ears are at the camera anyway."""
    return lambda clip: pipe(clip.video, camera=clip.camera, seed=clip.seed)


def command_line(settings: "WorldSuiteSettings", names: Sequence[str], jobs: int) -> str:
    """What to type to get the same figures."""
    # A folder is told by its last part: where it lies is nobody's business.
    models = ",".join(Path(name).name for name in names)
    camera = f" --camera {settings.camera}" if settings.camera else ""
    return (
        f"spatialfoley evaluate --suite world --model {models} --clips {settings.clips} --seed {settings.seed} "
        f"--duration-s {settings.duration_s:g} --turn-clips {settings.turn_clips}{camera} --jobs {jobs}"
    )


def print_headlines(result: "SuiteResult", files: dict[str, Path]) -> None:
    """The figures that decide, systems as rows; all others are in the report."""
    from rich.table import Table

    from spatialfoley.evaluation.suite.columns import HEADLINE, PROCESSOR_SECONDS
    from spatialfoley.evaluation.suite.figures import SINGLE

    screen = console()
    if SINGLE in result.groups:
        columns = (*HEADLINE, PROCESSOR_SECONDS)
        table = Table(title=f"{SINGLE}, {result.groups[SINGLE]} clips")
        for heading in ("", *(column.title for column in columns)):
            table.add_column(heading, justify="right")
        for name, row in result.tables[SINGLE].items():
            overall = {**result.frechet.get(name, {}), **result.seconds[name]}
            cells = [_cell(column, overall.get(column.key, row.get(column.key))) for column in columns]
            table.add_row(name, *cells)
        screen.print(table)
    for name, turn in result.turns.items():
        angle = turn["median_deg"]
        if angle is not None:
            screen.print(
                f"{name}: camera turned by 90°, the field turns by {angle.value:.1f}° "
                f"(median of {angle.count} clips)"
            )
    screen.print(
        f"{len(result.systems)} systems, {result.clips} clips, {len(result.failures)} failed; all tables with 95 % "
        f"intervals: {files['report.md']}"
    )
    if "report.html" in files:
        screen.print(f"to look at and to listen to: {files['report.html']}")


def _cell(column: "Metric", figure: "Interval | None") -> str:
    unit = f" {column.unit}" if column.unit.isalpha() else column.unit
    return "–" if figure is None else f"{figure.value:{column.form}}{unit}"
