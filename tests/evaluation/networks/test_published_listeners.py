"""The listeners of published weights, on small checkpoints in the published layout."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spatialfoley import weights
from spatialfoley.evaluation.networks.cnn14 import Cnn14, Cnn14Config
from spatialfoley.evaluation.networks.listener import Listener
from spatialfoley.evaluation.networks.loading import WEIGHTS_OF, check_listener_weights, load_listener
from spatialfoley.evaluation.networks.passt import Passt, PasstConfig
from spatialfoley.evaluation.networks.vggish import Vggish, VggishConfig
from spatialfoley.weights import WeightsError
from tests.parity.seeded_weights import seeded_tensor

TINY: dict[str, nn.Module] = {}
FILES = {
    "vggish": "vggish-10086976.pth",
    "cnn14": "Cnn14_16k_mAP=0.438.pth",
    "passt": "passt-s-f128-p16-s10-ap.476-swa.pt",
}
NAMES = tuple(FILES)


def tiny(name: str) -> nn.Module:
    if not TINY:
        TINY["vggish"] = Vggish(VggishConfig(widths=(2, 3, 4, 5), hidden=8, embedding_size=6))
        TINY["cnn14"] = Cnn14(Cnn14Config(widths=(2, 2, 3, 3, 4, 6), embedding_size=8, classes=5))
        TINY["passt"] = Passt(PasstConfig(width=64, layers=2, heads=1, mlp_ratio=2.0, classes=5))
        for network in TINY.values():
            for key, value in network.state_dict().items():
                if "extractor" not in key:
                    value.copy_(torch.from_numpy(seeded_tensor(key, tuple(value.shape))))
    return TINY[name].eval()


def store(folder: Path, name: str, **changes: Any) -> Path:
    """A checkpoint as its authors store it: CNN14 with the state of a trainer around it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {**tiny(name).state_dict(), **changes}
    state = {key: value for key, value in state.items() if value is not None}
    wrapped = {"iteration": 3, "model": state, "sampler": {"pointers": np.arange(3), "queue": [np.int64(2)]}}
    torch.save(wrapped if name == "cnn14" else state, folder / FILES[name])
    return folder / FILES[name]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    for proxy in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    return tmp_path / "home"


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, samples))


@pytest.mark.parametrize(("name", "frames", "size"), [("vggish", 5, 6), ("cnn14", 1, 8), ("passt", 1, 64)])
def test_imported_weights_are_found_named_and_heard_with(
    tmp_path: Path, name: str, frames: int, size: int
) -> None:
    file = store(tmp_path, name)
    model = WEIGHTS_OF[name]
    folder = weights.import_folder(model, file, lambda path: check_listener_weights(model, path))
    assert weights.locate(model) == folder
    listener = load_listener(name)
    assert listener.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (listener.name, listener.embedding_size) == (name, size)
    heard = listener.hear(noise(3, 5 * 24000), 24000)
    assert heard.embeddings.shape == (3, frames, size)
    assert heard.embeddings.dtype == np.float32
    if name == "vggish":
        assert (heard.logits, listener.classes, listener.softmax_posteriors) == (None, None, False)
    else:
        assert heard.logits is not None
        assert heard.logits.shape == (3, 5)
        assert (listener.classes, listener.softmax_posteriors) == (5, True)


