"""From the files of an MMAudio or ViSAudio model to a pipeline, with every size read off the weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from spatialfoley import weights
from spatialfoley.codecs.mel_vae_codec import MelVaeCodec
from spatialfoley.codecs.sizes_of_weights import load_published_codec, load_vae, load_vocoder
from spatialfoley.features.clip_h14 import ClipH14Features
from spatialfoley.features.perception import PerceptionFeatures, strip_wrappers
from spatialfoley.features.sizes_of_weights import perception_config_of, synchformer_config_of
from spatialfoley.features.synchformer import SynchformerFeatures
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.checkpoint import load_mmaudio, load_visaudio, read_config
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.head_folder import (
    CONFIG_FILE,
    FIELD_MODEL,
    HEAD_FILE,
    HEAD_SETTINGS_FILE,
    is_head_folder,
    load_head,
    read_head_folder,
)
from spatialfoley.generators.visaudio.inference import INFERENCE_FILE, read_inference
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.packed_flow import pack_network
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_clip import FlowEncoders
from spatialfoley.pipeline.flow_folder import (
    CLIP,
    CODECS,
    PARTS,
    PERCEPTION,
    SYNCHFORMER,
    VISAUDIO,
    FlowModel,
    find_flow_model,
    find_part,
    is_visaudio_folder,
    network_files,
    take_flow_folder,
)
from spatialfoley.weights import WeightsError
from spatialfoley.weights.store import FAMILY_FOLDER

DTYPES: Mapping[str, torch.dtype] = {
    "auto": torch.float32,
    "float32": torch.float32,
    "fast": torch.bfloat16,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
SIZES = ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")
PATCH_GRID = 8
"""Patches along each side that a spatial head is trained on: 11 degrees of a view, a quarter of ViSAudio's disk."""


