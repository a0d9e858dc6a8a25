"""Recordings become one channel and where it is: known answers, and the whole preparation from a video on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.cli import run
from spatialfoley.dataset.sound_places import band_levels_db, place_numbers, placed_channel
from spatialfoley.dataset.visaudio_features import FlowClips
from spatialfoley.media.audio import write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.pipeline.flow_loading import load_parts_for_training
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.parametric import BANDS
from spatialfoley.spatial.signal import SpatialAudio
from tests.flow_folders import BACKBONE, PATCHES, write_mmaudio_folder
from tests.head_folders import write_patch_encoder

RATE_HZ, LATENT = 16000, 512
CLIP_S = 0.81


def noise(samples: int = 16 * LATENT, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_the_ratios_of_one_source_are_its_direction() -> None:
    direction = Direction(60.0, 20.0)
    field = encode(noise(), direction.vector())
    channel = placed_channel(field, "foa", RATE_HZ)
    assert np.array_equal(channel, field[0])
    ratios = place_numbers(field, channel, "foa", RATE_HZ, LATENT, 16)["ratios"]
    assert ratios.shape == (3, BANDS, 16)
    x, y, z = direction.vector()
    assert np.allclose(ratios, np.array([y, z, x])[:, None, None], atol=1e-3)


def test_ears_become_one_channel_without_their_delay() -> None:
    sound, delay = noise(), 8
    ears = np.stack([np.roll(sound, -delay), 0.5 * sound])
    channel = placed_channel(ears, "binaural", RATE_HZ)
    numbers = place_numbers(ears, channel, "binaural", RATE_HZ, LATENT, 16)
    assert (numbers["gains_db"].shape, numbers["delay_s"].shape) == ((2, BANDS, 16), (16,))
    middle = slice(2, -2)
    assert np.allclose(numbers["delay_s"][middle], delay / RATE_HZ, atol=20e-6)
    difference = numbers["gains_db"][0] - numbers["gains_db"][1]
    assert np.allclose(difference[:, middle], 20 * np.log10(2), atol=0.5)
    # Their plain mean would have no sound at 1 kHz, half a period of which is the delay.
    spectra = np.abs(np.fft.rfft(np.stack([channel, ears.mean(axis=0), sound]))) ** 2
    near = slice(*(np.array([950, 1050]) * len(sound) // RATE_HZ))
    kept, combed, whole = spectra[:, near].sum(axis=1)
    assert kept > 0.5 * whole
    assert combed < 0.2 * whole


def test_levels_of_bands_follow_the_sound() -> None:
    sound = noise()
    sound[: len(sound) // 2] *= 0.01
    levels_db = band_levels_db(sound, RATE_HZ, LATENT, 16)
    assert levels_db.shape == (BANDS, 16)
    assert np.allclose(levels_db[:, 12] - levels_db[:, 3], 40, atol=4)


def test_a_video_with_a_field_becomes_one_training_item(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_mmaudio_folder(tmp_path / "mmaudio")
    write_patch_encoder(model)
    field = encode(noise(round(CLIP_S * RATE_HZ)), Direction(90.0).vector())
    frames = np.random.default_rng(1).integers(0, 255, (20, 32, 48, 3), np.uint8)
    for name in ("left", "ahead", "pano", "stereo"):
        shape = frames if name != "pano" else np.concatenate([frames, frames[:, :, :16]], axis=2)
        write_frames(tmp_path / f"{name}.mp4", iter(shape), 24.0)
        sound = (
            SpatialAudio(field[:2], RATE_HZ, "stereo")
            if name == "stereo"
            else SpatialAudio(field, RATE_HZ, "foa")
        )
        write_audio(tmp_path / f"{name}.foa.wav", sound, subtype="FLOAT")
    rows = [
        {"video": "left.mp4", "text": "dog"},
        {"video": "ahead.mp4", "azimuth_deg": 90},
        {"video": "pano.mp4", "azimuth_deg": 30},
        {"video": "stereo.mp4"},
    ]
    manifest, out = tmp_path / "clips.jsonl", tmp_path / "out"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--model", str(model), "--out", str(out), "--clip-s", str(CLIP_S), "--device", "cpu"]
    assert run(["dataset", "prepare", str(manifest), *options, "--place", "foa"]) == 1
    assert "2 clips made, 0 made before, 2 rejected" in capsys.readouterr().out
    reasons = [json.loads(line)["reason"] for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert reasons[0].startswith(
        "azimuth_deg is 30 and elevation_deg 0, but of a panorama the view ahead is taken"
    )
    assert reasons[1].endswith("stereo.foa.wav has 2 channels; a field needs 4 (AmbiX: W, Y, Z, X)")
    clips = FlowClips(out / "train")
    assert (clips.settings["place"], clips.settings["channels"]) == ("foa", ["mono"])
    latents = BACKBONE.lengths(CLIP_S).latent
    left, ahead = clips.item(0), clips.item(1)
    for item, heard_from in ((left, [1, 0, 0]), (ahead, [0, 0, 1])):
        assert item.mean.shape == (1, latents, BACKBONE.latent_dim)
        assert item.patches is not None
        assert item.patches.shape[1:] == (8, 8, PATCHES.width)
        assert item.ratios is not None
        # Behind the end of the recording there is silence, which is nowhere.
        assert np.allclose(
            item.ratios[..., : latents - 3].float(), np.array(heard_from)[:, None, None], atol=2e-3
        )
        assert item.levels_db is not None
        assert (item.gains_db, item.delay_s) == (None, None)
    codec = load_parts_for_training(model, torch.device("cpu")).codec
    padded = np.pad(field[:1], ((0, 0), (0, latents * LATENT - field.shape[1])))
    alone = codec.encode(torch.from_numpy(padded * (0.95 / np.abs(padded).max()))[None])
    torch.testing.assert_close(left.mean, alone.mean[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(ahead.mean, left.mean, atol=1e-3, rtol=0)
    assert run(["dataset", "prepare", str(manifest), *options, "--place", "here"]) == 2
    assert "place is 'here'; it must be one of foa, binaural" in capsys.readouterr().err
    assert run(["dataset", "prepare", str(manifest), *options]) == 2
    assert "holds clips of another model" in capsys.readouterr().err