@pytest.fixture(scope="module", params=NAMES)
def listener(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Listener:
    return load_listener(request.param, folder=store(tmp_path_factory.mktemp("weights"), request.param))


def test_a_file_gives_what_the_network_had(listener: Listener) -> None:
    network: Any = tiny(listener.name)
    sounds = noise(2, 2 * network.rate_hz)
    sounds -= sounds.mean(axis=1, keepdims=True)
    with torch.no_grad():
        embeddings, logits = network.listen(torch.from_numpy(sounds.astype(np.float32)))
    heard = listener.hear(sounds, network.rate_hz)
    np.testing.assert_allclose(heard.embeddings, embeddings.numpy(), rtol=1e-4, atol=1e-4)
    if logits is not None and heard.logits is not None:
        np.testing.assert_allclose(heard.logits, logits.numpy(), rtol=1e-4, atol=1e-4)


def test_a_constant_offset_is_not_heard(listener: Listener) -> None:
    sounds = noise(1, 48000)
    heard, shifted, louder = (listener.hear(x, 24000).embeddings for x in (sounds, sounds + 0.3, 2 * sounds))
    assert np.abs(louder - heard).max() > 5e-3
    assert np.abs(shifted - heard).max() < 1e-4


def test_channels_are_heard_each_for_itself(listener: Listener) -> None:
    sounds = noise(4, 48000)
    together = listener.hear(sounds, 32000).embeddings
    for channel in range(4):
        alone = listener.hear(sounds[channel : channel + 1], 32000).embeddings
        np.testing.assert_allclose(together[channel], alone[0], rtol=1e-4, atol=1e-4)


def test_silence_is_heard_too(listener: Listener) -> None:
    assert np.isfinite(listener.hear(np.zeros((1, 32000)), 16000).embeddings).all()


@pytest.mark.parametrize(("duration_s", "windows"), [(0.975, 1), (1.93, 1), (1.935, 2), (5.0, 5), (8.0, 8)])
def test_vggish_cuts_windows_that_do_not_overlap(tmp_path: Path, duration_s: float, windows: int) -> None:
    listener = load_listener("vggish", folder=store(tmp_path, "vggish"))
    assert listener.hear(noise(1, round(16000 * duration_s)), 16000).embeddings.shape[1] == windows


def test_vggish_windows_follow_each_other(tmp_path: Path) -> None:
    listener = load_listener("vggish", folder=store(tmp_path, "vggish"))
    sound = noise(1, 4 * 16000)
    sound -= sound.mean()
    whole = listener.hear(sound, 16000).embeddings[0]
    later = sound[:, 15360:]
    # A negative copy behind it keeps the mean at zero, so that taking it off changes nothing.
    later = np.concatenate([later, -later], axis=1)
    np.testing.assert_allclose(listener.hear(later, 16000).embeddings[0, :3], whole[1:4], atol=1e-4)


def test_passt_hears_ten_seconds(tmp_path: Path) -> None:
    listener = load_listener("passt", folder=store(tmp_path, "passt"))
    sound = noise(1, 12 * 32000)
    sound[:, 320000:] -= sound[:, 320000:].mean() - sound[:, :320000].mean()
    first = sound[:, :320000]
    np.testing.assert_allclose(
        listener.hear(sound, 32000).embeddings, listener.hear(first, 32000).embeddings, atol=1e-4
    )
    short = first[:, :200000] - first[:, :200000].mean()
    padded = np.pad(short, [(0, 0), (0, 120000)])
    np.testing.assert_allclose(
        listener.hear(short, 32000).embeddings, listener.hear(padded, 32000).embeddings, atol=1e-4
    )


def test_too_short_sounds_are_refused(listener: Listener) -> None:
    least = {"vggish": "0.975", "cnn14": "0.32", "passt": "0.2"}[listener.name]
    with pytest.raises(ValueError, match=f"lasts 0.100 s; {listener.name} needs at least {least} s: give a"):
        listener.hear(noise(1, 1600), 16000)
    exactly = np.ceil(float(least) * 44100)
    assert np.isfinite(listener.hear(noise(1, int(exactly)), 44100).embeddings).all()


@pytest.mark.parametrize("name", NAMES)
def test_missing_weights_say_how_to_get_them(name: str) -> None:
    model = WEIGHTS_OF[name]
    with pytest.raises(WeightsError) as caught:
        load_listener(name)
    assert str(caught.value).startswith(
        f"the listener {name} needs the weights {model}, which are not on this machine: run "
        f"`spatialfoley models fetch {model}`"
    )
    with pytest.raises(WeightsError) as caught:
        weights.fetch(model)
    message = str(caught.value)
    assert "\n" not in message
    assert str(weights.info(model).web_page) in message
    assert str(weights.info(model).url) in message
    assert f"run `spatialfoley models import {model} FOLDER`" in message
    assert "HF_ENDPOINT" not in message


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vggish", {"features.0.bias": None}, r"1 missing \(features\.0\.bias\)"),
        (
            "vggish",
            {"embeddings.4.weight": None},
            "these are no weights of VGGish: .* give vggish-10086976.pth",
        ),
        ("cnn14", {"fc1.bias": torch.zeros(3)}, r"1 of another shape \(fc1\.bias \[3\] instead of \[8\]\)"),
        (
            "cnn14",
            {"logmel_extractor.melW": torch.zeros(513, 64)},
            "frames of 1024 samples; .* for 16 kHz has 512",
        ),
        ("cnn14", {"conv_block6.conv1.weight": None}, "these are no weights of CNN14"),
        ("passt", {"extra": torch.zeros(1)}, r"1 unexpected \(extra\)"),
        (
            "passt",
            {"time_new_pos_embed": torch.zeros(1, 64, 1, 199)},
            "12 x 199 patches; .* has 12 x 99: give",
        ),
        ("passt", {"cls_token": None}, "these are no weights of PaSST"),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, name: str, changes: dict[str, Any], message: str) -> None:
    file = store(tmp_path, name, **changes)
    with pytest.raises(WeightsError, match=message) as caught:
        check_listener_weights(WEIGHTS_OF[name], file)
    assert str(file) in str(caught.value)


def test_one_network_is_not_taken_for_another(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not fit the listener cnn14: these are no weights of CNN14"):
        load_listener("cnn14", folder=store(tmp_path, "passt"))


def test_sizes_that_fit_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="window of 90 frames of 64 bands cannot be halved four times"):
        VggishConfig(window_frames=90)
    with pytest.raises(ValueError, match="widths has 2 entries; CNN14 has 6 blocks"):
        Cnn14Config(widths=(2, 3))
    with pytest.raises(ValueError, match="width is 65; it must be a multiple of heads"):
        PasstConfig(width=65, heads=2)


def test_a_device_that_is_not_here_is_refused(tmp_path: Path) -> None:
    file = store(tmp_path, "vggish")
    with pytest.raises(ValueError, match="device is 'abacus', which is not available here; use auto or cpu"):
        load_listener("vggish", device="abacus", folder=file)