def load_flow_pipeline(model: FlowModel, device: torch.device, dtype: str = "auto") -> FlowPipeline:
    """Load a model and its parts.

    Args:
        model: from ``find_flow_model``.
        device: where to compute.
        dtype: "auto" and "float32" compute exactly; "fast", "bfloat16" and "float16" hold network and encoders of
            the picture in 16 bits. The codec is always exact.

    Raises:
        ValueError: if a part is missing or does not fit, or the dtype is another one.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; {model.name} takes {', '.join(DTYPES)}")
    exact = DTYPES[dtype]
    network: MMAudioNetwork | VisaudioNetwork
    if model.family == VISAUDIO:
        network = load_visaudio(model.generator, device, exact)
    else:
        network = load_mmaudio(model.generator, None, device, exact)
    if exact == torch.bfloat16:
        pack_network(network)
    head = None if model.head is None else load_head(model.head, device)
    grid = None if head is None else head.config.pe_grid
    parts = load_flow_parts(model, network.config, device, exact, grid)
    hashes = dict(parts.weights_sha256)
    hashes["generator"] = weights.sha256_of(model.generator, weights.home() / "hashes.json")
    if model.head is not None:
        hashes["head"] = weights.sha256_of(model.head / HEAD_FILE, weights.home() / "hashes.json")
    folder = model.generator if model.generator.is_dir() else model.generator.parent
    if (folder / INFERENCE_FILE).is_file():  # other defaults make other sound, as other weights do
        hashes[INFERENCE_FILE] = weights.sha256_of(folder / INFERENCE_FILE, weights.home() / "hashes.json")
    description = {"model": model.name, "licence": _licence(model, network), "weights_sha256": hashes}
    inference = read_inference(folder)
    return FlowPipeline(network, parts.encoders, parts.codec, description, device, inference, head)


@dataclass(frozen=True)
class FlowParts:
    """A model without its generator.

    Attributes:
        encoders: of frames and texts.
        codec: latents to sound and back.
        config: of the generator that they belong to.
        weights_sha256: hash of each part's file.
    """

    encoders: FlowEncoders
    codec: MelVaeCodec
    config: MMAudioConfig | VisaudioConfig
    weights_sha256: Mapping[str, str]


def load_flow_parts(
    model: FlowModel,
    config: MMAudioConfig | VisaudioConfig,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    grid: int | None = None,
) -> FlowParts:
    """Load the encoders and the codec of a model.

    Args:
        model: where to look for them.
        config: of the generator.
        device: where to compute.
        dtype: of the encoders; the codec is always exact.
        grid: patches along each side that a spatial head reads beside the generator; None for what the generator
            reads itself.

    Raises:
        ValueError: if a part is missing or damaged.
    """
    rate_hz = (config.backbone if isinstance(config, VisaudioConfig) else config).sample_rate_hz
    if rate_hz not in CODECS:
        raise ValueError(
            f"{model.name} is of {rate_hz} Hz, but there are autoencoders and vocoders of "
            f"{' and '.join(map(str, CODECS))} Hz only; correct sample_rate_hz of its configuration"
        )
    if isinstance(config, VisaudioConfig) and config.spacetime:
        grid = config.pe_input_grid
    names = [*CODECS[rate_hz], SYNCHFORMER, CLIP, *([] if grid is None else [PERCEPTION])]
    files = {name: model.part(name) for name in names}
    vae, vocoder = (files[name] for name in names[:2])
    codec = load_published_codec(rate_hz, vae, vocoder, str(device))
    encoders = FlowEncoders(
        load_clip(files[CLIP], str(device), dtype),
        load_synchformer(files[SYNCHFORMER], str(device), dtype),
        None if grid is None else load_perception(files[PERCEPTION], grid, str(device), dtype),
    )
    memory = weights.home() / "hashes.json"
    hashes = {name: weights.sha256_of(path, memory) for name, path in files.items()}
    return FlowParts(encoders, codec, config, hashes)


def load_parts_for_training(name: str | Path, device: torch.device, grid: int | None = None) -> FlowParts:
    """The encoders and the codec of a model by its name, for what it is to be trained on.

    Of visaudio and of the published MMAudio networks no weights of the generator are needed.

    Args:
        name: as for ``load_pipeline``.
        device: where to compute.
        grid: as for ``load_flow_parts``.

    Raises:
        ValueError: if a part is missing or damaged, or the name is of another family.
    """
    size = str(name).removeprefix("mmaudio_")
    untrained: MMAudioConfig | VisaudioConfig | None = None
    if str(name) == VISAUDIO:
        untrained = VisaudioConfig()
    elif str(name) == f"mmaudio_{size}" and size in SIZES:
        untrained = MMAudioConfig.named(size)
    if untrained is not None and not Path(name).exists() and weights.locate(str(name)) is None:
        family = weights.home() / "models" / FAMILY_FOLDER
        return load_flow_parts(FlowModel(VISAUDIO, str(name), family, family), untrained, device, grid=grid)
    model = find_flow_model(name)
    if model is None:
        raise ValueError(f"{name} is no model of MMAudio or ViSAudio; give visaudio, or mmaudio_large_44k_v2")
    if model.family == VISAUDIO:
        return load_flow_parts(model, read_config(model.generator), device, grid=grid)
    return load_flow_parts(model, load_mmaudio(model.generator).config, device, grid=grid)


def load_clip(path: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> ClipH14Features:
    """The encoder of frames and texts; its settings and vocabulary lie beside the file."""
    return ClipH14Features.load(path if path.is_dir() else path.parent, device, dtype)


def load_synchformer(
    path: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> SynchformerFeatures:
    """The encoder of motion, of the size that its weights have."""
    return SynchformerFeatures.load(
        path, device, dtype, config=synchformer_config_of(weights.load_state_dict(path))
    )


def load_perception(
    path: Path, grid: int | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> PerceptionFeatures:
    """The encoder of patches, averaged so that the network gets `grid` along each side; None: as published."""
    config = perception_config_of(strip_wrappers(weights.load_state_dict(path)))
    pool = 2 if grid is None else max(1, config.grid // grid)
    return PerceptionFeatures.load(path, config, device, dtype, pool=pool)


def check_part(name: str, path: Path) -> None:
    """Build the network of a registered part, or a generator, from a copy of its weights.

    Raises:
        ValueError: if names or shapes do not fit; they are listed.
    """
    rates = {part: rate_hz for rate_hz, parts in CODECS.items() for part in parts}
    if name == VISAUDIO:
        load_visaudio(path)
    elif name == FIELD_MODEL:
        load_head(path)
    elif name == SYNCHFORMER:
        load_synchformer(path)
    elif name == CLIP:
        load_clip(path)
    elif name == PERCEPTION:
        load_perception(path)
    elif name in rates and name == CODECS[rates[name]][0]:
        load_vae(path)
    elif name in rates:
        load_vocoder(path, rates[name])
    else:
        found = size_name(load_mmaudio(path).config)
        if f"mmaudio_{found}" != name:
            raise WeightsError(
                f"{path} holds the network {found or 'of no published size'}, not {name}; import it by its own "
                "name, or its folder as mmaudio"
            )


def size_name(config: MMAudioConfig) -> str | None:
    """The published name of a network's size, or None."""
    return next((name for name in SIZES if MMAudioConfig.named(name) == config), None)


