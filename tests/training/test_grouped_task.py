"""Clips of single codec frames train a generator that takes several in a row."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.codecs.grouped import group_codes
from spatialfoley.training.loop import train
from spatialfoley.training.settings import RecipeError
from spatialfoley.training.visage_task import VisageTask
from tests.training.test_single_codebook_task import settings_of, write_clips

GROUPS = {
    "frames_per_row": 4,
    "num_rvq": 4,
    "dac_downsample_rate": 1280,
    "dac_frame_rate": 18,
    "max_target_length": 9,
}


def test_clips_of_single_frames_are_grouped(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 4)
    settings = settings_of(tmp_path, "run", clips, **GROUPS)
    task = VisageTask(settings)
    generator = torch.Generator().manual_seed(0)
    _, codes = task.batch(generator)
    # 30 frames are 7 groups and a half; what is missing is padding, and is not learnt.
    assert codes.shape == (4, 8, 16)
    assert (codes[:, 7].unflatten(1, (4, 4))[:, :, 2:] == 64).all()
    plain = VisageTask(settings_of(tmp_path, "plain", clips))
    _, single = plain.batch(torch.Generator().manual_seed(0))
    assert torch.equal(group_codes(single, 1, 4, 64), codes)
    loss, figures = task.loss(task.model, task.batch(generator), generator)
    assert loss.item() == pytest.approx(16 * np.log(32), rel=0.05)
    assert set(figures) == {"w_first", "yzx_first"}
    train(task, settings)
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_clips_of_another_number_of_codebooks_are_refused(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 8)
    with pytest.raises(RecipeError, match=r"have \{'codebooks': 8, .*\(or 4, of single codec frames\)"):
        VisageTask(settings_of(tmp_path, "run", clips, **GROUPS))
