"""Every checkpoint the project knows, with its licence as far as it is known."""

from dataclasses import dataclass
from typing import Literal

from spatialfoley.weights.errors import WeightsError

Kind = Literal["generator", "codec", "features", "listener", "spatializer", "captioner"]
Place = Literal["embedded", "hub", "release", "family", "unpublished"]
Family = Literal["visage", "mmaudio", "visaudio", "twin", "listener", "captioner"]


@dataclass(frozen=True)
class ModelInfo:
    """One known checkpoint.

    Attributes:
        name: the name used on the command line.
        kind: what the network does; a "listener" judges sound for the evaluation, a "captioner" writes texts for
            data sets.
        place: "embedded" in the package; on the model "hub"; a "release", one file at `url`; a "family", the
            folder that holds several models as they were published together; or "unpublished": only a user's
            own weights exist.
        address: folder under `embedded/`, hub id "owner/name", or web page of a release.
        files: files that must be there besides the weights.
        licence: of the weights, in words.
        commercial_use: "unknown" when no licence is stated: then ask the authors.
        url: one file to download directly: the source of a release, a second one of others; None when there is
            none.
        size_bytes: of all files, None when not known.
        sha256: of the weights file, None when not published.
        notes: what a user should know.
        family: what it belongs to.
        file: path of its weights in a hub repository that holds more than these.
        family_path: path of its weights in the folder of the family.
        former_address: hub id under which a cache may still hold it.
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
    family: Family = "visage"
    file: str | None = None
    family_path: str | None = None
    former_address: str | None = None

    @property
    def web_page(self) -> str | None:
        """Where a person can download the files by hand."""
        if self.place in ("embedded", "unpublished"):
            return None
        return self.address if self.place == "release" else f"https://huggingface.co/{self.address}"


_MMAUDIO_HUB = "hkchengrex/MMAudio"
_MMAUDIO_LICENCE = "CC-BY-NC-4.0"


def _mmaudio(
    name: str, kind: Kind, file: str, notes: str, licence: str = _MMAUDIO_LICENCE, free: bool = False
) -> ModelInfo:
    """A file of the hub repository that holds the whole family."""
    return ModelInfo(
        name=name,
        kind=kind,
        place="hub",
        address=_MMAUDIO_HUB,
        files=(),
        licence=licence,
        commercial_use="yes" if free else "no",
        notes=notes,
        family="mmaudio",
        file=file,
        family_path=file,
    )


def _listener(
    name: str,
    address: str,
    url: str,
    licence: str,
    commercial_use: Literal["yes", "unknown"],
    notes: str,
) -> ModelInfo:
    """A network that judges sound, released as one file."""
    return ModelInfo(
        name=name,
        kind="listener",
        place="release",
        address=address,
        files=(),
        licence=licence,
        commercial_use=commercial_use,
        url=url,
        notes=notes,
        family="listener",
    )


def _captioner(
    name: str, address: str, licence: str, commercial_use: Literal["yes", "unknown"], notes: str
) -> ModelInfo:
    """A language model that helps to write the captions of a data set."""
    return ModelInfo(
        name=name,
        kind="captioner",
        place="hub",
        address=address,
        files=("config.json", "tokenizer_config.json"),
        licence=licence,
        commercial_use=commercial_use,
        notes=notes,
        family="captioner",
    )


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
        name="tiny-visaudio",
        kind="generator",
        place="embedded",
        address="tiny-visaudio",
        files=("pipeline.json",),
        licence="MIT",
        commercial_use="yes",
        notes="Two ears from picture and words; trained on the synthetic world, knows no real sounds.",
        family="twin",
    ),
    ModelInfo(
        name="tiny-visaudio-foa",
        kind="generator",
        place="embedded",
        address="tiny-visaudio-foa",
        files=("pipeline.json",),
        licence="MIT",
        commercial_use="yes",
        notes="A sound field from picture and words; trained on the synthetic world, knows no real sounds.",
        family="twin",
    ),
    ModelInfo(
        name="audio-spatial",
        kind="spatializer",
        place="embedded",
        address="audio-spatial",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        notes="A place for one channel, from the picture: the baseline Audio Spatialization, for "
        "MODEL+audio-spatial. Trained on the synthetic world, knows no real sounds.",
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
        name="unicodec",
        kind="codec",
        place="hub",
        address="Yidiii/UniCodec_ckpt",
        files=(),
        licence="not stated by its authors",
        commercial_use="unknown",
        notes="UniCodec, 24 kHz, one codebook of 16384, 75 tokens a second: the codec of ViSAGe-SC. Neither its "
        "code nor its checkpoint comes with a licence, so bring your own copy: `models import unicodec "
        "unicode.ckpt`. Only the weights are read.",
        file="unicode.ckpt",
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
    ModelInfo(
        name="mmaudio",
        kind="generator",
        place="family",
        address=_MMAUDIO_HUB,
        files=(),
        licence=_MMAUDIO_LICENCE,
        commercial_use="no",
        notes="The family's folder as published (weights/, ext_weights/, and where you have them the folders of "
        "CLIP and of the 44.1 kHz vocoder): `models import mmaudio FOLDER` takes what it holds.",
        family="mmaudio",
    ),
    *(
        _mmaudio(
            f"mmaudio_{size}",
            "generator",
            f"weights/mmaudio_{size}.pth",
            f"MMAudio {size}: video and text to mono sound. It also needs {parts}, synchformer and "
            "clip-dfn5b-h14.",
        )
        for size, parts in (
            ("small_16k", "mmaudio-vae-16k, bigvgan-16k"),
            ("small_44k", "mmaudio-vae-44k, bigvgan-v2-44k"),
            ("medium_44k", "mmaudio-vae-44k, bigvgan-v2-44k"),
            ("large_44k", "mmaudio-vae-44k, bigvgan-v2-44k"),
            ("large_44k_v2", "mmaudio-vae-44k, bigvgan-v2-44k"),
        )
    ),
    ModelInfo(
        name="visaudio",
        kind="generator",
        place="unpublished",
        address="",
        files=("config.json",),
        licence="none: its authors published no weights",
        commercial_use="unknown",
        notes="ViSAudio, video and text to binaural sound. No weights are published; a folder that this project "
        "trained (config.json, model.safetensors) can be imported. It also needs mmaudio-vae-44k, "
        "bigvgan-v2-44k, synchformer, clip-dfn5b-h14 and pe-spatial-l14.",
        family="visaudio",
    ),
    ModelInfo(
        name="visaudio-foa",
        kind="generator",
        place="unpublished",
        address="",
        files=("config.json", "head.json"),
        licence="none: no weights of its head are published; the MMAudio network under it is CC-BY-NC-4.0",
        commercial_use="no",
        notes="A sound field from video and text: a spatial head on an MMAudio network that is left as it is. No "
        "head is published: train one (recipes/visaudio_foa.yaml) and import the folder of its run. It also needs "
        "the network that it was trained on with its parts, and pe-spatial-l14.",
        family="visaudio",
    ),
    _mmaudio("mmaudio-vae-16k", "codec", "ext_weights/v1-16.pth", "Mel autoencoder of the 16 kHz models."),
    _mmaudio("mmaudio-vae-44k", "codec", "ext_weights/v1-44.pth", "Mel autoencoder of the 44.1 kHz models."),
    _mmaudio(
        "bigvgan-16k",
        "codec",
        "ext_weights/best_netG.pt",
        "Vocoder of the 16 kHz models (network: BigVGAN, MIT).",
        f"{_MMAUDIO_LICENCE}, as the repository it lies in",
    ),
    ModelInfo(
        name="bigvgan-v2-44k",
        kind="codec",
        place="hub",
        address="nvidia/bigvgan_v2_44khz_128band_512x",
        files=("config.json",),
        licence="MIT",
        commercial_use="yes",
        notes="Vocoder of the 44.1 kHz models.",
        family="mmaudio",
        file="bigvgan_generator.pt",
        family_path="bigvgan_v2_44khz_128band_512x/bigvgan_generator.pt",
    ),
    _mmaudio(
        "synchformer",
        "features",
        "ext_weights/synchformer_state_dict.pth",
        "The encoder of motion that tells MMAudio when things happen.",
        "MIT",
        free=True,
    ),
    ModelInfo(
        name="clip-dfn5b-h14",
        kind="features",
        place="hub",
        address="apple/DFN5B-CLIP-ViT-H-14-378",
        files=(),
        licence="Apple Machine Learning Research Model Licence (apple-amlr)",
        commercial_use="no",
        notes="The encoder of frames and texts of MMAudio. Texts need its vocabulary: tokenizer.json, or "
        "vocab.json and merges.txt.",
        family="mmaudio",
        file="open_clip_pytorch_model.bin",
        family_path="DFN5B-CLIP-ViT-H-14-378/open_clip_pytorch_model.bin",
        former_address="apple/DFN5B-CLIP-ViT-H-14-384",
    ),
    ModelInfo(
        name="pe-spatial-l14",
        kind="features",
        place="hub",
        address="facebook/PE-Spatial-L14-448",
        files=(),
        licence="Apache-2.0",
        commercial_use="yes",
        notes="The encoder that tells ViSAudio what is where in the picture.",
        family="visaudio",
        file="PE-Spatial-L14-448.pt",
        family_path="ext_weights/PE-Spatial-L14-448.pt",
    ),
    _listener(
        "vggish",
        "https://github.com/harritaylor/torchvggish/releases/tag/v0.1",
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "Apache-2.0",
        "yes",
        "Listens for the Fréchet distance: 128 numbers for every 0.96 s (289 MB). The file of its principal "
        "components is not needed.",
    ),
    _listener(
        "cnn14-16k",
        "https://zenodo.org/records/3987831",
        "https://zenodo.org/records/3987831/files/Cnn14_16k_mAP%3D0.438.pth?download=1",
        "as stated on zenodo (code: MIT)",
        "unknown",
        "PANNs CNN14 for 16 kHz, which listens for the Fréchet distance and the KL divergence: 2048 numbers and "
        "527 classes for a sound (324 MB).",
    ),
    _listener(
        "passt",
        "https://github.com/kkoutini/PaSST/releases/tag/v0.0.1-audioset",
        "https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
        "Apache-2.0",
        "yes",
        "Listens for the KL divergence and the Fréchet distance: 768 numbers and 527 classes for 10 s "
        "(345 MB).",
    ),
    _captioner(
        "qwen2.5-omni-7b",
        "Qwen/Qwen2.5-Omni-7B",
        "Apache-2.0",
        "yes",
        "Describes what is heard in a clip; the model of BiAudio's captions. Only the part that writes is loaded.",
    ),
    _captioner(
        "qwen2.5-omni-3b",
        "Qwen/Qwen2.5-Omni-3B",
        "not established: its LICENSE file (7.4 kB) is not the text of Apache-2.0; read it before use",
        "unknown",
        "The smaller describer.",
    ),
    _captioner(
        "qwen3-30b-a3b-instruct-2507",
        "Qwen/Qwen3-30B-A3B-Instruct-2507",
        "Apache-2.0",
        "yes",
        "Brings descriptions into the form of captions. BiAudio names Qwen3-Instruct-2507 without a size.",
    ),
    _captioner(
        "qwen3-4b-instruct-2507",
        "Qwen/Qwen3-4B-Instruct-2507",
        "Apache-2.0",
        "yes",
        "The same for small GPUs and for CPUs.",
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
    source = {"embedded": "part of this package", "unpublished": "not published"}.get(
        model.place, model.web_page
    )
    return f"{model.name} ({source}): licence {model.licence}; {use}"
