"""`spatialfoley train RECIPE`: run or resume a recipe."""

from collections.abc import Mapping
from pathlib import Path

import typer


def train(
    recipe: Path = typer.Argument(help="A YAML such as recipes/tiny_visage.yaml."),
    set_: list[str] = typer.Option([], "--set", help="Change a key: optimizer.learning_rate=1e-4."),
) -> None:
    """Train a model by its recipe; started again, it goes on where it stopped."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from spatialfoley.training.loop import train as run
    from spatialfoley.training.settings import read_recipe
    from spatialfoley.training.tasks import make_task

    settings = read_recipe(recipe, set_)
    console = Console(stderr=True)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    console.print(f"{settings.task}: {settings.steps} steps of {settings.batch_size} into {settings.output}")
    task = make_task(settings)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[figures]}"), console=console) as bar:
        shown = bar.add_task("steps", total=settings.steps, figures="")

        def progress(step: int, means: Mapping[str, float]) -> None:
            figures = "  ".join(f"{name} {value:.3g}" for name, value in means.items())
            bar.update(shown, completed=step, figures=figures)

        folder = run(task, settings, progress)
    console.print(f"done: {folder}")
