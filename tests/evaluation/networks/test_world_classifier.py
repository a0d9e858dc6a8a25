import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.evaluation.networks.world_classifier import (
    BANDS,
    ClassifierRecipe,
    held_out_accuracy,
    load_world_classifier,
    log_mel,
    write_world_classifier,
)
from spatialfoley.media.audio import resample
from spatialfoley.world import CLASSES, held_out_seed, make_scene, render_mono


def test_a_tone_lights_the_band_it_lies_in() -> None:
    time_s = torch.arange(16000) / 16000
    bands = log_mel(
        torch.stack([torch.sin(2 * torch.pi * 200 * time_s), torch.sin(2 * torch.pi * 3000 * time_s)])
    )
    assert bands.shape == (2, BANDS, 63)
    low, high = bands.mean(2).argmax(1).tolist()
    # Edges at 50 and 7800 Hz, 50 steps of equal mel: 200 Hz lies in the fifth band, 3000 Hz in the 32nd.
    assert abs(low - 4) <= 1
    assert abs(high - 31) <= 1


def test_log_mel_ignores_level_and_maps_silence_to_zero() -> None:
    noise = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    torch.testing.assert_close(log_mel(0.05 * noise), log_mel(noise), atol=1e-4, rtol=0)
    assert not log_mel(torch.zeros(1, 16000)).any()


def test_packaged_classifier_knows_held_out_sounds() -> None:
    accuracy = held_out_accuracy(load_world_classifier(), clips=45, suite_seed=4)
    assert accuracy.value > 0.95


def test_packaged_classifier_hears_other_rates_and_levels() -> None:
    model = load_world_classifier()
    for index in range(6):
        scene = make_scene(held_out_seed(index, 5), kind="in_view")
        sound = 0.02 * resample(render_mono(scene)[None], 16000, 44100)[0]
        assert model.classify(sound, 44100) == scene.sources[0].class_name


def test_silence_has_no_class_and_bad_shapes_are_refused() -> None:
    model = load_world_classifier()
    assert model.classify(np.zeros(16000), 16000) is None
    with pytest.raises(ValueError, match=r"mono has shape \(4, 16000\)"):
        model.classify(np.zeros((4, 16000)), 16000)


def test_training_learns_and_is_stored_whole(tmp_path: Path) -> None:
    recipe = ClassifierRecipe(clips=60, steps=40, batch_size=8, crop_s=0.6)
    accuracy = write_world_classifier(tmp_path, recipe, held_out_clips=36)
    assert accuracy.value > 3 / len(CLASSES)
    document = json.loads((tmp_path / "config.json").read_text())
    assert document["held_out_accuracy"]["value"] == accuracy.value
    assert held_out_accuracy(load_world_classifier(tmp_path), clips=36).value == pytest.approx(
        accuracy.value, abs=0.06
    )


def test_weights_for_other_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"classes": ["kettle"]}))
    with pytest.raises(ValueError, match="knows kettle, the world has ball"):
        load_world_classifier(tmp_path)


def test_embeddings_are_what_the_last_layer_sees() -> None:
    model = load_world_classifier()
    sounds = np.stack(
        [render_mono(make_scene(held_out_seed(index, 6), kind="in_view")) for index in range(3)]
    )
    embedded = model.embed(sounds, 16000)
    assert embedded.shape == (3, model.embedding_size)
    logits = model(log_mel(torch.from_numpy(sounds)))
    torch.testing.assert_close(model.head(torch.from_numpy(embedded)), logits)
    np.testing.assert_allclose(model.embed(0.1 * sounds, 16000), embedded, atol=1e-3)
    assert np.abs(embedded[0] - embedded[1]).max() > 0.1


def test_silence_has_one_embedding_and_bad_shapes_none() -> None:
    model = load_world_classifier()
    short, long = (model.embed(np.zeros((1, count)), 16000) for count in (16000, 32000))
    np.testing.assert_allclose(short, long, atol=0.05)
    with pytest.raises(ValueError, match=r"sounds has shape \(16000,\); give waveforms"):
        model.embed(np.zeros(16000), 16000)
