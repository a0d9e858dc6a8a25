"""Folders of the tiny twins: what they hold, and from them to a pipeline.

    pipeline.json                  family "twin", name, licence, how to sample, and where the parts are
    twin.json, twin.safetensors    the flow
    prior.json, prior.safetensors  what it starts from
    head.json, head.safetensors    where the sound is; the parametric form only
    codec.*, features.*            as in the folder of tiny-visage

A part may lie in the folder of another model, which `parts` names: both twins share one codec, one encoder and one
flow, so they are in the package once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from spatialfoley import weights
from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.features.tiny import TinyFeatures
from spatialfoley.generators.visaudio.spatial_head import SpatialHead, SpatialHeadConfig
from spatialfoley.generators.visaudio.spectral_prior import SpectralPrior, SpectralPriorConfig
from spatialfoley.generators.visaudio.twin import TwinConfig, TwinNetwork
from spatialfoley.pipeline.model_folder import (
    EMBEDDED_MODEL,
    MANIFEST_FILE,
    find_model,
    stored_part_folder,
)
from spatialfoley.pipeline.twin_chain import TwinDefaults, TwinPipeline
from spatialfoley.pipeline.twin_steps import TwinSteps

FAMILY = "twin"
PARTS = ("twin", "prior", "head", "codec", "features")


@dataclass(frozen=True)
class TwinManifest:
    """What `pipeline.json` of a twin says.

    Attributes:
        name: Name of the model.
        licence: Of its weights.
        parts: Name or folder of the model that a part is taken from, where it is not in this folder.
        sampling: Settings of `TwinDefaults`; what is missing is as there.
    """

    name: str
    licence: str = "unknown"
    parts: Mapping[str, str] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)


def is_twin_folder(folder: Path) -> bool:
    """Tell whether a model folder is one of this family."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return (folder / "twin.json").is_file()
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("family") == FAMILY)
    except (ValueError, AttributeError):
        return False


def load_twin(folder: Path, head: Path | None = None, prior: Path | None = None) -> TwinPipeline:
    """Load a twin.

    Args:
        folder: A model folder, or that of a finished run, which borrows codec and encoder from the package.
        head: Folder of a head to use in place of the model's.
        prior: The same of the prior.

    Raises:
        ValueError: A part is missing, or does not fit the others.
    """
    manifest = _read_manifest(folder)
    folders = {part: _part_folder(manifest, folder, part) for part in PARTS}
    for part, place in (("head", head), ("prior", prior)):
        if place is not None:
            folders[part] = place
    with_head = (folders["head"] / "head.json").is_file()
    network = TwinNetwork(TwinConfig.from_dict(_settings(folders["twin"], "twin")))
    _fill(network, folders["twin"], "twin")
    known = SpectralPrior(SpectralPriorConfig.from_dict(_settings(folders["prior"], "prior")))
    _fill(known, folders["prior"], "prior")
    spatial = None
    if with_head:
        spatial = SpatialHead(SpatialHeadConfig.from_dict(_settings(folders["head"], "head")))
        _fill(spatial, folders["head"], "head")
    features, codec = TinyFeatures.load(folders["features"]), TinyCodec.load(folders["codec"])
    _refuse_misfits(network, known, spatial, features, codec)
    used = [part for part in PARTS if part != "head" or with_head]
    memory = weights.home() / "hashes.json"
    hashes = {part: weights.sha256_of(folders[part] / f"{part}.safetensors", memory) for part in used}
    description = {"model": manifest.name, "licence": manifest.licence, "weights_sha256": hashes}
    sampling = dict(manifest.sampling)
    evenness = float(sampling.pop("evenness", 0.0))
    try:
        defaults = TwinDefaults(**sampling)
    except TypeError as problem:
        raise ValueError(
            f"{MANIFEST_FILE} of {manifest.name} has impossible sampling: {problem}"
        ) from problem
    return TwinPipeline(TwinSteps(network, known, spatial, features, codec, evenness), defaults, description)


def _read_manifest(folder: Path) -> TwinManifest:
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return TwinManifest(folder.name)
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("family", None)
    unknown = sorted(set(content) - set(TwinManifest.__dataclass_fields__))
    if unknown:
        known = ", ".join(TwinManifest.__dataclass_fields__)
        raise ValueError(f"{path} has unknown settings {', '.join(unknown)}; known are family, {known}")
    return TwinManifest(**{"name": folder.name, **content})


def _part_folder(manifest: TwinManifest, folder: Path, part: str) -> Path:
    if part in ("twin", "prior", "head") and part not in manifest.parts:
        return folder
    if part in manifest.parts or (folder / f"{part}.json").is_file():
        return stored_part_folder(folder, part, manifest.parts)
    return find_model(EMBEDDED_MODEL)


def _settings(folder: Path, part: str) -> dict[str, Any]:
    path = folder / f"{part}.json"
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {path.name}; give the folder of a whole model or of a finished run"
        )
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _fill(network: nn.Module, folder: Path, part: str) -> None:
    stored = load_file(folder / f"{part}.safetensors")
    network.load_state_dict({name: tensor.to(torch.float32) for name, tensor in stored.items()})
    network.eval()


def _refuse_misfits(
    network: TwinNetwork,
    prior: SpectralPrior,
    head: SpatialHead | None,
    features: TinyFeatures,
    codec: TinyCodec,
) -> None:
    twin = network.twin
    pairs = [
        ("frame_rate_hz", twin.frame_rate_hz, features.frame_rate_hz, "visual encoder"),
        ("codec_rate_hz", twin.codec_rate_hz, codec.frame_rate_hz, "codec"),
        ("shape_dim", twin.form.shape_dim, codec.config.latent_dim, "codec"),
        ("shape_dim", twin.form.shape_dim, prior.config.shape_dim, "prior"),
        ("text_dim", len(twin.words), prior.config.text_dim, "prior"),
        ("clip_dim", twin.network.backbone.clip_dim, features.encoder.config.embedding_dim, "visual encoder"),
    ]
    if head is not None:
        pairs.append(("latent_dim", twin.form.latent_dim, head.config.latent_dim, "spatial head"))
    elif twin.form.form == "parametric" and twin.form.layout != "mono":
        raise ValueError("the parametric form needs a spatial head; train one with the task twin_head")
    for name, wanted, given, part in pairs:
        if wanted != given:
            raise ValueError(
                f"the flow has {name} {wanted}, but the {part} has {given}; use files that belong together"
            )
