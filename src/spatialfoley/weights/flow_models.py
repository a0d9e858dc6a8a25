"""MMAudio and ViSAudio with their parts, most of them files of one hub repository."""

from spatialfoley.weights.model_info import Kind, ModelInfo, on_hub, unpublished

_HUB = "hkchengrex/MMAudio"
_LICENCE = "CC-BY-NC-4.0"


def _mmaudio(
    name: str, kind: Kind, file: str, notes: str, licence: str = _LICENCE, free: bool = False
) -> ModelInfo:
    """A file of the hub repository that holds the whole family."""
    return on_hub(
        name,
        kind,
        _HUB,
        notes,
        licence,
        "yes" if free else "no",
        files=(),
        family="mmaudio",
        file=file,
        family_path=file,
    )


def _network(size: str) -> ModelInfo:
    rate = "16k" if size.endswith("16k") else "44k"
    parts = "mmaudio-vae-16k, bigvgan-16k" if rate == "16k" else "mmaudio-vae-44k, bigvgan-v2-44k"
    return _mmaudio(
        f"mmaudio_{size}",
        "generator",
        f"weights/mmaudio_{size}.pth",
        f"MMAudio {size}: video and text to mono sound. It also needs {parts}, synchformer and clip-dfn5b-h14.",
    )


FLOW_MODELS = (
    ModelInfo(
        name="mmaudio",
        kind="generator",
        place="family",
        address=_HUB,
        files=(),
        licence=_LICENCE,
        commercial_use="no",
        notes="The family's folder as published (weights/, ext_weights/, and where you have them the folders of "
        "CLIP and of the 44.1 kHz vocoder): `models import mmaudio FOLDER` takes what it holds.",
        family="mmaudio",
    ),
    *(_network(size) for size in ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")),
    unpublished(
        "visaudio",
        "ViSAudio, video and text to binaural sound. No weights are published; a folder that this project trained "
        "(config.json, model.safetensors) can be imported. It also needs mmaudio-vae-44k, bigvgan-v2-44k, "
        "synchformer, clip-dfn5b-h14 and pe-spatial-l14.",
        "none: its authors published no weights",
        family="visaudio",
    ),
    unpublished(
        "visaudio-foa",
        "A sound field from video and text: a spatial head on an MMAudio network that is left as it is. No head is "
        "published: train one (recipes/visaudio_foa.yaml) and import the folder of its run. It also needs the "
        "network that it was trained on with its parts, and pe-spatial-l14.",
        "none: no weights of its head are published; the MMAudio network under it is CC-BY-NC-4.0",
        "no",
        ("config.json", "head.json"),
        family="visaudio",
    ),
    _mmaudio("mmaudio-vae-16k", "codec", "ext_weights/v1-16.pth", "Mel autoencoder of the 16 kHz models."),
    _mmaudio("mmaudio-vae-44k", "codec", "ext_weights/v1-44.pth", "Mel autoencoder of the 44.1 kHz models."),
    _mmaudio(
        "bigvgan-16k",
        "codec",
        "ext_weights/best_netG.pt",
        "Vocoder of the 16 kHz models (network: BigVGAN, MIT).",
        f"{_LICENCE}, as the repository it lies in",
    ),
    on_hub(
        "bigvgan-v2-44k",
        "codec",
        "nvidia/bigvgan_v2_44khz_128band_512x",
        "Vocoder of the 44.1 kHz models.",
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
    on_hub(
        "clip-dfn5b-h14",
        "features",
        "apple/DFN5B-CLIP-ViT-H-14-378",
        "The encoder of frames and texts of MMAudio. Texts need its vocabulary: tokenizer.json, or vocab.json and "
        "merges.txt.",
        "Apple Machine Learning Research Model Licence (apple-amlr)",
        "no",
        files=(),
        family="mmaudio",
        file="open_clip_pytorch_model.bin",
        family_path="DFN5B-CLIP-ViT-H-14-378/open_clip_pytorch_model.bin",
        former_address="apple/DFN5B-CLIP-ViT-H-14-384",
    ),
    on_hub(
        "pe-spatial-l14",
        "features",
        "facebook/PE-Spatial-L14-448",
        "The encoder that tells ViSAudio what is where in the picture.",
        "Apache-2.0",
        files=(),
        family="visaudio",
        file="PE-Spatial-L14-448.pt",
        family_path="ext_weights/PE-Spatial-L14-448.pt",
    ),
)
