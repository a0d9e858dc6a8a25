import pytest
import torch

from spatialfoley.generators.guidance import Guidance, mix_branches

FULL, VISUAL, DIRECTION, NEITHER = 7.0, 5.0, 3.0, 2.0
TEXT = 4.0
PREDICTIONS = {
    "full": FULL,
    "visual only": VISUAL,
    "direction only": DIRECTION,
    "text only": TEXT,
    "neither": NEITHER,
}


def mixed(guidance: Guidance) -> float:
    predictions = torch.tensor([PREDICTIONS[branch.name] for branch in guidance.branches])
    return float(guidance.mix(predictions))


@pytest.mark.parametrize(
    ("guidance", "expected"),
    [
        (Guidance.none(), FULL),
        (Guidance.combined(2.5), FULL + 2.5 * (FULL - NEITHER)),
        (Guidance.visual(2.0), FULL + 2.0 * (FULL - DIRECTION)),
        (Guidance.directional(3.0), FULL + 3.0 * (FULL - VISUAL)),
        (Guidance.dual(2.5, 1.5), FULL + 2.5 * (VISUAL - NEITHER) + 1.5 * (DIRECTION - NEITHER)),
        (Guidance.of_strength(4.5), 4.5 * FULL - 3.5 * NEITHER),
        (Guidance.of_strength(0.5), FULL),
        (Guidance.video_and_text(2.0, 1.5), FULL + 2.0 * (FULL - TEXT) + 1.5 * (FULL - VISUAL)),
    ],
    ids=["none", "combined", "visual", "directional", "dual", "strength", "no strength", "video and text"],
)
def test_formulas(guidance: Guidance, expected: float) -> None:
    assert mixed(guidance) == pytest.approx(expected)
    assert sum(guidance.weights) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "guidance",
    [
        Guidance.combined(0),
        Guidance.visual(0),
        Guidance.directional(0),
        Guidance.dual(0, 0),
        Guidance.of_strength(1),
        Guidance.video_and_text(0, 0),
    ],
)
def test_scale_zero_costs_one_branch(guidance: Guidance) -> None:
    assert [branch.name for branch in guidance.branches] == ["full"]


def test_branches_know_what_their_names_say() -> None:
    knows = {branch.name: (branch.visual, branch.direction) for branch in Guidance.dual(1, 1).branches}
    assert knows == {
        "full": (True, True),
        "visual only": (True, False),
        "direction only": (False, True),
        "neither": (False, False),
    }
    assert {
        branch.name: (branch.visual, branch.text) for branch in Guidance.video_and_text(1, 1).branches
    } == {
        "full": (True, True),
        "visual only": (True, False),
        "text only": (False, True),
    }


def test_equal_predictions_are_left_alone() -> None:
    prediction = torch.randn(3, 5)
    weights = Guidance.dual(2.5, 2.5).weights
    torch.testing.assert_close(mix_branches(prediction.expand(4, 3, 5), weights), prediction)


def test_impossible_guidance_is_refused() -> None:
    with pytest.raises(ValueError, match="scale is -1, but must be a finite number of at least 0"):
        Guidance.combined(-1)
    with pytest.raises(ValueError, match=r"branches of odd sum to 2\.0, but must sum to 1"):
        Guidance("odd", Guidance.none().branches * 2)
    with pytest.raises(ValueError, match="there are 3 predictions, but 2 weights"):
        mix_branches(torch.zeros(3, 1), (0.5, 0.5))
