"""The sampler on fields whose end is known."""

import math

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.guidance import Branch, Guidance
from spatialfoley.generators.visaudio.conditions import FlowConditions
from spatialfoley.generators.visaudio.sampler import (
    FlowSettings,
    Known,
    Solver,
    branch_velocity,
    generate_latents,
    guided_velocity,
    integrate,
    seeded_noise,
)
from tests.generators.visaudio.networks import LENGTHS, random_features, random_state, random_visaudio

SOLVERS: tuple[Solver, ...] = ("euler", "midpoint", "adams")


def end_of_growth(solver: Solver, steps: int, shift: float = 1.0) -> float:
    """dx/dt = x from 1: the true end is e."""
    times = FlowSettings(steps=steps, shift=shift).times().double()
    return float(integrate(lambda x, t: x, torch.ones(1, dtype=torch.float64), times, solver))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_constant_field_is_exact_in_one_step(solver: Solver) -> None:
    end = integrate(
        lambda x, t: torch.full_like(x, 3.0), torch.zeros(2), FlowSettings(steps=1).times(), solver
    )
    assert torch.equal(end, torch.full((2,), 3.0))


@pytest.mark.parametrize("solver", ["midpoint", "adams"])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_field_linear_in_time(solver: Solver, shift: float) -> None:
    """dx/dt = 2 t ends at 1: midpoint is exact, Adams but for its first step (an error of h squared)."""
    times = FlowSettings(steps=4, shift=shift).times()
    end = float(integrate(lambda x, t: 2 * t.expand_as(x), torch.zeros(1), times, solver))
    first = float(times[1]) ** 2 if solver == "adams" else 0.0
    assert end == pytest.approx(1.0 - first, abs=1e-6)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("adams", 2)])
