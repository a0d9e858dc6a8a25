"""The chain with every pattern of decoder rows: long clips go on from window to window."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.codecs.tiny import RATIO_TOKENS
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import rotate
from tests.model_folders import write_tiny_model
from tests.pipeline.test_chain import noise_video

RATIOS = ((0, 128), (0, 128), (0, 128), *[(0, RATIO_TOKENS), (0, 128), (0, 128)] * 3)


@pytest.mark.parametrize("pattern", ["delay", "interleave"])
def test_long_clips_go_on_from_window_to_window(tmp_path: Path, pattern: str) -> None:
    pipe = load_pipeline(write_tiny_model(tmp_path / "model", pattern=pattern, token_ranges=RATIOS))
    assert isinstance(pipe, Pipeline)
    conditions = pipe.encode(noise_video(100, 12.0))
    assert len(conditions.windows) == 2
    tokens = pipe.sample(conditions)
    hop, plan = pipe.codec.hop_samples, conditions.plan
    shared = plan.overlaps[1] // hop
    assert shared >= 50
    assert torch.equal(tokens.codes[0][-shared:], tokens.codes[1][:shared])
    for codes in tokens.codes:
        assert int(codes[:, [3, 6, 9]].max()) < RATIO_TOKENS
    foa = pipe.decode(tokens)
    assert foa.samples.shape == (4, round(100 / 12 * 16_000))
    assert np.isfinite(foa.samples).all()


def test_a_turned_camera_turns_the_field_and_the_seed_repeats(tmp_path: Path) -> None:
    pipe = load_pipeline(write_tiny_model(tmp_path / "model", pattern="delay"))
    video = noise_video(10, 12.0)
    ahead, left = pipe(video, Direction(0.0), seed=7), pipe(video, Direction(90.0), seed=7)
    assert np.allclose(rotate(ahead, yaw_deg=90.0).samples, left.samples, atol=1e-6)
    assert np.array_equal(ahead.samples, pipe(video, seed=7).samples)


def test_windows_are_as_long_as_the_rows_have_positions(tmp_path: Path) -> None:
    """101 rows are 50 frames of the published pattern and 100 of the delay: one and two seconds."""
    for pattern, seconds in (("residual", 1.0), ("delay", 2.0)):
        pipe = load_pipeline(write_tiny_model(tmp_path / pattern, pattern=pattern, max_target_length=101))
        assert isinstance(pipe, Pipeline)
        assert pipe.steps.longest_window_s == seconds
