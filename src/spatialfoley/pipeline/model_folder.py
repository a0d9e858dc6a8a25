"""Model folders: where they lie, what they say of themselves, and where their parts come from.

A model folder holds the generator in its published layout (``config.json`` and ``model.safetensors`` or
``pytorch_model.bin``). A ``pipeline.json`` beside them names the other parts and how to sample; without it the
folder is taken for plain ViSAGe, which wants CLIP and DAC, or for ViSAGe-SC, which wants CLIP and UniCodec: from
its sub-folders ``clip``, ``dac`` and ``unicodec`` or from the weights on this machine.

Parts of our own ("tiny") lie beside the generator, or in the folder of another model, which ``parts`` names: models
that share an encoder are in the package with one copy of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley import weights

EMBEDDED_MODEL = "tiny-visage"
PUBLISHED_MODEL, PUBLISHED_CODEC, PUBLISHED_FEATURES = "visage", "dac_44khz", "clip-vit-b-32"
SINGLE_CODEBOOK_MODEL, SINGLE_CODEBOOK_CODEC = "visage-sc", "unicodec"

MANIFEST_FILE = "pipeline.json"

PARTS = ("features", "codec")
_KEYS = {"family", "name", *PARTS, "parts", "sampling", "licence"}
_POSSIBLE = {"family": {"visage"}, "features": {"tiny", "clip"}, "codec": {"tiny", "dac", "unicodec"}}
_REGISTERED = {"clip": PUBLISHED_FEATURES, "dac": PUBLISHED_CODEC, "unicodec": SINGLE_CODEBOOK_CODEC}
"""What a kind of part is called among the weights of a machine."""


@dataclass(frozen=True)
class Manifest:
    """What ``pipeline.json`` says.

    Attributes:
        name: name of the model.
        features: "tiny" (our own kind, stored as features.json and features.safetensors) or "clip".
        codec: "tiny" (one of our own, stored as codec.json and codec.safetensors), "dac" or "unicodec".
        licence: of the weights.
        sampling: guidance, top_k, temperature, spatial_temperature, spatial_top_k; what is missing is as
            published.
        parts: name or folder of the model that a part of our own kind is taken from, where it is not in this
            folder.
    """

    name: str
    features: str
    codec: str
    licence: str
    sampling: Mapping[str, Any]
    parts: Mapping[str, str] = field(default_factory=dict)


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
    place = weights.info(name).place
    if place == "embedded":
        raise ValueError(f"{name} is missing from this installation; install spatialfoley again")
    if place == "unpublished":
        raise ValueError(
            f"{name} is not on this machine, and no weights of it are published; train it, and "
            f"'spatialfoley models import {name} FOLDER' takes the result"
        )
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
        licence = known.get(name, "unknown, see where it came from")
        return Manifest(Path(name).name, "clip", published_codec(folder, name), licence, {})
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} is no JSON ({problem}); copy the model again") from problem
    unknown = sorted(set(content) - _KEYS)
    if unknown:
        raise ValueError(
            f"{path} has unknown settings {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}"
        )
    for key, possible in _POSSIBLE.items():
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
        _lenders(content, path),
    )


def _lenders(content: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The models that lend parts; only parts of our own kind can be lent, the others have names of their own."""
    lenders = content.get("parts", {})
    if not isinstance(lenders, dict) or not all(isinstance(name, str) for name in lenders.values()):
        raise ValueError(f"{path} has parts {lenders!r}; give the name of a model for each part")
    for part in lenders:
        if part not in PARTS or content[part] != "tiny":
            raise ValueError(
                f"{path} takes its {part} from {lenders[part]}, but only features and codec of the kind tiny "
                "can be taken from another model"
            )
    return dict(lenders)


def published_codec(folder: Path, name: str = "") -> str:
    """The codec that a published generator reads and writes, by its settings: "dac", or "unicodec" for ViSAGe-SC.

    Args:
        folder: holds config.json; where there is none, the name decides.
        name: of the model.
    """
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        codebooks = settings.get("num_rvq"), settings.get("dac_sample_rate")
        single = codebooks == (settings.get("frames_per_row", 1), 24000)
    except (OSError, ValueError, AttributeError):
        single = name == SINGLE_CODEBOOK_MODEL
    return "unicodec" if single else "dac"


def part_folders(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Where the files of each part lie.

    Raises:
        ValueError: if a part is not there, with what to do.
    """
    parts = {"generator": folder}
    for part, kind in (("features", manifest.features), ("codec", manifest.codec)):
        if kind == "tiny":
            parts[part] = stored_part_folder(folder, part, manifest.parts)
        else:
            parts[part] = folder / kind if (folder / kind).is_dir() else _on_this_machine(_REGISTERED[kind])
    return parts


def stored_part_folder(folder: Path, part: str, lenders: Mapping[str, str]) -> Path:
    """Folder of a part of our own kind: the model's, or that of the model that lends it.

    Args:
        folder: the model's.
        part: the stem of its files.
        lenders: name or folder of a model for each part that is lent.

    Raises:
        ValueError: if the lender is unknown or does not hold the part itself.
    """
    place = find_model(lenders[part]) if part in lenders else folder
    if not (place / f"{part}.json").is_file():
        raise ValueError(f"{place} has no {part}.json; give the folder of a whole model or of a finished run")
    return place


def weight_hashes(manifest: Manifest, parts: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of the weights of each part."""
    tiny = {"features": manifest.features == "tiny", "codec": manifest.codec == "tiny"}
    paths = {part: path / f"{part}.safetensors" if tiny.get(part) else path for part, path in parts.items()}
    memory = weights.home() / "hashes.json"
    return {part: weights.sha256_of(path, memory) for part, path in paths.items()}
