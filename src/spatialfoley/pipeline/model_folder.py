"""Model folders: where they lie, what they say of themselves, and where their parts come from.

A model folder holds the generator in its published layout (``config.json`` and ``model.safetensors`` or
``pytorch_model.bin``). A ``pipeline.json`` beside them names the other parts and how to sample; without it the
folder is taken for plain ViSAGe, which wants CLIP and DAC: from its sub-folders ``clip`` and ``dac`` or from the
weights on this machine.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialfoley import weights

EMBEDDED_MODEL = "tiny-visage"
PUBLISHED_MODEL, PUBLISHED_CODEC, PUBLISHED_FEATURES = "visage", "dac_44khz", "clip-vit-b-32"

MANIFEST_FILE = "pipeline.json"

_KEYS = {"family", "name", "features", "codec", "sampling", "licence"}


@dataclass(frozen=True)
class Manifest:
    """What ``pipeline.json`` says.

    Attributes:
        name: name of the model.
        features: "tiny" or "clip".
        codec: "tiny" or "dac".
        licence: of the weights.
        sampling: guidance, top_k, temperature, spatial_temperature, spatial_top_k; what is missing is as
            published.
    """

    name: str
    features: str
    codec: str
    licence: str
    sampling: Mapping[str, Any]


def choose_model(name: str | None) -> tuple[str, str]:
    """The model to use where none is named, and one line that says why where that needs saying."""
    if name is not None:
        return name, ""
    absent = missing_parts()
    if not absent:
        return PUBLISHED_MODEL, ""
    commands = " && ".join(f"spatialfoley models fetch {part}" for part in absent)
    return EMBEDDED_MODEL, (
        f"using the embedded {EMBEDDED_MODEL}; {PUBLISHED_MODEL} is not on this machine: '{commands}' gets it "
        f"(licence of its weights: {weights.info(PUBLISHED_MODEL).licence})"
    )


def missing_parts() -> list[str]:
    """Names of the checkpoints that the published model needs and this machine does not have."""
    return [
        part for part in (PUBLISHED_MODEL, PUBLISHED_CODEC, PUBLISHED_FEATURES) if not weights.locate(part)
    ]


def find_model(name: str | Path) -> Path:
    """The folder of a model.

    Raises:
        ValueError: if there is none of that name, with what to do.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    generators = [model for model in weights.list_models() if model.kind == "generator"]
    names = {key: model.name for model in generators for key in (model.name, model.address)}
    if str(name) in names:
        return _on_this_machine(names[str(name)])
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)) and not folder.parent.is_dir():
        return _from_hub(str(name))
    known = ", ".join(model.name for model in generators)
    raise ValueError(
        f"model is {str(name)!r}, no folder and no known name; give {known}, a model folder or a hub id"
    )


def _on_this_machine(name: str) -> Path:
    folder = weights.locate(name)
    if folder is not None:
        return folder
    if weights.info(name).place == "embedded":
        raise ValueError(f"{name} is missing from this installation; install spatialfoley again")
    raise ValueError(
        f"{name} is not on this machine; 'spatialfoley models fetch {name}' gets it, and "
        f"'spatialfoley models import {name} FOLDER' takes a copy that you have"
    )


def _from_hub(address: str) -> Path:
    from huggingface_hub import snapshot_download  # slow to import, seldom needed

    try:
        return Path(snapshot_download(address))
    except Exception as problem:  # the client raises a dozen kinds for "not there"
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ValueError(
            f"model is {address!r}, no folder here and not to be had from the hub ({reason}); "
            "copy the model to this machine and give its folder"
        ) from problem


def read_manifest(folder: Path, name: str) -> Manifest:
    """What a model folder says of itself.

    Raises:
        ValueError: if ``pipeline.json`` is no JSON, names an unknown part or has an unknown key.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        known = {model.name: model.licence for model in weights.list_models()}
        return Manifest(
            Path(name).name, "clip", "dac", known.get(name, "unknown, see where it came from"), {}
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} is no JSON ({problem}); copy the model again") from problem
    unknown = sorted(set(content) - _KEYS)
    if unknown:
        raise ValueError(
            f"{path} has unknown settings {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}"
        )
    for key, possible in (("family", {"visage"}), ("features", {"tiny", "clip"}), ("codec", {"tiny", "dac"})):
        if content.get(key) not in possible:
            raise ValueError(
                f"{path} has {key} {content.get(key)!r}; it must be one of {', '.join(sorted(possible))}"
            )
    return Manifest(
        content.get("name", folder.name),
        content["features"],
        content["codec"],
        content.get("licence", "unknown"),
        content.get("sampling", {}),
    )


def part_folders(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Where the files of each part lie."""
    parts = {"generator": folder, "features": folder, "codec": folder}
    if manifest.features == "clip":
        parts["features"] = _sub_folder(folder, "clip", PUBLISHED_FEATURES)
    if manifest.codec == "dac":
        parts["codec"] = _sub_folder(folder, "dac", PUBLISHED_CODEC)
    return parts


def _sub_folder(folder: Path, name: str, registered: str) -> Path:
    return folder / name if (folder / name).is_dir() else _on_this_machine(registered)


def weight_hashes(manifest: Manifest, parts: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of the weights of each part."""
    tiny = {"features": manifest.features == "tiny", "codec": manifest.codec == "tiny"}
    paths = {part: path / f"{part}.safetensors" if tiny.get(part) else path for part, path in parts.items()}
    memory = weights.home() / "hashes.json"
    return {part: weights.sha256_of(path, memory) for part, path in paths.items()}