def import_flow_folder(name: str, folder: Path, link: bool = False) -> list[str]:
    """Take a folder in the published MMAudio layout, of ViSAudio or of a spatial head, after checking every file.

    What an earlier import took stays, unless this one brings it again.

    Args:
        name: "mmaudio", "visaudio" or "visaudio-foa".
        folder: the folder.
        link: link to the files instead of copying them.

    Returns:
        One line for each network and part that was taken, and for each part that is still missing.

    Raises:
        WeightsError: nothing of it is there, or a file is not what its name says.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder} is no folder; give the folder that holds weights/ and ext_weights/")
    found: dict[str, Path] = {}
    lines = []
    if name == VISAUDIO:
        if not is_visaudio_folder(folder):
            raise WeightsError(
                f'{folder} has no config.json with "model_type": "visaudio"; give such a folder'
            )
        weights.import_folder(name, folder, lambda root: check_part(name, root), link)
        lines.append(f"{name}: network with the channels {', '.join(read_config(folder).branches)}")
    elif name == FIELD_MODEL:
        lines.append(_take_head(folder, link))
    else:
        for file in network_files(folder):
            size = size_name(load_mmaudio(file).config)
            found[f"mmaudio_{size}" if size else file.stem] = file
            lines.append(f"{file.name}: {size or 'a size of its own'}, read off the weights")
        if not found:
            raise WeightsError(
                f"{folder} holds no MMAudio network; it needs weights/mmaudio_small_16k.pth or another "
                "mmaudio_*.pth"
            )
    for part in PARTS:
        file_of_part = find_part(part, folder)
        if file_of_part is not None:
            check_part(part, file_of_part)
            found[part] = file_of_part
            lines.append(f"{part}: {file_of_part.name}, as expected")
    if found:
        take_flow_folder(name, found, link)
    return lines


def _take_head(folder: Path, link: bool) -> str:
    if not is_head_folder(folder) or read_head_folder(folder).layout != "foa":
        raise WeightsError(
            f'{folder} has no config.json with "model_type": "{FIELD_MODEL}"; give the folder of a finished run of '
            "the task spatial_head"
        )
    load_head(folder)
    for file in (CONFIG_FILE, HEAD_SETTINGS_FILE, HEAD_FILE):
        weights.add_to_folder(FIELD_MODEL, folder / file, file, link)
    return f"{FIELD_MODEL}: spatial head on {read_head_folder(folder).generator}"


def _licence(model: FlowModel, network: MMAudioNetwork | VisaudioNetwork) -> str:
    size = size_name(network.config) if isinstance(network, MMAudioNetwork) else None
    licence = "unknown, see where it came from" if size is None else weights.info(f"mmaudio_{size}").licence
    if model.head is None:
        return licence
    described = read_head_folder(model.head)
    return f"of the frozen {described.generator}: {licence}; of the spatial head: {described.licence}"
