"""World clips as tokens and features, and their mirror image."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.conventions import Y
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.world_cache import WorldCacheSettings, render_world_cache
from spatialfoley.dataset.world_tokens import WorldTokensSettings, world_clip_tensors
from spatialfoley.features.tiny import TinyEncoder, TinyFeatures, TinyFeaturesConfig


@pytest.fixture(scope="module")
def settings(
    small_world: WorldCacheSettings, tmp_path_factory: pytest.TempPathFactory
) -> WorldTokensSettings:
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    codec = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=2, vocabulary_size=128)
    features = TinyFeaturesConfig(embedding_dim=16, channels=(4, 4, 4, 4), patch_dim=4)
    networks = {"codec": TinyCodec(codec), "features": TinyEncoder(features)}
    for (name, network), config in zip(networks.items(), (codec, features), strict=True):
        save_file(network.state_dict(), folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(dataclasses.asdict(config)))
    return WorldTokensSettings(small_world, codec=str(folder), features=str(folder))


@pytest.fixture(scope="module")
def clips(settings: WorldTokensSettings, tmp_path_factory: pytest.TempPathFactory) -> ClipTensors:
    return world_clip_tensors(settings, tmp_path_factory.mktemp("tokens"))


def test_shapes_and_types(clips: ClipTensors) -> None:
    assert len(clips) == 4
    assert clips.variants == 2
    described = {name: (array.shape, array.dtype.name) for name, array in clips.arrays.items()}
    assert described == {
        "codes": ((4, 2, 50, 12), "int16"),
        "embedding": ((4, 2, 20, 16), "float16"),
        "energy_map": ((4, 2, 20, 49), "float16"),
        "direction": ((4, 2, 3), "float32"),
    }
    assert (clips.arrays["direction"] == [0, 0, 1]).all(), "the camera's frame looks at the front"


def test_the_mirror_variant_is_what_mirrored_sound_and_picture_give(
    settings: WorldTokensSettings, clips: ClipTensors
) -> None:
    cache = render_world_cache(settings.cache)
    codec, features = TinyCodec.load(Path(settings.codec)), TinyFeatures.load(Path(settings.features))
    for clip in range(len(clips)):
        field = torch.from_numpy(cache.take("foa", clip).astype(np.float32) / 32767)
        field[Y] *= -1
        taken = clips.take(np.array([clip]), np.array([1]))
        assert np.array_equal(taken.codes, codec.encode(field[None]).numpy())
        mirrored = features(np.ascontiguousarray(cache.take("frames", clip)[:, :, ::-1]))
        assert np.array_equal(taken.embedding[0], mirrored.embedding.half().numpy())


def test_made_tensors_are_opened_again(settings: WorldTokensSettings, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        world_clip_tensors(settings, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(2, 4), (4, 4)], "the second call encodes nothing"


def test_pictures_of_the_same_clips_are_not_encoded_again(
    settings: WorldTokensSettings, clips: ClipTensors, tmp_path: Path
) -> None:
    write_clip_tensors(tmp_path / "first", (row_of(clips, row) for row in range(4)), 4)
    taken = dataclasses.replace(settings, features="no such folder", pictures=str(tmp_path / "first"))
    again = world_clip_tensors(taken, tmp_path / "second")
    for name, array in clips.arrays.items():
        assert np.array_equal(array, again.arrays[name])
    write_clip_tensors(tmp_path / "fewer", (row_of(clips, row) for row in range(2)), 2)
    other = dataclasses.replace(taken, pictures=str(tmp_path / "fewer"))
    with pytest.raises(ValueError, match="pictures of 2 clips in 2 variants, but 4 clips in 2 are wanted"):
        world_clip_tensors(other, tmp_path / "third")


def row_of(clips: ClipTensors, row: int) -> ClipArrays:
    return ClipArrays(**{name: array[row] for name, array in clips.arrays.items()})
