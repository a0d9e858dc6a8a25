"""``spatialfoley models``: which weights there are, and getting them onto this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatialfoley.cli.reporting import console

if TYPE_CHECKING:
    from spatialfoley.weights import ModelInfo

app = typer.Typer(help="List, describe, fetch and import model weights.", no_args_is_help=True)

FLOW_FOLDERS = ("mmaudio", "visaudio", "visaudio-foa")
"""Folders that hold several models, or a model with its parts."""

NAME = Annotated[str, typer.Argument(metavar="NAME", help="As 'spatialfoley models list' gives it.")]


def how_to_get(model: "ModelInfo") -> str:
    """The command that brings a model onto this machine."""
    if model.place == "embedded":
        return "it is part of the package, install spatialfoley again"
    if model.place == "unpublished":
        return "no weights are published"
    if model.place == "family":
        return f"spatialfoley models import {model.name} FOLDER, or fetch its models"
    return f"spatialfoley models fetch {model.name}"


@app.command("list")
def list_all() -> None:
    """List every known model with its licence and whether it is on this machine."""
    from rich.table import Table

    from spatialfoley import weights

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "licence", "commercial use", "on this machine"):
        table.add_column(heading)
    for model in weights.list_models():
        here = "yes" if weights.locate(model.name) else f"no: {how_to_get(model)}"
        table.add_row(model.name, model.kind, model.licence, model.commercial_use, here)
    console().print(table)


@app.command("info")
def describe(name: NAME) -> None:
    """Say everything known about one model."""
    from spatialfoley import weights

    model, folder, screen = weights.info(name), weights.locate(name), console()
    screen.print(weights.licence_line(name))
    if model.notes:
        screen.print(model.notes)
    if model.size_bytes:
        screen.print(f"size: {model.size_bytes / 1e6:.0f} MB")
    if folder is None:
        screen.print(f"not on this machine: {how_to_get(model)}")
        if model.place != "embedded":
            screen.print(f"a copy that you have: spatialfoley models import {name} FOLDER")
        return
    screen.print(f"folder: {folder}")
    if model.place == "family":
        return
    memory = weights.home() / "hashes.json"
    if model.family != "twin":
        screen.print(f"SHA-256 of the weights: {weights.sha256_of(folder, memory)}")
        return
    for file in sorted(folder.glob("*.safetensors")):
        screen.print(f"SHA-256 of {file.name}: {weights.sha256_of(file, memory)}")


@app.command("fetch")
def fetch(name: NAME) -> None:
    """Download a model. Its licence is printed first."""
    from spatialfoley import weights

    screen = console()
    screen.print(weights.licence_line(name))
    screen.print(f"{name}: {weights.fetch(name)}")


@app.command("import")
def take(
    name: NAME,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or file with the weights.")],
    link: Annotated[bool, typer.Option("--link", help="Link to the files instead of copying them.")] = False,
) -> None:
    """Take a local copy of a model, after checking that it is one."""
    from spatialfoley import weights

    screen = console()
    screen.print(weights.licence_line(name))
    if name in FLOW_FOLDERS and path.is_dir():
        from spatialfoley.pipeline.flow_loading import import_flow_folder

        for line in import_flow_folder(name, path, link):
            screen.print(line)
        screen.print(f"{name}: {weights.locate(name)}")
        return
    screen.print(f"{name}: {weights.import_folder(name, path, lambda root: _check(name, root), link)}")


def _check(name: str, path: Path) -> None:
    """Build the network of a model from weights, which raises ValueError where they do not fit."""
    from spatialfoley import weights

    if weights.info(name).kind == "listener":
        from spatialfoley.evaluation.networks.loading import check_listener_weights

        check_listener_weights(name, path)
        return
    if weights.info(name).kind == "captioner":
        from spatialfoley.dataset.captioning.found import check_kind

        check_kind(path, ())  # tens of gigabytes: the network itself is built by the stage that uses it
        return
    from spatialfoley.pipeline.loading import check_weights

    check_weights(name, path)
