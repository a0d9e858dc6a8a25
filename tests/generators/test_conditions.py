from dataclasses import replace

import pytest
import torch

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from tests.generators.random_checkpoints import random_conditions

TINY = VisageConfig.tiny()


@pytest.mark.parametrize("with_map", [True, False])
def test_every_branch_has_every_clip_and_drops_what_it_does_not_see(with_map: bool) -> None:
    conditions = random_conditions(TINY, batch=2)
    conditions = conditions if with_map else replace(conditions, energy_map=None)
    guidance = Guidance.dual(1.0, 2.0)
    stacked = conditions.branches(guidance)
    assert stacked.visual_dropped is not None and stacked.direction_dropped is not None
    for number, branch in enumerate(guidance.branches):
        clips = slice(2 * number, 2 * number + 2)
        assert torch.equal(stacked.frames[clips], conditions.frames)
        assert torch.equal(stacked.direction[clips], conditions.direction)
        assert stacked.visual_dropped[clips].tolist() == [not branch.visual] * 2
        assert stacked.direction_dropped[clips].tolist() == [not branch.direction] * 2
        if stacked.energy_map is not None:
            assert torch.equal(stacked.energy_map[clips], conditions.energy_map)
    assert (stacked.energy_map is not None) is with_map
    assert len(stacked.frames) == 2 * len(guidance.branches)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": torch.zeros(2, 4, 3)}, r"frames has the shape \(2, 4, 3\), not \(batch, T, "),
        (
            {"frames": torch.zeros(2, 0, TINY.d_clip)},
            "frames has 0 video frames, but the network has positions",
        ),
        ({"energy_map": torch.zeros(2, 4, 7)}, r"energy_map has the shape \(2, 4, 7\), not \(2, 4, 49\)"),
        ({"direction": torch.zeros(1, 3)}, r"direction has the shape \(1, 3\), not \(2, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong: dict[str, torch.Tensor], message: str) -> None:
    conditions: VisageConditions = replace(random_conditions(TINY), **wrong)
    with pytest.raises(ValueError, match=message):
        conditions.check(TINY)
