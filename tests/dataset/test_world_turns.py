"""World clips turned into the axes of the world by any yaw."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.conventions import W, X, Y
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.world_cache import WorldCacheSettings, render_world_cache
from spatialfoley.dataset.world_turns import (
    WorldTurnsSettings,
    camera_elevation_deg,
    camera_yaws_deg,
    chosen_clips,
    turned_codes,
    world_turns,
)
from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_direction
from spatialfoley.spatial.foa import encode, rotate_field
from spatialfoley.spatial.ytambigen import network_vector_to_direction


@pytest.fixture(scope="module")
def settings(small_world: WorldCacheSettings, tmp_path_factory: pytest.TempPathFactory) -> WorldTurnsSettings:
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    config = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=1, vocabulary_size=2048)
    save_file(TinyCodec(config).state_dict(), folder / "codec.safetensors")
    (folder / "codec.json").write_text(json.dumps(dataclasses.asdict(config)))
    rng = np.random.default_rng(0)
    pictures = (
        ClipArrays(
            codes=np.zeros((2, 5, 4)),
            embedding=rng.standard_normal((2, 20, 16)),
            energy_map=rng.random((2, 20, 49)),
            direction=np.zeros((2, 3)),
        )
        for _ in range(4)
    )
    write_clip_tensors(folder / "tokens", pictures, 4)
    return WorldTurnsSettings(
        small_world, codec=str(folder), tokens=str(folder / "tokens"), clips=3, turns=2, seed=5
    )


@pytest.fixture(scope="module")
def clips(settings: WorldTurnsSettings, tmp_path_factory: pytest.TempPathFactory) -> ClipTensors:
    return world_turns(settings, tmp_path_factory.mktemp("turned"))


def angle_of_y_and_x_deg(field: np.ndarray) -> float:
    """Azimuth of the mean intensity of a field (4, N)."""
    return float(np.degrees(np.arctan2(field[W] @ field[Y], field[W] @ field[X])))


@pytest.mark.parametrize(("yaw_deg", "elevation_deg"), [(90.0, 0.0), (-137.0, 0.0), (30.0, 40.0)])
def test_what_is_in_front_is_heard_where_the_camera_looks(
    settings: WorldTurnsSettings, yaw_deg: float, elevation_deg: float
) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(16000).astype(np.float32)
    front = encode(noise, unit_vectors(0.0, 0.0))
    codec = TinyCodec.load(Path(settings.codec))
    looks = Direction(yaw_deg, elevation_deg)
    codes = torch.from_numpy(turned_codes([front], [looks], codec).astype(np.int64))
    peak = peak_direction(energy_map(covariance(codec.decode(codes)[0].numpy())))
    assert angle_between_deg(peak.vector(), looks.vector()) < 2.5


def test_shapes_and_types_with_the_picture_stored_once(clips: ClipTensors) -> None:
    assert (len(clips), clips.variants) == (3, 3)
    described = {name: (array.shape, array.dtype.name) for name, array in clips.arrays.items()}
    assert described == {
        "codes": ((3, 3, 50, 8), "int16"),
        "embedding": ((3, 1, 20, 16), "float16"),
        "energy_map": ((3, 1, 20, 49), "float16"),
        "direction": ((3, 3, 3), "float32"),
    }


def test_every_variant_is_the_field_turned_by_the_yaw_that_its_direction_says(
    settings: WorldTurnsSettings, clips: ClipTensors
) -> None:
    cache, codec = render_world_cache(settings.cache), TinyCodec.load(Path(settings.codec))
    pictures = ClipTensors(Path(settings.tokens)).arrays
    yaws_deg = np.array([camera_yaws_deg(settings, clip) for clip in range(3)])
    assert len(np.unique(yaws_deg.round(3))) == 9
    for clip in range(3):
        heard = cache.take("foa", clip).astype(np.float32) / 32767
        for variant, yaw_deg in enumerate(yaws_deg[clip]):
            taken = clips.take(np.array([clip]), np.array([variant]))
            looks = network_vector_to_direction(taken.direction[0])
            assert (looks.azimuth_deg, looks.elevation_deg) == pytest.approx((yaw_deg, 0), abs=1e-3)
            turned = rotate_field(heard, CameraPose(yaw_deg).matrix())
            alone = codec.encode(torch.from_numpy(turned)[None]).numpy()
            assert (taken.codes == alone).mean() > 0.999, "encoded beside others, all but ties are the same"
            expected = angle_of_y_and_x_deg(turned)
            decoded = angle_of_y_and_x_deg(codec.decode(torch.from_numpy(alone))[0].numpy())
            assert abs((decoded - expected + 180) % 360 - 180) < 12
            assert np.array_equal(taken.embedding[0], pictures["embedding"][clip, 0])
            assert np.array_equal(taken.energy_map[0], pictures["energy_map"][clip, 0])


def test_yaws_cover_the_circle_and_more_turns_leave_the_first_ones(settings: WorldTurnsSettings) -> None:
    once = dataclasses.replace(settings, turns=0)
    first = np.array([camera_yaws_deg(once, clip)[0] for clip in range(800)])
    assert np.histogram(first, bins=8, range=(-180, 180))[0].min() > 70
    assert all(camera_yaws_deg(settings, clip)[0] == first[clip] for clip in range(10))
    other = dataclasses.replace(settings, seed=6)
    assert camera_yaws_deg(other, 0)[0] != first[0]


def test_elevations_spread_around_the_horizon_and_leave_the_yaws(settings: WorldTurnsSettings) -> None:
    assert camera_elevation_deg(settings, 0) == 0.0
    spread = dataclasses.replace(settings, elevation_spread_deg=20.0)
    drawn = np.array([camera_elevation_deg(spread, clip) for clip in range(600)])
    assert abs(drawn.mean()) < 3
    assert drawn.std() == pytest.approx(20, abs=2)
    assert np.array_equal(camera_yaws_deg(spread, 3), camera_yaws_deg(settings, 3))


def test_clips_are_chosen_by_one_source_near_the_middle(settings: WorldTurnsSettings) -> None:
    cache = render_world_cache(settings.cache)
    near = []
    for clip in range(len(cache)):
        sounding = cache.take("level", clip).max(axis=1) > 0
        x = cache.take("vectors", clip)[sounding].astype(float).mean(axis=1)[:, 0]
        near.append(sounding.sum() == 1 and x[0] > 0)
    wanted = [clip for clip in range(len(cache)) if near[clip]]
    assert 0 < len(wanted) < len(cache), "some of the small world qualify"
    found = chosen_clips(dataclasses.replace(settings, within_deg=90.0, clips=len(wanted)), cache)
    assert found == wanted


def test_the_same_settings_give_the_same_clips(
    settings: WorldTurnsSettings, clips: ClipTensors, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        again = world_turns(settings, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)], "the second call encodes nothing"
    for name, array in clips.arrays.items():
        assert np.array_equal(array, again.arrays[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clips": 0}, "clips is 0; it must be at least 1"),
        ({"turns": -1}, "turns is -1; it must be at least 0"),
        ({"clips": 5}, "clips is 5, but .* holds 4; take fewer"),
        ({"within_deg": 0.0}, "within_deg is 0.0; it must be above 0"),
        ({"within_deg": 0.001}, "clips is 3, but only 0 of 4 have one source within 0.001 degrees"),
        ({"elevation_spread_deg": 70.0}, "elevation_spread_deg is 70.0; it must be from 0 to 60"),
    ],
)
def test_what_cannot_be_is_refused(
    settings: WorldTurnsSettings, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        world_turns(dataclasses.replace(settings, **change), tmp_path)


def test_a_codec_of_another_rate_is_refused(settings: WorldTurnsSettings, tmp_path: Path) -> None:
    config = TinyCodecConfig(
        rate_hz=8000, hop_samples=160, width=16, blocks=1, latent_dim=4, shape_levels=1, vocabulary_size=64
    )
    save_file(TinyCodec(config).state_dict(), tmp_path / "codec.safetensors")
    (tmp_path / "codec.json").write_text(json.dumps(dataclasses.asdict(config)))
    other = dataclasses.replace(settings, codec=str(tmp_path))
    with pytest.raises(ValueError, match="has 8000 samples a second, but the cache has 16000"):
        world_turns(other, tmp_path / "out")
