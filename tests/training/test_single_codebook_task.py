"""The generator with one code per channel is trained by the same task: mono first, then its W for Y, Z, X."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spatialfoley.dataset.clip_tensors import ClipArrays, write_clip_tensors
from spatialfoley.generators.visage.checkpoint import load_visage
from spatialfoley.training.loop import train
from spatialfoley.training.settings import TrainingSettings
from spatialfoley.training.tasks import make_task
from spatialfoley.training.visage_task import VisageTask

MODEL = {
    **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "d_clip": 16, "num_rvq": 1},
    **{"dac_vocab_size": 64, "dac_pad_token_id": 64, "dac_sample_rate": 24000, "max_target_length": 31},
    **{"pattern": "delay", "token_ranges": [[32, 64]]},
}


def write_clips(folder: Path, channels: int, first_token: int = 32) -> Path:
    rng = np.random.default_rng(0)
    codes = rng.integers(first_token, 64, (4, 2, 30, channels)).astype(np.int16)
    codes[0, :, 20:] = -1
    clips = (
        ClipArrays(
            codes=codes[clip],
            embedding=rng.standard_normal((2, 4, 16)).astype(np.float16),
            energy_map=rng.random((2, 4, 49)).astype(np.float16),
            direction=np.tile(np.array([0, 0, 1], np.float32), (2, 1)),
        )
        for clip in range(4)
    )
    write_clip_tensors(folder, clips, 4)
    return folder


def settings_of(root: Path, name: str, clips: Path, **model: Any) -> TrainingSettings:
    return TrainingSettings(
        task="visage",
        output=str(root / name),
        steps=2,
        batch_size=4,
        data={"folder": str(clips)},
        model={**MODEL, **model},
        objective={"masked_loss": True},
    )


def test_mono_then_ambisonics_up_to_a_network_that_loads(tmp_path: Path) -> None:
    mono = settings_of(tmp_path, "mono", write_clips(tmp_path / "mono_clips", 1), num_channels=1)
    train(make_task(mono), mono)
    spatial = settings_of(tmp_path, "spatial", write_clips(tmp_path / "clips", 4))
    spatial = replace(spatial, initialize_from=str(tmp_path / "mono"))
    task = VisageTask(spatial)
    learnt = load_visage(tmp_path / "mono")
    for codebook in range(4):
        assert torch.equal(task.visage.dac_heads[codebook].weight, learnt.dac_heads[0].weight)
    train(task, spatial)
    figures = json.loads((tmp_path / "spatial" / "log.jsonl").read_text().splitlines()[-1])
    # Near the logarithm of the 32 tokens that are allowed, and not of all 64.
    assert figures["w_first"] == pytest.approx(np.log(32), abs=0.2)
    assert "yzx_first" in figures
    assert "w_fine" not in figures
    made = load_visage(tmp_path / "spatial").config
    assert (made.pattern, made.token_ranges, made.dac_frame_rate) == ("delay", ((32, 64),), 75)


def test_sound_coded_in_another_domain_is_refused(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 4, first_token=0)
    task = VisageTask(settings_of(tmp_path, "run", clips))
    with pytest.raises(ValueError, match=r"may take 32 to 63: encode the sound in the domain of the model"):
        task.batch(torch.Generator().manual_seed(0))


def test_sound_of_a_codec_with_more_tokens_is_refused(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 4)
    fewer = {"dac_vocab_size": 40, "dac_pad_token_id": 40, "token_ranges": []}
    task = VisageTask(settings_of(tmp_path, "run", clips, **fewer))
    with pytest.raises(ValueError, match=r"codebook \d holds the token \d+, but may take 0 to 39"):
        task.batch(torch.Generator().manual_seed(0))
