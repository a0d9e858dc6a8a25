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
from spatialfoley.pipeline.model_folder import PARTS, published_codec
from spatialfoley.pipeline.twin_loading import FAMILY, load_twin
from spatialfoley.weights import weight_files

MANIFEST = "pipeline.json"


def assemble_pipeline(
    codec_folder: Path | str | None,
    features_folder: Path | str | None,
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
        codec_folder: Holds codec.json and codec.safetensors, or a checkpoint of DAC or UniCodec (as the generator's
            settings ask), which may be a file; None for that of this machine. The name of a model, such as
            tiny-visage, for its codec, which is then not copied.
        features_folder: Holds features.json and features.safetensors, or a CLIP checkpoint; None for the CLIP
            among the weights of this machine; the name of a model for its encoder.
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
    places = {"codec": codec_folder, "features": features_folder}
    published = {"codec": published_codec(generator_folder), "features": "clip"}
    content: dict[str, Any] = {
        "family": "visage",
        "name": name or out.name,
        **{part: "tiny" if _is_tiny(places[part], part) else published[part] for part in PARTS},
        "licence": licence,
        "sampling": dict(defaults),
    }
    borrowed = {part: place for part, place in places.items() if isinstance(place, str)}
    if borrowed:
        content["parts"] = borrowed
    with _hidden_beside(out) as hidden:
        _copy_checkpoint(generator_folder, hidden)
        for part, place in places.items():
            if isinstance(place, Path):
                _copy_part(place, part, published[part], hidden)
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


def _is_tiny(place: Path | str | None, part: str) -> bool:
    """Only parts of our own kind are taken from another model."""
    return isinstance(place, str) or (place is not None and (place / f"{part}.json").is_file())


def _copy_part(place: Path, part: str, published: str, target: Path) -> None:
    """A tiny part lies beside the generator, a published one in a folder of its own."""
    if _is_tiny(place, part):
        _copy_files(place, part, target)
    else:
        _copy_checkpoint(place, target / published)


def _copy_files(folder: Path, part: str, target: Path) -> None:
    """Settings and weights of a part, as its run exported them."""
    for name in (f"{part}.json", f"{part}.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}; give the folder of a finished run")
        shutil.copyfile(folder / name, target / name)


def _copy_checkpoint(folder: Path, target: Path) -> None:
    """config.json, if there is one, and the weights, without what else a run leaves; or one file of weights."""
    files = weight_files(folder)
    target.mkdir(exist_ok=True)
    beside = (folder / "config.json", *folder.glob("*.index.json")) if folder.is_dir() else ()
    for path in (*beside, *files):
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
