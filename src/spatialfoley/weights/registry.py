"""Every checkpoint the project knows, with its licence as far as it is known."""

from dataclasses import dataclass
from typing import Literal

from spatialfoley.weights.errors import WeightsError

Kind = Literal["generator", "codec", "features"]
Place = Literal["embedded", "hub"]


@dataclass(frozen=True)
class ModelInfo:
    """One known checkpoint.

    Attributes:
        name: the name used on the command line.
        kind: what the network does.
        place: "embedded" in the package, or on the model "hub".
        address: folder under `embedded/`, or hub id "owner/name".
        files: files that must be there besides the weights.
        licence: of the weights, in words.
        commercial_use: "unknown" when no licence is stated: then ask the authors.
        url: a second source, one file to download directly; None when there is none.
        size_bytes: of all files, None when not known.
        sha256: of the weights file, None when not published.
        notes: what a user should know.
    """

    name: str
    kind: Kind
    place: Place
    address: str
    files: tuple[str, ...]
    licence: str
    commercial_use: Literal["yes", "no", "unknown"]
    url: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    notes: str = ""

    @property
    def web_page(self) -> str | None:
        """Where a person can download the files by hand."""
        return None if self.place == "embedded" else f"https://huggingface.co/{self.address}"


_DAC_RELEASES = "https://github.com/descriptinc/descript-audio-codec/releases/download"

_MODELS = (
    ModelInfo(
        name="tiny-visage",
        kind="generator",
        place="embedded",
        address="tiny-visage",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        notes="Trained on the synthetic world of this project; works offline in seconds, knows no real sounds.",
    ),
    ModelInfo(
        name="visage",
        kind="generator",
        place="hub",
        address="jaeyeonkim99/visage",
        files=("config.json",),
        licence="not stated by its authors",
        commercial_use="unknown",
        notes="The published ViSAGe checkpoint. Its file list is not documented: config.json and weights "
        "(safetensors or .bin) are expected, in the top folder or in one sub-folder.",
    ),
    ModelInfo(
        name="dac_44khz",
        kind="codec",
        place="hub",
        address="descript/dac_44khz",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        url=f"{_DAC_RELEASES}/0.0.1/weights.pth",
        notes="Descript audio codec, 44.1 kHz, 9 codebooks. The hub layout (weight norm folded) and the original "
        ".pth both load.",
    ),
    ModelInfo(
        name="dac_16khz",
        kind="codec",
        place="hub",
        address="descript/dac_16khz",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        url=f"{_DAC_RELEASES}/0.0.5/weights_16khz.pth",
        notes="Descript audio codec, 16 kHz, 12 codebooks.",
    ),
    ModelInfo(
        name="clip-vit-b-32",
        kind="features",
        place="hub",
        address="openai/clip-vit-base-patch32",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        notes="The image encoder that ViSAGe sees through.",
    ),
)


def list_models() -> tuple[ModelInfo, ...]:
    """Return every known checkpoint, embedded ones first."""
    return _MODELS


def info(name: str) -> ModelInfo:
    """Return the entry of `name`.

    Raises:
        WeightsError: unknown name.
    """
    for model in _MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in _MODELS)
    raise WeightsError(f"model is {name!r}; give one of {known}, or a checkpoint folder")


def licence_line(name: str) -> str:
    """Return the one line that is shown before the checkpoint is used."""
    model = info(name)
    use = {
        "yes": "commercial use allowed",
        "no": "no commercial use",
        "unknown": "ask the authors before any commercial use",
    }[model.commercial_use]
    source = "part of this package" if model.place == "embedded" else model.web_page
    return f"{model.name} ({source}): licence {model.licence}; {use}"
