"""Where the parts of an MMAudio or ViSAudio model lie: in its own folder, and among the weights of this machine.

A folder in the published MMAudio layout has the networks as ``weights/mmaudio_*.pth``, the autoencoders,
Synchformer and the 16 kHz vocoder in ``ext_weights``; CLIP and the 44.1 kHz vocoder come from repositories of their
own and may lie in sub-folders. A ViSAudio folder has ``config.json`` and ``model.safetensors``, and may hold the
same parts. A folder of a spatial head names the MMAudio network that the head sits on, and may hold PE-Spatial.
What is in none of them is looked for among the weights of this machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spatialfoley import weights
from spatialfoley.generators.visaudio.head_folder import is_head_folder, read_head_folder
from spatialfoley.weights.store import FAMILY_FOLDER

SYNCHFORMER, CLIP, PERCEPTION = "synchformer", "clip-dfn5b-h14", "pe-spatial-l14"
CODECS: Mapping[int, tuple[str, str]] = {
    16000: ("mmaudio-vae-16k", "bigvgan-16k"),
    44100: ("mmaudio-vae-44k", "bigvgan-v2-44k"),
}
"""Autoencoder and vocoder of each sample rate."""

PARTS = (*CODECS[16000], *CODECS[44100], SYNCHFORMER, CLIP, PERCEPTION)

VISAUDIO = "visaudio"
_NETWORK_SUFFIXES = (".pth", ".pt", ".safetensors")
_SAFE_NAMES = {CLIP: "open_clip_model.safetensors"}
"""Names of parts as safetensors, where these do not only differ in their ending."""


@dataclass(frozen=True)
class FlowModel:
    """A model and where to look for its parts first.

    Attributes:
        family: "mmaudio" or "visaudio".
        name: what to call it.
        generator: file of an MMAudio network, or folder of a ViSAudio one.
        root: folder that may hold the other parts.
        head: folder of the spatial head on an MMAudio network, or None; it may hold parts too.
    """

    family: str
    name: str
    generator: Path
    root: Path
    head: Path | None = None

    def part(self, name: str) -> Path:
        """File of a part by its registered name.

        Raises:
            ValueError: if it is neither in the folder nor on this machine; with what to do.
        """
        found = find_part(name, self.root) or weights.locate(name)
        if self.head is not None:
            found = find_part(name, self.head) or found
        if found is None:
            raise ValueError(
                f"{self.name} needs {name}, which is neither in {self.root} nor on this machine; "
                f"'spatialfoley models fetch {name}' gets it, 'spatialfoley models import {name} FOLDER' takes a "
                "copy that you have"
            )
        return found


def find_flow_model(name: str | Path) -> FlowModel | None:
    """The model of a name, a folder or a file, or None where that is none of these two families.

    Raises:
        ValueError: if it is one, but not on this machine or not clear which; with what to do.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.suffix in _NETWORK_SUFFIXES:
        root = path.parent.parent if path.parent.name == "weights" else path.parent
        return FlowModel("mmaudio", path.stem, path, root)
    if path.is_dir():
        return _of_folder(path, path.resolve().name)
    flows = [m for m in weights.list_models() if m.kind == "generator" and m.family in ("mmaudio", VISAUDIO)]
    known = {model.name: model for model in flows} | {m.address: m for m in flows if m.place == "family"}
    model = known.get(str(name))
    if model is None:
        return None
    place = weights.locate(model.name)
    if place is None:
        raise ValueError(_absent(model))
    if model.family == VISAUDIO or model.place == "family":
        return _of_folder(place, model.name)
    return FlowModel("mmaudio", model.name, place, weights.home() / "models" / FAMILY_FOLDER)


def is_flow_name(name: str | Path) -> bool:
    """Tell whether a name, a folder or a file is of these two families, whether it is on this machine or not."""
    path = Path(name).expanduser()
    if path.is_file():
        return path.suffix in _NETWORK_SUFFIXES
    if path.is_dir():
        return is_visaudio_folder(path) or is_head_folder(path) or bool(network_files(path))
    models = [model for model in weights.list_models() if model.kind == "generator"]
    return any(str(name) == model.name for model in models if model.family in ("mmaudio", VISAUDIO))