def test_order_of_the_error(solver: Solver, order: int) -> None:
    errors = [abs(end_of_growth(solver, steps) - math.e) for steps in (32, 64)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def test_euler_by_hand() -> None:
    assert end_of_growth("euler", 4) == pytest.approx(1.25**4)


def gaussian_field(x: Tensor, t: Tensor) -> Tensor:
    """Exact velocity from standard normal noise to a normal of mean 2 and spread 0.5."""
    mean, spread = 2.0, 0.5
    variance = (1 - t) ** 2 + (t * spread) ** 2
    return mean + (t * spread**2 - (1 - t)) / variance * (x - t * mean)


def test_second_order_pays_at_equal_cost() -> None:
    """Eight evaluations from noise to a known normal: x1 = mean + spread x0."""
    noise = torch.linspace(-2, 2, 9)
    truth = 2.0 + 0.5 * noise
    errors = {}
    for solver, steps in (("euler", 8), ("midpoint", 4), ("adams", 8)):
        end = integrate(gaussian_field, noise, FlowSettings(steps=steps).times(), solver)  # type: ignore[arg-type]
        errors[solver] = float((end - truth).abs().max())
    assert errors["adams"] < errors["euler"] / 3
    assert errors["midpoint"] < errors["euler"] / 3


def test_times() -> None:
    torch.testing.assert_close(FlowSettings(steps=4).times(), torch.tensor([0, 0.25, 0.5, 0.75, 1.0]))
    shifted = FlowSettings(steps=2, shift=3.0).times()
    torch.testing.assert_close(shifted, torch.tensor([0, 0.25, 1.0]))


def test_steps_are_reported() -> None:
    seen: list[tuple[int, int]] = []
    integrate(
        lambda x, t: x, torch.ones(1), FlowSettings(steps=3).times(), "euler", lambda *at: seen.append(at)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


KNOWN = {"full": 7.0, "visual only": 5.0, "text only": 3.0, "neither": 2.0}


class Counted:
    """A field that tells its branches apart and remembers which were asked for when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, tuple[str, ...]]] = []

    def __call__(self, x: Tensor, t: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        names = tuple(branch.name for branch in branches)
        self.asked.append((round(float(t), 3), names))
        return torch.stack([torch.full_like(x, KNOWN[name]) for name in names])


def test_guidance_of_a_constant_field() -> None:
    end = generate_latents(Counted(), torch.zeros(1), Guidance.of_strength(4.5), FlowSettings(steps=5))
    assert float(end) == pytest.approx(4.5 * 7.0 - 3.5 * 2.0)
    end = generate_latents(
        Counted(), torch.zeros(1), Guidance.video_and_text(2.0, 0.5), FlowSettings(steps=5)
    )
    assert float(end) == pytest.approx(7.0 + 2.0 * (7.0 - 3.0) + 0.5 * (7.0 - 5.0))


def test_the_defaults_are_the_published_ones() -> None:
    field = Counted()
    end = generate_latents(field, torch.zeros(1))
    assert [names for _, names in field.asked] == [("full", "neither")] * 25
    assert float(end) == pytest.approx(4.5 * 7.0 - 3.5 * 2.0, rel=1e-5)


def test_guidance_in_an_interval_costs_one_branch_elsewhere() -> None:
    field = Counted()
    settings = FlowSettings(steps=4, guidance_start=0.25, guidance_end=0.5)
    end = generate_latents(field, torch.zeros(1), Guidance.of_strength(2.0), settings)
    both, alone = ("full", "neither"), ("full",)
    assert field.asked == [(0.0, alone), (0.25, both), (0.5, both), (0.75, alone)]
    assert float(end) == pytest.approx((7.0 + 12.0 + 12.0 + 7.0) / 4)


def test_strength_one_costs_one_branch() -> None:
    field = Counted()
    guided_velocity(field, Guidance.of_strength(1.0))(torch.zeros(1), torch.tensor(0.5))
    assert field.asked == [(0.5, ("full",))]


@torch.no_grad()
def test_branches_know_what_their_names_say() -> None:
    """Against the network called by hand with the parts exchanged; batched or not."""
    network = random_visaudio()
    x, _ = random_state(network.config)
    full = network.prepare(random_features(network.config), LENGTHS.latent)
    null = network.null_conditions(LENGTHS)
    wide, moment = null.expand(2), torch.tensor(0.25)
    expected = {
        "full": full,
        "visual only": full.with_text_of(wide),
        "text only": wide.with_text_of(full),
        "neither": wide,
    }
    branches = (*Guidance.video_and_text(1.0, 1.0).branches, Guidance.of_strength(2.0).branches[1])
    for batched in (True, False):
        made = branch_velocity(network, full, null, batched)(x, moment, branches)
        for branch, velocity in zip(branches, made, strict=True):
            by_hand = network(x, moment.expand(2), expected[branch.name])
            torch.testing.assert_close(velocity, by_hand, atol=1e-5, rtol=0)


@torch.no_grad()
def test_conditions_are_put_together_once() -> None:
    network = random_visaudio()
    x, _ = random_state(network.config)
    seen: list[FlowConditions] = []

    def flow(x: Tensor, t: Tensor, conditions: FlowConditions) -> Tensor:
        seen.append(conditions)
        return torch.zeros_like(x)

    full = network.prepare(random_features(network.config), LENGTHS.latent)
    velocity = branch_velocity(flow, full, network.null_conditions(LENGTHS))
    generate_latents(velocity, x, Guidance.of_strength(4.5), FlowSettings(steps=3))
    assert [conditions.batch for conditions in seen] == [4, 4, 4]
    assert seen[0] is seen[1] is seen[2]


def test_guidance_without_null_conditions_is_refused() -> None:
    network = random_visaudio()
    x, _ = random_state(network.config)
    velocity = branch_velocity(network, network.prepare(random_features(network.config), LENGTHS.latent))
    with pytest.raises(ValueError, match="the guidance branch 'neither' needs the null conditions"):
        generate_latents(velocity, x, Guidance.of_strength(2.0), FlowSettings(steps=1))


def test_noise_belongs_to_the_clip() -> None:
    noise = seeded_noise(7, (0, 1), frames=23, channels=5, branches=2)
    assert noise.shape == (2, 2, 23, 5)
    assert torch.equal(seeded_noise(7, (1,), 23, 5, 2)[0], noise[1])
    assert torch.equal(seeded_noise(7, (0, 1), 23, 5)[:, 0], noise[:, 0])
    assert not torch.equal(noise[0, 0], noise[0, 1])
    assert not torch.equal(seeded_noise(8, (0, 1), 23, 5, 2), noise)
    shared = seeded_noise(7, (0, 1), 23, 5, 2, rule="shared")
    assert torch.equal(shared[:, 0], noise[:, 0])
    assert torch.equal(shared[:, 1], noise[:, 0])
    many = seeded_noise(0, range(40), 50, 20)
    assert float(many.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(many.std()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0, but must be at least 1"),
        ({"solver": "rk4"}, "solver is 'rk4', but must be one of euler, midpoint, adams"),
        ({"shift": 0.0}, r"shift is 0\.0, but must be a finite number above 0"),
        ({"guidance_start": 0.7, "guidance_end": 0.2}, r"guidance_start 0\.7 and guidance_end 0\.2 must be"),
    ],
)
def test_impossible_settings_are_refused(changes: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        FlowSettings(**changes)


def test_impossible_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="frames 0, channels 5 and branches 1 must be at least 1"):
        seeded_noise(7, (0,), 0, 5)
    with pytest.raises(ValueError, match="seed -1 and clip_indices"):
        seeded_noise(-1, (0,), 3, 5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_known_latents_are_seen_on_their_path_and_returned_unchanged(solver: Solver) -> None:
    generator = torch.Generator().manual_seed(0)
    known = Known(torch.randn(1, 2, 3, 4, generator=generator), torch.randn(1, 2, 3, 4, generator=generator))
    noise = torch.randn(1, 2, 7, 4, generator=generator)
    seen: list[float] = []

    def velocity(x: Tensor, t: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        seen.append(float(t))
        torch.testing.assert_close(x[..., :3, :], t * known.latents + (1 - t) * known.noise)
        return (x.mean(dim=2, keepdim=True) - x)[None]

    settings = FlowSettings(steps=5, solver=solver)
    made = generate_latents(velocity, noise, Guidance.none(), settings, known=known)
    assert torch.equal(made[..., :3, :], known.latents)
    assert len(seen) == (10 if solver == "midpoint" else 5)
    # What is generated sees what is known: another beginning, another end.
    other = Known(known.latents + 1, known.noise)
    seen_before = made[..., 3:, :]
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            generate_latents(
                lambda x, t, b: (x.mean(dim=2, keepdim=True) - x)[None],
                *(noise, Guidance.none(), settings),
                known=other,
            )[..., 3:, :],
            seen_before,
        )


def test_a_window_that_begins_as_it_was_made_is_made_again() -> None:
    """The field of one window: what came out, put in as known with its noise, gives the same."""
    noise = torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(1))

    def velocity(x: Tensor, t: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        return gaussian_field(x, t)[None]

    settings = FlowSettings(steps=200)
    whole = generate_latents(velocity, noise, Guidance.none(), settings)
    known = Known(whole[:, :2], noise[:, :2])
    blank = torch.cat([torch.zeros(1, 2, 2), noise[:, 2:]], dim=1)
    again = generate_latents(velocity, blank, Guidance.none(), settings, known=known)
    assert torch.equal(again, whole)


def test_known_latents_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="both must be of the same frames"):
        Known(torch.zeros(1, 2, 3), torch.zeros(1, 3, 3))
    whole = Known(torch.zeros(1, 4, 3), torch.zeros(1, 4, 3))
    with pytest.raises(ValueError, match=r"\(1, 4, 3\), but must be the beginning of \(1, 4, 3\)"):
        generate_latents(lambda x, t, b: x[None], torch.zeros(1, 4, 3), known=whole)
