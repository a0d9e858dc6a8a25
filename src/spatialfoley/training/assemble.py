"""From the folders of finished runs to one model folder that pipelines load."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialfoley.media.errors import MediaError
from spatialfoley.pipeline.loading import load_pipeline
from spatialfoley.pipeline.twin_loading import FAMILY, load_twin
from spatialfoley.weights import weight_files

MANIFEST = "pipeline.json"


def assemble_pipeline(
    codec_folder: Path | None,
    features_folder: Path | None,
    generator_folder: Path,
    out: Path,
    defaults: Mapping[str, Any],
    name: str | None = None,
    licence: str = "unknown",
) -> Path:
    """Put a generator, its codec and its visual encoder into one folder, and prove that it loads.

    The parts are copied to a hidden folder beside `out`, loaded from there, and only then put in their places, so
    that `out` never holds a model that does not load. Other files in `out` stay.

    Args:
        codec_folder: Holds codec.json and codec.safetensors, or a DAC checkpoint; None for the DAC among the
            weights of this machine.
        features_folder: Holds features.json and features.safetensors, or a CLIP checkpoint; None for the CLIP
            among the weights of this machine.
        generator_folder: Holds config.json and the weights, as a run of the task `visage` leaves them.
        out: The model folder.
        defaults: How to sample, as `sampling` of pipeline.json: guidance, top_k, temperature, ...
        name: Of the model; None for the name of `out`.
        licence: Of its weights.

    Returns:
        `out`.

    Raises:
        ValueError: A part is missing or does not fit the others, or a default is impossible.
        MediaError: `out` cannot be written.
    """
    content = {
        "family": "visage",
        "name": name or out.name,
        "features": "tiny" if _is_tiny(features_folder, "features") else "clip",
        "codec": "tiny" if _is_tiny(codec_folder, "codec") else "dac",
        "licence": licence,
        "sampling": dict(defaults),
    }
    with _hidden_beside(out) as hidden:
        _copy_checkpoint(generator_folder, hidden)
        _copy_part(codec_folder, "codec", "dac", hidden)
        _copy_part(features_folder, "features", "clip", hidden)
        (hidden / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        load_pipeline(hidden, device="cpu")
        _move_into_place(hidden, out)
    return out


def assemble_twin(
    parts: Mapping[str, Path | str],
    out: Path,
    defaults: Mapping[str, Any],
    name: str | None = None,
    licence: str = "unknown",
) -> Path:
    """Put the parts of a tiny flow twin into one folder, and prove that it loads.

    Args:
        parts: Of "twin", "head", "codec" and "features" those that the model has: the folder of a finished run,
            whose files are copied, or the name of a model whose part is used.
        out: The model folder.
        defaults: How to sample: steps, guidance, solver.
        name: Of the model; None for the name of `out`.
        licence: Of its weights.

    Returns:
        `out`.

    Raises:
        ValueError: A part is missing or does not fit the others, or a default is impossible.
        MediaError: `out` cannot be written.
    """
    borrowed = {part: place for part, place in parts.items() if isinstance(place, str)}
    content = {
        "family": FAMILY,
        "name": name or out.name,
        "licence": licence,
        "parts": borrowed,
        "sampling": dict(defaults),
    }
    with _hidden_beside(out) as hidden:
        for part, place in parts.items():
            if isinstance(place, Path):
                _copy_files(place, part, hidden)
        (hidden / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        load_twin(hidden)
        _move_into_place(hidden, out)
    return out


@contextmanager
def _hidden_beside(out: Path) -> Iterator[Path]:
    """A hidden folder in which a model is put together; gone afterwards."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as problem:
        raise MediaError(f"cannot write {out}: {problem.strerror}; choose another folder") from problem
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _is_tiny(folder: Path | None, part: str) -> bool:
    return folder is not None and (folder / f"{part}.json").is_file()


def _copy_part(folder: Path | None, part: str, published: str, target: Path) -> None:
    """A tiny part lies beside the generator, a published one in a folder of its own."""
    if folder is None:
        return
    if not _is_tiny(folder, part):
        _copy_checkpoint(folder, target / published)
        return
    _copy_files(folder, part, target)


def _copy_files(folder: Path, part: str, target: Path) -> None:
    """Settings and weights of a part, as its run exported them."""
    for name in (f"{part}.json", f"{part}.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}; give the folder of a finished run")
        shutil.copyfile(folder / name, target / name)


def _copy_checkpoint(folder: Path, target: Path) -> None:
    """config.json, if there is one, and the weights, without what else a run leaves."""
    files = weight_files(folder)
    target.mkdir(exist_ok=True)
    for path in (folder / "config.json", *folder.glob("*.index.json"), *files):
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def _move_into_place(source: Path, out: Path) -> None:
    """The manifest last: it makes a folder a model."""
    out.mkdir(exist_ok=True)
    for path in sorted(source.iterdir(), key=lambda path: path.name == MANIFEST):
        place = out / path.name
        if place.is_dir():
            shutil.rmtree(place)
        path.replace(place)
