from dataclasses import replace

import pytest
import torch

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.config import VisageConfig
from tests.generators.random_checkpoints import random_conditions

TINY = VisageConfig.tiny()


@pytest.mark.parametrize("with_map", [True, False])
def test_every_branch_has_every_clip_and_drops_what_it_does_not_see(with_map: bool) -> None:
    conditions = random_conditions(TINY, batch=2)
    conditions = conditions if with_map else replace(conditions, energy_map=None)
    guidance = Guidance.dual(1.0, 2.0)
    stacked = conditions.branches(guidance)
    assert stacked.visual_dropped is not None
    assert stacked.direction_dropped is not None
    assert len(stacked.frames) == 2 * len(guidance.branches)
    for number, branch in enumerate(guidance.branches):
        clips = slice(2 * number, 2 * number + 2)
        assert torch.equal(stacked.frames[clips], conditions.frames)
        assert torch.equal(stacked.direction[clips], conditions.direction)
        assert stacked.visual_dropped[clips].tolist() == [not branch.visual] * 2
        assert stacked.direction_dropped[clips].tolist() == [not branch.direction] * 2
        if stacked.energy_map is not None and conditions.energy_map is not None:
            assert torch.equal(stacked.energy_map[clips], conditions.energy_map)
    assert (stacked.energy_map is not None) is with_map
