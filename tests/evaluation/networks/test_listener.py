import hashlib
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.networks.listener import Listener
from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.networks.world_classifier import EMBEDDED_FOLDER, load_world_classifier
from spatialfoley.world import CLASSES, held_out_seed, make_scene, render_mono


@pytest.fixture(scope="module")
def world() -> Listener:
    return load_listener("world")


def test_the_world_listener_names_its_weights(world: Listener) -> None:
    file = EMBEDDED_FOLDER / "model.safetensors"
    assert world.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (world.name, world.embedding_size, world.classes) == ("world", 336, len(CLASSES))


def test_the_world_listener_takes_true_sounds_for_what_they_are(world: Listener) -> None:
    scenes = [make_scene(held_out_seed(index, 7), kind="in_view") for index in range(4)]
    sounds = np.stack([render_mono(scene, 16000) for scene in scenes])
    heard = world.hear(sounds, 16000)
    assert heard.embeddings.shape == (4, 1, 336)
    assert heard.embeddings.dtype == np.float32
    assert heard.logits is not None
    named = [CLASSES[k] for k in heard.logits.argmax(1)]
    assert named == [scene.sources[0].class_name for scene in scenes]
    model = load_world_classifier()
    np.testing.assert_array_equal(heard.embeddings[:, 0], model.embed(sounds, 16000))


def test_channels_are_heard_each_for_itself(world: Listener) -> None:
    sounds = np.random.default_rng(0).standard_normal((3, 24000)).astype(np.float32)
    together = world.hear(sounds, 48000)
    alone = world.hear(sounds[1:2], 48000)
    np.testing.assert_allclose(together.embeddings[1], alone.embeddings[0], atol=1e-5)


@pytest.mark.parametrize(
    ("sounds", "rate_hz", "message"),
    [
        (np.zeros(16000), 16000, r"sounds has shape \(16000,\); give waveforms \(channels, samples\)"),
        (np.zeros((1, 3200)), 16000, "the sound lasts 0.200 s; world needs at least 0.3 s"),
        (np.full((1, 16000), np.nan), 16000, "holds 16000 NaN or infinite samples; world hears finite"),
        (np.zeros((1, 16000)), 0, "rate_hz is 0; give a rate above 0 Hz"),
    ],
)
def test_what_cannot_be_heard_is_refused(
    world: Listener, sounds: np.ndarray, rate_hz: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        world.hear(sounds, rate_hz)


def test_unknown_listeners_and_folders_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="listener is 'vgish'; give one of world, vggish, cnn14, passt"):
        load_listener("vgish")
