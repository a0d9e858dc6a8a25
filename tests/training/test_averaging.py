"""The average has the width it is asked for, whatever the length of the run."""

import math

import pytest
import torch
from torch import nn

from spatialfoley.training.averaging import WeightAverage, power_of_width


def weights_of_steps(sigma_rel: float, steps: int) -> torch.Tensor:
    """How much the weights of each step count in the average at the end: a run whose step t holds unit vector t."""
    model = nn.Linear(steps, 1, bias=False)
    average = WeightAverage(model, sigma_rel)
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.copy_(nn.functional.one_hot(torch.tensor(step - 1), steps))
        average.update(model, step)
    return average.weights["weight"][0].double()


@pytest.mark.parametrize("steps", [400, 1000])
@pytest.mark.parametrize("sigma_rel", [0.05, 0.1, 0.25])
def test_the_profile_has_its_width_as_a_share_of_the_run(sigma_rel: float, steps: int) -> None:
    profile = weights_of_steps(sigma_rel, steps)
    times = (torch.arange(steps) + 0.5) / steps
    assert profile.sum().item() == pytest.approx(1, abs=1e-5)
    mean = (profile * times).sum()
    spread = (profile * (times - mean).square()).sum().sqrt()
    assert spread.item() == pytest.approx(sigma_rel, rel=0.02)


def test_known_powers() -> None:
    # Karras et al. 2023 state gamma = 16.97 for sigma_rel 0.05 and 6.94 for 0.10.
    assert power_of_width(0.05) == pytest.approx(16.97, abs=0.005)
    assert power_of_width(0.10) == pytest.approx(6.94, abs=0.005)
    gamma = power_of_width(0.2)
    assert math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2) == pytest.approx(0.2)


@pytest.mark.parametrize("sigma_rel", [0.0, 0.3, -1.0])
def test_an_impossible_width_is_named(sigma_rel: float) -> None:
    with pytest.raises(ValueError, match=f"sigma_rel is {sigma_rel}; it must be above 0 and at most 0.28"):
        power_of_width(sigma_rel)


def test_weights_of_another_model_are_refused() -> None:
    average = WeightAverage(nn.Linear(2, 1), 0.1)
    with pytest.raises(ValueError, match="of another model"):
        average.load({"weight": torch.zeros(1, 2)})
