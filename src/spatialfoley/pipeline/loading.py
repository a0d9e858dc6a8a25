"""From a name, a folder or a hub id to a pipeline: the parts are built and joined."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, get_args

import torch
from safetensors import SafetensorError

from spatialfoley import weights
from spatialfoley.codecs.codec import Codec
from spatialfoley.codecs.grouped import GroupedCodec
from spatialfoley.codecs.stored import load_stored_codec
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.features.tiny import TinyFeatures
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.spatializer.checkpoint import load_audio_spatializer
from spatialfoley.generators.visage.checkpoint import load_visage, read_config
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.kernels import Kernel
from spatialfoley.generators.visage.sampler import SamplingSettings
from spatialfoley.kernels.devices import choose_device
from spatialfoley.kernels.packed import unavailable_reason
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import Defaults, Features
from spatialfoley.pipeline.compressed import COMPRESSED_PREFIX, CompressedPipeline, load_compressed
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_folder import find_flow_model
from spatialfoley.pipeline.model_folder import (
    EMBEDDED_MODEL,
    MANIFEST_FILE,
    PUBLISHED_MODEL,
    SINGLE_CODEBOOK_CODEC,
    SINGLE_CODEBOOK_MODEL,
    Manifest,
    find_model,
    part_folders,
    read_manifest,
    weight_hashes,
)
from spatialfoley.pipeline.twin_chain import TwinPipeline
from spatialfoley.pipeline.twin_loading import is_twin_folder, load_twin
from spatialfoley.pipeline.two_stage import TwoStagePipeline, is_two_stage, load_two_stage

_HALF_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
_UNTRAINED = {
    PUBLISHED_MODEL: VisageConfig(),
    SINGLE_CODEBOOK_MODEL: VisageConfig.single_codebook(token_ranges=((8192, 16384),)),
}
"""Generators that clips can be prepared for before their weights are there."""


AnyPipeline = Pipeline | FlowPipeline | TwinPipeline | TwoStagePipeline | CompressedPipeline


def load_pipeline(name: str | Path, device: str = "auto", dtype: str = "auto") -> AnyPipeline:
    """Load everything that turns a video into sound.

    Args:
        name: "tiny-visage", "tiny-visaudio" and "tiny-visaudio-foa" (in the package); "visage", "visage-sc",
            "mmaudio_small_16k" to "mmaudio_large_44k_v2", "visaudio" or "visaudio-foa" (their weights have to be on
            this machine); a model folder; or a hub id whose files are on this machine. "MONO+SPATIALIZER" gives
            the sound of a model, or of "folder:DIR", a place (see `two_stage`), and "compressed:visage" makes
            clips of 8 s as ViSAudio's authors had it (see `compressed`).
        device: "auto" (cuda, then mps, then cpu), or a torch device.
        dtype: "auto" and "float32" compute exactly; "fast" takes 16-bit weights where that is quick; "float16",
            "bfloat16" and "int8" as named.

    Raises:
        ValueError: if the model is unknown or not here (with the command that fetches it), its files do not
            fit, or the device or dtype is not available.
    """
    place = choose_device(device)
    if str(name).startswith(COMPRESSED_PREFIX):
        return load_compressed(load_pipeline(str(name).removeprefix(COMPRESSED_PREFIX), device, dtype))
    if is_two_stage(name):
        return load_two_stage(str(name), lambda mono: load_pipeline(mono, device, dtype), place)
    flow = find_flow_model(name)
    if flow is not None:
        from spatialfoley.pipeline.flow_loading import load_flow_pipeline  # transformers is slow to import

        with _one_sentence(flow.generator):
            return load_flow_pipeline(flow, place, dtype)
    folder = find_model(name)
    if is_twin_folder(folder):
        with _one_sentence(folder):
            return load_twin(folder)
    manifest = read_manifest(folder, str(name))
    parts = part_folders(manifest, folder)
    kernel = _kernel(dtype, place)
    with _one_sentence(folder):
        model = load_visage(folder).to(place).eval()
        features = _load_features(manifest, parts["features"], place, model.config.clip_frame_rate)
        codec = _as_rows_hold(_load_codec(manifest.codec, parts["codec"], place, dtype), model.config)
    if place.type != "cpu" and dtype in _HALF_DTYPES:
        model = model.to(_HALF_DTYPES[dtype])
    return Pipeline(
        model,
        features,
        codec,
        _defaults(manifest, model.config.cfg_guidance_scale),
        {
            "model": manifest.name,
            "licence": manifest.licence,
            "weights_sha256": weight_hashes(manifest, parts),
        },
        place,
        kernel,
    )


def load_field_pipeline(name: str | Path, device: str = "auto", dtype: str = "auto") -> AnyPipeline:
    """As ``load_pipeline``, for what needs a sound field.

    Raises:
        ValueError: also if the model makes none.
    """
    pipe = load_pipeline(name, device, dtype)
    if not isinstance(pipe, Pipeline) and pipe.layout != "foa":
        raise ValueError(
            f"{name} makes {pipe.layout} sound, but a sound field is needed here; "
            f"give a model such as {EMBEDDED_MODEL}"
        )
    return pipe


@dataclass(frozen=True)
class Encoders:
    """What turns clips into training data: a model without its generator.

    Attributes:
        features: the visual encoder.
        codec: the codec.
        config: of the generator.
        device: where both compute.
        description: name of the model and hashes of the weights.
    """

    features: Features
    codec: Codec
    config: VisageConfig
    device: torch.device
    description: Mapping[str, Any]


def load_encoders(name: str | Path, device: str = "auto") -> Encoders:
    """Load the codec and the visual encoder of a model; no weights of its generator are needed.

    Args:
        name: as for ``load_pipeline``; "visage" and "visage-sc" want only their codec and CLIP on this machine.
        device: "auto" or a torch device.

    Raises:
        ValueError: as ``load_pipeline``.
    """
    place = choose_device(device)
    if find_flow_model(name) is not None:
        raise ValueError(
            f"{name} has no codec of tokens; give visage, {EMBEDDED_MODEL} or a folder of their kind"
        )
    config = None if Path(name).expanduser().is_dir() else _UNTRAINED.get(str(name))
    if config is None or weights.locate(str(name)):
        folder = find_model(name)
        config = read_config(folder)
    else:
        folder = Path(name)  # there is none: its parts are looked for among the weights of this machine
    manifest = read_manifest(folder, str(name))
    parts = {part: path for part, path in part_folders(manifest, folder).items() if part != "generator"}
    with _one_sentence(folder):
        features = _load_features(manifest, parts["features"], place, config.clip_frame_rate)
        codec = _as_rows_hold(_load_codec(manifest.codec, parts["codec"], place), config)
    description = {"model": manifest.name, "weights_sha256": weight_hashes(manifest, parts)}
    return Encoders(features, codec, config, place, description)


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    """Turn what readers of damaged files raise into one sentence."""
    try:
        yield
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ValueError(
            f"the model in {folder} cannot be read ({reason}); copy or download its files again"
        ) from problem


def _load_features(manifest: Manifest, folder: Path, device: torch.device, frame_rate_hz: int) -> Features:
    if manifest.features == "tiny":
        return TinyFeatures.load(folder, str(device))
    from spatialfoley.features.clip import ClipFeatures  # transformers is slow to import

    return ClipFeatures.load(folder, str(device), frame_rate_hz)


def _as_rows_hold(codec: Codec, config: VisageConfig) -> Codec:
    """The codec as the generator reads and writes it: by groups of as many frames as a row holds."""
    return codec if config.frames_per_row == 1 else GroupedCodec(codec, config.frames_per_row)


def _load_codec(kind: str, folder: Path, device: torch.device, dtype: str = "auto") -> Codec:
    if kind == "tiny":
        return load_stored_codec(folder).to(device)
    if kind == "unicodec":
        packed = (
            device.type == "cpu" and dtype in ("fast", "bfloat16") and not unavailable_reason(torch.bfloat16)
        )
        return UniCodec.load(folder, str(device), kernel="bfloat16" if packed else "plain")
    from spatialfoley.codecs.dac import DacCodec  # transformers is slow to import

    # The original release is one file without a config beside it.
    path = folder if (folder / "config.json").is_file() else weights.weight_files(folder)[0]
    return DacCodec.load(path, str(device))


def _defaults(manifest: Manifest, published_scale: float) -> Defaults:
    settings = dict(manifest.sampling)
    rule = settings.pop("guidance", {"rule": "combined", "scale": published_scale})
    try:
        sampling = SamplingSettings(**settings)
        name = rule["rule"]
        scales = {key: float(value) for key, value in rule.items() if key != "rule"}
        if name not in ("none", "combined", "visual", "directional", "dual"):
            raise ValueError(f"guidance rule {name!r} is unknown")
        guidance: Guidance = getattr(Guidance, name)(**scales)
    except (TypeError, KeyError) as problem:
        raise ValueError(
            f"{MANIFEST_FILE} of {manifest.name} has impossible sampling settings: {problem}"
        ) from problem
    return Defaults(guidance, sampling)


def _kernel(dtype: str, device: torch.device) -> str:
    known = ("auto", "fast", "float32", *_HALF_DTYPES, "int8")
    if dtype not in known and dtype not in get_args(Kernel):
        raise ValueError(f"dtype is {dtype!r}; give one of {', '.join(known)}")
    if dtype == "float32":
        return "auto"
    return "plain" if device.type != "cpu" and dtype in _HALF_DTYPES else dtype


def check_weights(name: str, path: Path) -> None:
    """Build the network of a known model from a copy of its weights.

    Raises:
        ValueError: if the weights do not fit; missing and unexpected keys are listed.
    """
    kind, cpu = weights.info(name).kind, torch.device("cpu")
    if weights.info(name).family != "visage":
        from spatialfoley.pipeline.flow_loading import check_part  # transformers is slow to import

        check_part(name, path)
        return
    if kind == "spatializer":
        load_audio_spatializer(path)
    elif kind == "generator":
        load_visage(path)
        _refuse_stored_parts(name, path)
    elif kind == "codec":
        _load_codec("unicodec" if name == SINGLE_CODEBOOK_CODEC else "dac", path, cpu)
    else:
        _load_features(Manifest(name, "clip", "dac", "", {}), path, cpu, 1)


def _refuse_stored_parts(name: str, folder: Path) -> None:
    """Only the generator is imported; a folder that brings its own codec or encoder is a whole model by itself."""
    manifest = read_manifest(folder, name)
    for part, kind in (("features", manifest.features), ("codec", manifest.codec)):
        if kind == "tiny" and part not in manifest.parts:
            raise ValueError(
                f"{folder} has its own {part}, which an import does not take; use the folder: --model {folder}"
            )
