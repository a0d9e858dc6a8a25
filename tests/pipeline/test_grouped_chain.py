"""The chain where a decoder row holds several codec frames: the codec is grouped on loading."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.codecs.grouped import GroupedCodec, ungroup_codes
from spatialfoley.codecs.tiny import RATIO_TOKENS
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.loading import load_encoders
from tests.model_folders import write_single_codebook_model, write_tiny_model
from tests.pipeline.test_chain import noise_video

W_RANGES = ((0, 128), (0, 128), (0, 128))
OTHERS_RANGES = ((0, RATIO_TOKENS), (0, 128), (0, 128))
PAIRS = {
    "pattern": "delay",
    "frames_per_row": 2,
    "num_rvq": 6,
    "dac_downsample_rate": 640,
    "dac_frame_rate": 25,
    "max_target_length": 126,
    "token_ranges": (*W_RANGES * 2, *OTHERS_RANGES * 6),
}


def test_long_clips_go_on_by_whole_groups(tmp_path: Path) -> None:
    pipe = load_pipeline(write_tiny_model(tmp_path / "model", **PAIRS))
    assert isinstance(pipe, Pipeline)
    assert isinstance(pipe.codec, GroupedCodec)
    assert pipe.steps.longest_window_s == 5.0
    conditions = pipe.encode(noise_video(100, 12.0))
    assert all(start % 640 == 0 for start in conditions.plan.starts)
    tokens = pipe.sample(conditions)
    shared = conditions.plan.overlaps[1] // 640
    assert shared >= 25
    assert torch.equal(tokens.codes[0][-shared:], tokens.codes[1][:shared])
    single = ungroup_codes(tokens.codes[0][None], 3, 2)
    assert single.shape == (1, 250, 12)
    assert int(single[..., [3, 6, 9]].max()) < RATIO_TOKENS
    foa = pipe.decode(tokens)
    assert foa.samples.shape == (4, round(100 / 12 * 16_000))
    assert np.isfinite(foa.samples).all()


def test_codes_are_prepared_by_groups_as_the_model_reads_them(tmp_path: Path) -> None:
    encoders = load_encoders(write_tiny_model(tmp_path / "model", **PAIRS))
    assert encoders.codec.encode(torch.zeros(1, 4, 16_000)).shape == (1, 25, 24)


def test_a_single_codebook_model_of_several_frames_a_row_is_known_as_one(tmp_path: Path) -> None:
    folder = write_single_codebook_model(tmp_path / "model", frames_per_row=5, max_target_length=46)
    pipe = load_pipeline(folder)
    assert isinstance(pipe, Pipeline)
    assert (pipe.codec.levels, pipe.codec.hop_samples) == (5, 1600)
    assert pipe(noise_video(12, 12.0)).samples.shape == (4, 24_000)


def test_groups_that_do_not_fit_the_codec_get_one_sentence(tmp_path: Path) -> None:
    three = {**PAIRS, "frames_per_row": 3, "num_rvq": 9, "dac_downsample_rate": 960, "token_ranges": ()}
    with pytest.raises(ValueError, match=r"frames is 3, but must .* divide the codec's 50 frames a second"):
        load_pipeline(write_tiny_model(tmp_path / "three", **three))
    levels = {**PAIRS, "num_rvq": 4, "token_ranges": ()}
    with pytest.raises(ValueError, match="config has num_rvq 4, but the codec has 6"):
        load_pipeline(write_tiny_model(tmp_path / "levels", **levels))
