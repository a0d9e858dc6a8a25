"""Listeners, which judge sound for the evaluation, and captioners, which write texts for data sets."""

from spatialfoley.weights.model_info import CommercialUse, ModelInfo, on_hub


def _listener(
    name: str, address: str, url: str, licence: str, commercial_use: CommercialUse, notes: str
) -> ModelInfo:
    """A network released as one file."""
    return ModelInfo(
        name,
        "listener",
        "release",
        address,
        (),
        licence,
        commercial_use,
        url,
        notes=notes,
        family="listener",
    )


def _captioner(
    name: str, address: str, notes: str, licence: str = "Apache-2.0", commercial_use: CommercialUse = "yes"
) -> ModelInfo:
    """A language model."""
    files = ("config.json", "tokenizer_config.json")
    return on_hub(name, "captioner", address, notes, licence, commercial_use, files, family="captioner")


JUDGING_MODELS = (
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
        "Describes what is heard in a clip; the model of BiAudio's captions. Only the part that writes is loaded.",
    ),
    _captioner(
        "qwen2.5-omni-3b",
        "Qwen/Qwen2.5-Omni-3B",
        "The smaller describer.",
        "not established: its LICENSE file (7.4 kB) is not the text of Apache-2.0; read it before use",
        "unknown",
    ),
    _captioner(
        "qwen3-30b-a3b-instruct-2507",
        "Qwen/Qwen3-30B-A3B-Instruct-2507",
        "Brings descriptions into the form of captions. BiAudio names Qwen3-Instruct-2507 without a size.",
    ),
    _captioner(
        "qwen3-4b-instruct-2507",
        "Qwen/Qwen3-4B-Instruct-2507",
        "The same for small GPUs and for CPUs.",
    ),
)
