"""Make the cases of `cases/listeners` with the registry packages themselves, in an environment of their own.

    python -m venv /tmp/parity-env
    /tmp/parity-env/bin/pip install torch==2.13.0 librosa==0.11.0
    /tmp/parity-env/bin/pip install --no-deps torchaudio==2.11.0 torchlibrosa==0.1.0 resampy==0.4.3 \
        hear21passt==0.0.26 torchvggish==0.2
    /tmp/parity-env/bin/pip download --no-deps panns-inference==0.1.1 -d /tmp/panns
    (cd /tmp/panns && python -m zipfile -e panns_inference-0.1.1-py3-none-any.whl .)
    /tmp/parity-env/bin/python tests/parity/make_listener_cases.py /tmp/panns/panns_inference

Three things need help. The compiled part of torchaudio does not load beside a CPU build of torch: rename the folder
`torchaudio/lib` in the environment, its mel filters are plain Python. The `__init__` of panns_inference downloads
a file when it is imported, so only its `models.py` is read, from the folder given. hear21passt imports a downloader
of timm, which is not used here and stands in empty.

Weights and sounds come from `seeded_weights`; outputs are thinned out to stay small.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seeded_weights import seeded_sounds, seeded_state
from torch import nn

CASES = Path(__file__).resolve().parent / "cases" / "listeners"
FRONT_END = ("spectrogram_extractor.", "logmel_extractor.")


def fill(network: nn.Module) -> dict[str, list[int]]:
    """Give a network seeded weights, its front end left as it is; returns the shape of every key."""
    state = network.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    seeded = seeded_state({key: shape for key, shape in shapes.items() if not key.startswith(FRONT_END)})
    network.load_state_dict(state | {key: torch.from_numpy(value) for key, value in seeded.items()})
    network.eval()
    return {key: list(shape) for key, shape in shapes.items()}


def write(name: str, keys: dict[str, list[int]], arrays: dict[str, Any]) -> None:
    CASES.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(shape)}" for key, shape in keys.items())
    (CASES / f"keys_{name}.json").write_text(f"{{\n{lines}\n}}\n")
    np.savez_compressed(CASES / f"{name}.npz", **{key: np.asarray(value) for key, value in arrays.items()})


def stand_in(name: str, **contents: Any) -> None:
    """Put a module in the place of one that is imported, but not used."""
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


def make_vggish() -> None:
    from torchvggish.torchvggish import _vgg
    from torchvggish.vggish_input import waveform_to_examples

    network = _vgg(postprocess=False)
    keys = fill(network)
    # The evaluations of the field drop the last ReLU; it has no weights.
    network.embeddings = nn.Sequential(*list(network.embeddings.children())[:-1])
    sounds = seeded_sounds(1, 2, 2 * 16000 + 321, 16000)
    patches = [waveform_to_examples(sound.astype(np.float64), 16000).detach() for sound in sounds]
    embeddings = torch.stack([network(patch) for patch in patches])
    seen = torch.stack(patches)[:, :, 0, ::5]
    write("vggish", keys, {"seed": 1, "samples": sounds.shape[1], "spectra": seen, "embeddings": embeddings})


def make_cnn14(folder: Path) -> None:
    stand_in("panns_alone", __path__=[str(folder)])
    for unused in ("matplotlib", "matplotlib.pyplot"):
        stand_in(unused)
    spec = importlib.util.spec_from_file_location("panns_alone.models", folder / "models.py")
    assert spec
    assert spec.loader
    models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    network = models.Cnn14(16000, 512, 160, 64, 50, 8000, 527)
    keys = fill(network)
    sounds = seeded_sounds(2, 2, 2 * 16000 + 77, 16000)
    waves = torch.from_numpy(sounds)
    decibels = network.logmel_extractor(network.spectrogram_extractor(waves))[:, 0]
    output = network(waves)
    logits = network.fc_audioset(output["embedding"])
    torch.testing.assert_close(logits.sigmoid(), output["clipwise_output"])
    front = network.spectrogram_extractor.stft
    arrays = {
        "seed": 2,
        "samples": sounds.shape[1],
        "filters": network.logmel_extractor.melW,
        "real": front.conv_real.weight[::61, 0],
        "imaginary": front.conv_imag.weight[::61, 0],
        "spectra": decibels[:, ::17],
        "embeddings": output["embedding"],
        "logits": logits,
    }
    write("cnn14", keys, arrays)


def make_passt() -> None:
    for unused in ("timm", "timm.models", "timm.models._hub"):
        stand_in(unused, download_cached_file=None)
    from hear21passt.models.passt import PaSST
    from hear21passt.models.preprocess import AugmentMelSTFT

    front_end = AugmentMelSTFT(
        128, 32000, 800, 320, 1024, freqm=48, timem=192, fmin_aug_range=10, fmax_aug_range=2000
    ).eval()
    network = PaSST(img_size=(128, 998), patch_size=16, stride=(10, 10), num_classes=527, distilled=True)
    keys = fill(network)
    sounds = seeded_sounds(3, 1, 7 * 32000, 32000)
    # As av-benchmark prepares a sound: silence up to ten seconds.
    padded = nn.functional.pad(torch.from_numpy(sounds), (0, 10 * 32000 - sounds.shape[1]))
    spectra = front_end(padded)
    logits, embeddings = network(spectra[:, None])
    arrays = {"seed": 3, "samples": sounds.shape[1], "spectra": spectra[:, :, ::13]}
    write("passt", keys, arrays | {"embeddings": embeddings, "logits": logits})


@torch.no_grad()
def main() -> None:
    make_vggish()
    make_cnn14(Path(sys.argv[1]))
    make_passt()
    for file in sorted(CASES.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
