"""ViSAGe's features: the same as of clips that are prepared one by one, turned and mirrored as they should be."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.codecs.tiny import token_to_ratio
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.dataset.clip_encoding import ClipEncoder
from spatialfoley.dataset.clip_tensors import ClipTensors
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.manifest import read_clip_manifest
from spatialfoley.dataset.prepare import prepare_clips
from spatialfoley.dataset.store.batches import visage_arrays, write_visage_clips
from spatialfoley.dataset.store.encoders import identify
from spatialfoley.dataset.store.fill import add_features
from spatialfoley.dataset.store.reader import ComputedFeatures, FeatureSource, stored_features
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.dataset.store.visage_encoders import turned_field, turned_vector
from spatialfoley.pipeline.loading import load_encoders
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.ytambigen import network_vector
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.visage_task import VisageTask
from tests.codecs.test_unicodec import SMALL
from tests.model_folders import write_published_model, write_tiny_model

from .sets import CAMERA, CLIP_S, RATE_HZ, SOURCE, small_set, write_clip, write_set

RECIPE = Path(__file__).parents[3] / "recipes" / "tiny_visage.yaml"
LEVELS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_set(tmp_path_factory.mktemp("sets") / "set")


def model(folder: Path, field_frame: str) -> Path:
    sizes = {"max_source_length": 16, "max_target_length": 81}
    return write_tiny_model(folder / field_frame, field_frame=field_frame, **sizes)


def prepared(built: Path, folder: Path, name: Path, mono: bool = False) -> ClipTensors:
    """The same clips through `dataset prepare`: their files as they lie in the shards."""
    lines = []
    dataset = BuiltSet(built)
    for clip in map(dataset.__getitem__, range(len(dataset))):
        for role, ending in (("view", ".mp4"), ("foa", ".foa.flac")):
            (folder / f"{clip.id}{ending}").write_bytes(clip.read(role))
        line = {"video": f"{clip.id}.mp4", "audio": f"{clip.id}.foa.flac", "start_s": 0.0}
        lines.append({**line, "azimuth_deg": CAMERA.azimuth_deg, "elevation_deg": CAMERA.elevation_deg})
    manifest = folder / "clips.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parts = load_encoders(name, "cpu")
    encoder = ClipEncoder(parts.features, parts.codec, parts.config, parts.description, mono)
    done = prepare_clips(read_clip_manifest(manifest), encoder, folder / "out")
    assert done.rejected == 0
    return ClipTensors(done.folders["train"])


@pytest.mark.parametrize(
    ("field_frame", "settings"),
    [
        ("camera", FeatureSettings(mirror=True)),
        ("world", FeatureSettings(yaws_deg=(0.0, -90.0), field_frame="world")),
    ],
)
def test_a_batch_from_the_store_is_that_of_prepared_clips_bit_for_bit(
    built: Path, tmp_path: Path, field_frame: str, settings: FeatureSettings
) -> None:
    name = model(tmp_path, field_frame)
    for encoder in ("tiny", "tiny-codes"):
        identity = identify(encoder, settings, {encoder: name})
        add_features(built, identity, identity.load("cpu"))
    stored = stored_features(built, ["tiny", "tiny-codes"], settings)
    config = load_encoders(name, "cpu").config
    assert write_visage_clips(BuiltSet(built), stored, config, tmp_path / "clips") == 4
    ours, theirs = ClipTensors(tmp_path / "clips"), prepared(built, tmp_path, name)
    assert ours.variants == theirs.variants == 2
    for array, values in theirs.arrays.items():
        assert ours.arrays[array].dtype == values.dtype
        assert np.array_equal(ours.arrays[array], values), array
    # And the training task takes them as they are.
    recipe = read_recipe(RECIPE, ["batch_size=2", f"output={tmp_path / 'run'}"])
    published = json.loads((name / "config.json").read_text())
    task_settings = {"data": {"folder": str(tmp_path / "clips")}, "model": published}
    task = VisageTask(type(recipe)(**{**vars(recipe), **task_settings, "initialize_from": None}))
    conditions, codes = task.batch(torch.Generator().manual_seed(0))
    assert conditions.frames.shape == (2, 16, 16)
    assert codes.shape == (2, 40, 4 * LEVELS)


def test_computed_features_are_the_stored_ones(built: Path, tmp_path: Path) -> None:
    name = model(tmp_path, "camera")
    settings = FeatureSettings(half=False, yaws_deg=(0.0, 30.0))
    for encoder in ("tiny", "tiny-codes"):
        identity = identify(encoder, settings, {encoder: name})
        add_features(built, identity, identity.load("cpu"))
    stored = stored_features(built, ["tiny", "tiny-codes"], settings)
    live = FeatureSource([ComputedFeatures(each, settings, path=name) for each in ("tiny", "tiny-codes")])
    for clip, computed in live.stream(BuiltSet(built).stream(seed=0)):
        found = stored.of(clip)
        assert set(found) == set(computed) == {"embedding", "energy_map", "codes", "direction"}
        assert found["embedding"].dtype == torch.float32
        assert all(torch.equal(found[array], computed[array]) for array in found)


def test_any_turn_moves_the_source_and_the_camera(built: Path, tmp_path: Path) -> None:
    yaws_deg = (0.0, -90.0, 180.0, 37.0)
    settings = FeatureSettings(yaws_deg=yaws_deg, mirror=True, field_frame="world")
    arrays = ComputedFeatures("tiny-codes", settings, path=model(tmp_path, "world")).of(BuiltSet(built)[0])
    assert arrays["codes"].shape == (8, 40, 12)
    for variant, (codes, direction) in enumerate(zip(arrays["codes"], arrays["direction"], strict=True)):
        ratios = token_to_ratio(codes.long()[:, LEVELS::LEVELS]).mean(0).numpy()[[2, 0, 1]]
        sign = -1 if variant >= len(yaws_deg) else 1
        yaw_deg = yaws_deg[variant % len(yaws_deg)]
        heard = Direction(sign * (SOURCE.azimuth_deg + yaw_deg), SOURCE.elevation_deg)
        assert np.allclose(ratios / np.linalg.norm(ratios), heard.vector(), atol=0.02)
        looks = Direction(sign * (CAMERA.azimuth_deg + yaw_deg), CAMERA.elevation_deg)
        assert np.allclose(direction.numpy(), network_vector(looks), atol=1e-6)


def test_whole_quarter_turns_change_no_bit() -> None:
    field = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32)
    vector = network_vector(CAMERA)
    back, looks = field, vector
    for yaw_deg in (90.0, 90.0, -270.0, 90.0):
        back = turned_field(back, yaw_deg, RATE_HZ)
        looks = turned_vector(looks, yaw_deg)
    assert np.array_equal(back, field)
    assert np.array_equal(looks, vector)
    assert np.allclose(
        turned_field(field, 90.0, RATE_HZ), turned_field(field, 90.0 + 1e-9, RATE_HZ), atol=1e-6
    )


def test_a_field_that_was_turned_with_its_camera_is_not_turned_again(built: Path, tmp_path: Path) -> None:
    from spatialfoley.dataset.store.clip_files import ClipFiles, opened

    clip = BuiltSet(built)[0]
    encoder = identify("tiny-codes", FeatureSettings(), {"tiny-codes": model(tmp_path, "camera")}).load("cpu")
    with opened(clip, ["foa"]) as files:
        turned = encoder(files)
        as_it_is = encoder(ClipFiles(clip.record.with_(facts={"field_frame": "camera"}), files.paths))
        ahead = encoder(
            ClipFiles(clip.record.with_(facts={"azimuth_deg": 0, "elevation_deg": 0}), files.paths)
        )
    assert torch.equal(as_it_is["codes"], ahead["codes"])
    assert not torch.equal(as_it_is["codes"], turned["codes"])


def test_mono_for_pre_training_is_as_prepared(tmp_path: Path) -> None:
    folder, built = write_published_model(tmp_path / "visage"), tmp_path / "set"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "max_source_length": 3, "max_target_length": 81})
    )
    built.mkdir()
    write_set(built, {0: [write_clip(built, "a", 0.0, duration_s=0.75)]})
    settings = FeatureSettings(mono=True)
    live = [ComputedFeatures(name, settings, path=folder / name) for name in ("clip", "dac")]
    ours = visage_arrays(FeatureSource(live).of(BuiltSet(built)[0]), load_encoders(folder, "cpu").config)
    for array, values in prepared(built, tmp_path, folder, mono=True).arrays.items():
        assert np.array_equal(getattr(ours, array), values[0]), array
    assert ours.codes.shape == (1, 37, 3)
    # Of a clip without a field it is the mean of the ears, and the key follows.
    identity, record = live[1].identity, BuiltSet(built)[0].record
    assert identity.roles(record) == ("foa",)
    assert identity.roles(record.without_files("foa")) == ("binaural",)
    assert identity.key(record) != identity.key(record.without_files("foa"))
    with pytest.raises(ValueError, match="mono sound has no direction to turn or mirror"):
        FeatureSettings(mono=True, mirror=True)


def test_clip_dac_and_unicodec_are_stored_as_they_encode(tmp_path: Path) -> None:
    folder, built = write_published_model(tmp_path / "visage"), tmp_path / "set"
    built.mkdir()
    write_set(built, {0: [write_clip(built, "a", 0.0)]})
    settings = FeatureSettings(yaws_deg=(0.0, -90.0))
    save_file(UniCodecNetwork(SMALL).state_dict(), tmp_path / "unicode.safetensors")
    places = (
        ("unicodec", tmp_path / "unicode.safetensors"),
        ("clip", folder / "clip"),
        ("dac", folder / "dac"),
    )
    for encoder, path in places:
        identity = identify(encoder, settings, {encoder: path})
        loaded = identity.load("cpu")
        assert add_features(built, identity, loaded).made == 1
        found = stored_features(built, [encoder], settings).of(BuiltSet(built)[0])
        shapes = loaded.layout.arrays(CLIP_S)
        assert {name: (tuple(a.shape), str(a.dtype)) for name, a in found.items()} == {
            name: (shape, f"torch.{kind}") for name, (shape, kind) in shapes.items()
        }
    assert found["codes"].shape == (2, 40, 12)
    config = load_encoders(folder, "cpu").config
    with pytest.raises(ValueError, match="embedding, energy_map are missing; store features of a picture"):
        visage_arrays(found, config)
    seen = stored_features(built, ["clip"]).of(BuiltSet(built)[0])
    both = {**seen, **found}
    arrays = visage_arrays(both, config)
    assert arrays.embedding.shape == (2, 3, 16)
    assert arrays.energy_map.shape == (2, 3, 49)
    with pytest.raises(ValueError, match="3 variants of the codes and 2 of the picture"):
        visage_arrays(
            {**both, "codes": both["codes"][[0, 1, 1]], "embedding": seen["embedding"][[0, 0]]}, config
        )