def network_files(folder: Path) -> list[Path]:
    """Files of MMAudio flow networks of a folder in the published layout."""
    return sorted(
        file
        for place in (folder, folder / "weights")
        for file in place.glob("mmaudio_*")
        if file.suffix in _NETWORK_SUFFIXES and file.is_file()
    )


def find_part(name: str, root: Path) -> Path | None:
    """The file of a part in a folder or its sub-folders, under its published name; None if it is not there."""
    file = weights.info(name).file
    if file is None or not root.is_dir():
        return None
    usual = Path(file).name
    names = (usual, _SAFE_NAMES.get(name, f"{Path(file).stem}.safetensors"))
    places = [root, *sorted(child for child in root.iterdir() if child.is_dir())]
    return next(
        (place / each for place in places for each in names if (place / each).is_file()),
        None,
    )


def is_visaudio_folder(folder: Path) -> bool:
    """Tell whether a folder says of itself that it holds ViSAudio."""
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == VISAUDIO


def _of_folder(folder: Path, name: str) -> FlowModel | None:
    if is_visaudio_folder(folder):
        return FlowModel(VISAUDIO, name, folder, folder)
    if is_head_folder(folder):
        return _with_head(folder, name)
    networks = network_files(folder)
    if len(networks) > 1:
        listed = ", ".join(str(file) for file in networks)
        raise ValueError(f"{folder} holds several networks; give the file of one as the model: {listed}")
    return FlowModel("mmaudio", networks[0].stem, networks[0], folder) if networks else None


def _with_head(folder: Path, name: str) -> FlowModel:
    """The frozen network that the head of a folder sits on, with the head."""
    generator = read_head_folder(folder).generator
    beside = folder / Path(generator).expanduser()
    try:
        network = find_flow_model(beside if beside.exists() else generator)
    except ValueError as problem:
        raise ValueError(f"{name} needs the network it was trained on, but {problem}") from problem
    if network is None or network.family != "mmaudio" or network.head is not None:
        raise ValueError(
            f"{folder / 'config.json'} has generator {generator!r}, which is no MMAudio network; name the one that "
            "the head was trained on, such as mmaudio_large_44k_v2"
        )
    return replace(network, name=name, head=folder)


def _absent(model: weights.ModelInfo) -> str:
    if model.place == "unpublished":
        return (
            f"{model.name} is not on this machine, and no weights of it are published; train it, or take a folder "
            f"that you have by 'spatialfoley models import {model.name} FOLDER'"
        )
    how = (
        "fetch one of its models, such as mmaudio_small_16k, by 'spatialfoley models fetch mmaudio_small_16k'"
        if model.place == "family"
        else f"'spatialfoley models fetch {model.name}' gets it"
    )
    return (
        f"{model.name} is not on this machine; {how}, and 'spatialfoley models import {model.family} FOLDER' "
        "takes a copy that you have"
    )


def take_flow_folder(name: str, found: Mapping[str, Path], link: bool = False) -> list[Path]:
    """Copy checked files into the folder of a family or of a model with parts.

    Args:
        name: "mmaudio" or "visaudio".
        found: file of each network (by the name it shall have) and of each part (by its registered name).
        link: link instead of copying.

    Returns:
        The new files.

    Raises:
        WeightsError: the folder cannot be written.
    """
    taken = []
    for part, file in found.items():
        published = weights.info(part).family_path if part in PARTS else f"weights/{part}{file.suffix}"
        assert published is not None
        target = Path(published)
        if file.suffix == ".safetensors":
            target = target.with_name(_SAFE_NAMES.get(part, f"{target.stem}.safetensors"))
        taken.append(weights.add_to_folder(name, file, str(target), link))
    return taken
