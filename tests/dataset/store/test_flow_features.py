"""MMAudio's features: the same as of clips that `dataset prepare` makes for ViSAudio, at tiny sizes."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.codecs.sizes_of_weights import load_published_encoder
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.manifest import read_clip_manifest
from spatialfoley.dataset.store.batches import flow_item
from spatialfoley.dataset.store.clip_files import opened
from spatialfoley.dataset.store.encoders import Encoder, identify
from spatialfoley.dataset.store.fill import add_features
from spatialfoley.dataset.store.layouts import total_bytes
from spatialfoley.dataset.store.reader import ComputedFeatures, FeatureSource, StoredFeatures, stored_features
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.dataset.visaudio_encoding import FlowClipEncoder, leveled
from spatialfoley.dataset.visaudio_features import FlowClips, FlowItem, Preparation, join_flow_items
from spatialfoley.dataset.visaudio_prepare import prepare_flow_clips
from spatialfoley.generators.visaudio.config import VisaudioConfig
from spatialfoley.pipeline.flow_encoding import window_features
from spatialfoley.pipeline.flow_loading import load_parts_for_training
from tests.flow_folders import PATCHES, write_visaudio_folder

from .sets import CLIP_S, small_set

NAMES = ("clip-h14", "clip-h14-text", "synchformer", "pe-spatial", "mel-vae-16k")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_visaudio_folder(tmp_path_factory.mktemp("m") / "visaudio")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_set(tmp_path_factory.mktemp("sets") / "set")


def weights(model: Path) -> dict[str, Path]:
    files = {
        "synchformer": "synchformer_state_dict.pth",
        "pe-spatial": "PE-Spatial-L14-448.safetensors",
        "mel-vae-16k": "v1-16.pth",
    }
    clip = model / "DFN5B-CLIP-ViT-H-14-378" / "open_clip_pytorch_model.bin"
    return {
        "clip-h14": clip,
        "clip-h14-text": clip,
        **{name: model / "ext_weights" / file for name, file in files.items()},
    }


def prepared(model: Path, built: Path, folder: Path) -> list[FlowItem]:
    """The same clips through `dataset prepare`."""
    lines = []
    for number in range(4):
        clip = BuiltSet(built)[number]
        for role, ending in (("view", ".mp4"), ("binaural", ".binaural.flac")):
            (folder / f"{clip.id}{ending}").write_bytes(clip.read(role))
        text = clip.record.facts.get("caption", "")
        lines.append(
            {"video": f"{clip.id}.mp4", "audio": f"{clip.id}.binaural.flac", "start_s": 0.0, "text": text}
        )
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    parts = load_parts_for_training(model, torch.device("cpu"))
    assert isinstance(parts.config, VisaudioConfig)
    encoder = FlowClipEncoder(
        partial(window_features, parts.encoders, parts.config.backbone),
        lambda text: parts.encoders.clip.text([text]),
        parts.codec,
        parts.config.backbone,
        parts.config.branches,
        {},
        Preparation(clip_s=CLIP_S),
    )
    done = prepare_flow_clips(read_clip_manifest(folder / "clips.jsonl"), encoder, folder / "out")
    assert done.rejected == 0
    return [FlowClips(done.folders["train"]).item(number) for number in range(4)]


def test_items_from_the_store_are_those_of_prepared_clips_bit_for_bit(
    model: Path, built: Path, tmp_path: Path
) -> None:
    settings = FeatureSettings(pool=1)  # the tiny network's grid is that of the tiny generator
    found = weights(model)
    for name in NAMES:
        identity = identify(name, settings, found)
        encoder: Encoder = identity.load("cpu")
        done = add_features(built, identity, encoder)
        assert (done.made, sum(done.failed.values())) == (4, 0)
        arrays = StoredFeatures(built, name, settings).of(BuiltSet(built)[0])
        stated = encoder.layout.arrays(CLIP_S)
        assert {key: (tuple(a.shape), f"{a.dtype}") for key, a in arrays.items()} == {
            key: (shape, f"torch.{kind}") for key, (shape, kind) in stated.items()
        }
        assert sum(a.nbytes for a in arrays.values()) == total_bytes(encoder.layout, CLIP_S)
    source = stored_features(built, NAMES, settings)
    items = [flow_item(source.of(BuiltSet(built)[number])) for number in range(4)]
    for item, expected in zip(items, prepared(model, built, tmp_path), strict=True):
        for name, ours, theirs in zip(FlowItem._fields, item, expected, strict=True):
            if ours is None or theirs is None:
                assert ours is theirs, name
            else:
                assert ours.dtype == theirs.dtype, name
                assert torch.equal(ours, theirs), name
    # One of the four has a caption: the others are marked in the batch.
    batch = join_flow_items(items, torch.zeros_like(items[0].text))  # type: ignore[arg-type]
    assert batch.features.text_dropped.tolist() == [False, True, True, True]  # type: ignore[union-attr]


def test_pooled_patches_are_averages_of_all(model: Path, built: Path) -> None:
    grids = {}
    for pool in (1, 2):
        settings = FeatureSettings(half=False, pool=pool)
        identity = identify("pe-spatial", settings, weights(model))
        add_features(built, identity, identity.load("cpu"))
        grids[pool] = StoredFeatures(built, "pe-spatial", settings).of(BuiltSet(built)[2])["patches"]
    side = PATCHES.grid
    assert grids[1].shape == (6, side, side, PATCHES.width)
    averaged = grids[1].unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean(dim=(2, 4))
    assert np.allclose(grids[2], averaged, atol=1e-6)


def test_networks_may_compute_in_16_bits(model: Path, built: Path) -> None:
    found = {}
    for compute in ("float32", "bfloat16"):
        settings = FeatureSettings(half=False, compute=compute)
        for name in ("clip-h14", "synchformer", "pe-spatial"):
            features = ComputedFeatures(name, settings, path=weights(model)[name])
            found[name, compute] = next(iter(features.of(BuiltSet(built)[0]).values()))
    for name in ("clip-h14", "synchformer", "pe-spatial"):
        exact, rough = found[name, "float32"], found[name, "bfloat16"]
        assert not torch.equal(exact, rough)
        assert float((exact - rough).norm() / exact.norm()) < 0.03


def test_latents_of_one_channel(model: Path, built: Path) -> None:
    path, clip = weights(model)["mel-vae-16k"], BuiltSet(built)[0]
    one = ComputedFeatures("mel-vae-16k", FeatureSettings(mono=True), path=path)
    mono = one.of(clip)["mean"]
    with opened(clip, ["foa"]) as files:
        sound = torch.from_numpy(leveled(files.sound("foa", 16000)[:1], "joint"))
    expected = load_published_encoder(16000, path).encode(sound[None]).mean[0]
    assert mono.shape == (1, 25, 20)
    assert torch.equal(mono, expected)


def test_two_arrays_of_one_name_are_refused(model: Path, built: Path) -> None:
    identity = identify("mel-vae-16k", FeatureSettings(), weights(model))
    add_features(built, identity, identity.load("cpu"))
    twice = FeatureSource([StoredFeatures(built, "mel-vae-16k")] * 2)
    with pytest.raises(ValueError, match="two of the features are called mean, std; take one of them"):
        twice.of(BuiltSet(built)[0])
    with pytest.raises(
        ValueError, match="clip, sync are missing; store mel-vae-44k, clip-h14 and synchformer"
    ):
        flow_item(twice.sources[0].of(BuiltSet(built)[0]))
