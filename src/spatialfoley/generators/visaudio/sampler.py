"""From noise to latents along a velocity field. Takes functions and knows no network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from spatialfoley.generators.guidance import Branch, Guidance
from spatialfoley.generators.noise import clip_generators
from spatialfoley.generators.visaudio.conditions import FlowConditions, join_conditions
from spatialfoley.generators.visaudio.config import BranchNoise

Solver = Literal["euler", "midpoint", "adams"]

Velocity = Callable[[Tensor, Tensor], Tensor]
"""x (B, ...), time () -> velocity (B, ...)."""

BranchVelocity = Callable[[Tensor, Tensor, tuple[Branch, ...]], Tensor]
"""x (B, ...), time (), guidance branches -> one velocity of each (branches, B, ...)."""

FlowFunction = Callable[[Tensor, Tensor, FlowConditions], Tensor]
"""x (B, ...), times (B,), conditions of B clips -> velocity (B, ...); the networks of this package are such."""


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is followed; the defaults are MMAudio's (A18), as is `PUBLISHED_GUIDANCE`.

    Attributes:
        steps: Steps from noise to sound.
        solver: "euler" and "adams" (second order, remembers the last velocity) evaluate the network once a step,
            "midpoint" (second order) twice.
        shift: Above 1, steps are finer near the noise, below 1 near the sound; 1 for equal steps.
        guidance_start: Flow time from which guidance acts; before it one branch is computed.
        guidance_end: Flow time up to which guidance acts.
    """

    steps: int = 25
    solver: Solver = "euler"
    shift: float = 1.0
    guidance_start: float = 0.0
    guidance_end: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a number is out of range or the solver unknown.
        """
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, but must be at least 1")
        if self.solver not in get_args(Solver):
            raise ValueError(f"solver is {self.solver!r}, but must be one of {', '.join(get_args(Solver))}")
        if not (math.isfinite(self.shift) and self.shift > 0):
            raise ValueError(f"shift is {self.shift}, but must be a finite number above 0 (1: equal steps)")
        if not 0 <= self.guidance_start <= self.guidance_end <= 1:
            raise ValueError(
                f"guidance_start {self.guidance_start} and guidance_end {self.guidance_end} must be 0 to 1, "
                "in this order"
            )

    def times(self) -> Tensor:
        """Flow times (steps + 1,), float32, from 0 (noise) to 1 (sound).

        They stay on the CPU: asking a GPU for the time at every step would make it wait.
        """
        even = torch.linspace(0, 1, self.steps + 1)
        return even if self.shift == 1 else even / (even + self.shift * (1 - even))


@dataclass(frozen=True)
class Known:
    """The beginning of a clip that is known already: the end of the window before.

    Attributes:
        latents: (B, ..., P, channels), normalised, time on the last axis but one.
        noise: What they were made from, of the same shape.
    """

    latents: Tensor
    noise: Tensor

    def __post_init__(self) -> None:
        if self.latents.shape != self.noise.shape:
            raise ValueError(
                f"latents have the shape {tuple(self.latents.shape)} and noise {tuple(self.noise.shape)}; "
                "both must be of the same frames"
            )

    @property
    def frames(self) -> int:
        """Latent frames P."""
        return self.latents.shape[-2]

    def begin(self, noise: Tensor) -> Tensor:
        """The noise (B, ..., L, channels) of the whole clip, begun with that of the known latents."""
        return _with_start(noise, self.noise)


PUBLISHED_SETTINGS = FlowSettings()
PUBLISHED_GUIDANCE = Guidance.of_strength(4.5)


def generate_latents(
    velocity: BranchVelocity,
    noise: Tensor,
    guidance: Guidance = PUBLISHED_GUIDANCE,
    settings: FlowSettings = PUBLISHED_SETTINGS,
    on_step: Callable[[int, int], None] | None = None,
    known: Known | None = None,
) -> Tensor:
    """Follow the guided flow from noise to latents.

    Args:
        velocity: Velocities of the guidance branches.
        noise: Start (B, ...), float32.
        guidance: Branches and their weights.
        settings: Steps, solver, and when guidance acts.
        on_step: Called after each step with its number (from 1) and the number of steps.
        known: Latents that the clip begins with, and their noise, which replaces that of `noise`. They move
            along the straight path between the two, where the network sees them; they are returned unchanged.

    Returns:
        Latents (B, ...), normalised as the network's are.

    Raises:
        ValueError: If the known latents do not fit the noise, or leave nothing to generate.
    """
    guided = guided_velocity(velocity, guidance, settings.guidance_start, settings.guidance_end)
    if known is None:
        return integrate(guided, noise, settings.times(), settings.solver, on_step)
    if known.latents.shape[:-2] != noise.shape[:-2] or known.frames >= noise.shape[-2]:
        raise ValueError(
            f"known latents have the shape {tuple(known.latents.shape)}, but must be the beginning of "
            f"{tuple(noise.shape)}"
        )
    held = _held_velocity(guided, known)
    made = integrate(held, known.begin(noise), settings.times(), settings.solver, on_step)
    return _with_start(made, known.latents)


def guided_velocity(
    velocity: BranchVelocity, guidance: Guidance, start: float = 0.0, end: float = 1.0
) -> Velocity:
    """The weighted sum of the branches at times from start to end, and the full branch alone at others."""
    unguided = Guidance.none()

    def mixed(x: Tensor, t: Tensor) -> Tensor:
        rule = guidance if start <= float(t) <= end else unguided
        return rule.mix(velocity(x, t, rule.branches))

    return mixed


def integrate(
    velocity: Velocity,
    x: Tensor,
    times: Tensor,
    solver: Solver = "euler",
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Solve dx/dt = velocity(x, t) from the first to the last of the times.

    Args:
        velocity: The field.
        x: Value at the first time.
        times: Ascending, float32, (steps + 1,), on the CPU.
        solver: See `FlowSettings`. "adams" begins with a step of Euler's; where guidance begins or ends, its
            memory of the last velocity is of the other field, and that one step is of first order.
        on_step: Called after each step with its number (from 1) and the number of steps.

    Returns:
        Value at the last time.
    """
    steps = len(times) - 1
    last: Tensor | None = None
    for index in range(steps):
        t, step = times[index], times[index + 1] - times[index]
        slope = velocity(x, t)
        if solver == "midpoint":
            slope = velocity(x + step / 2 * slope, t + step / 2)
        elif solver == "adams":
            now = slope
            if last is not None:
                slope = now + step / (2 * (t - times[index - 1])) * (now - last)
            last = now
        x = x + step * slope
        if on_step is not None:
            on_step(index + 1, steps)
    return x


def branch_velocity(
    flow: FlowFunction, full: FlowConditions, null: FlowConditions | None = None, batched: bool = True
) -> BranchVelocity:
    """Velocities of the guidance branches of a network.

    Conditions are put together once for each set of branches and kept for all steps.

    Args:
        flow: The network.
        full: Conditions of the clips.
        null: Conditions of no video, with the empty or the negative text: of one clip or of each. May be None
            without guidance.
        batched: Whether the branches share one pass of the network. Without, less memory is used.
    """
    wide_null = None if null is None else null.expand(full.batch)
    kept: dict[tuple[Branch, ...], list[FlowConditions]] = {}

    def velocities(x: Tensor, t: Tensor, branches: tuple[Branch, ...]) -> Tensor:
        if branches not in kept:
            parts = [_conditions_of(branch, full, wide_null) for branch in branches]
            kept[branches] = [join_conditions(parts)] if batched and len(parts) > 1 else parts
        outputs = []
        for conditions in kept[branches]:
            copies = conditions.batch // len(x)
            # repeat, not expand: a convolution wants one contiguous batch
            state = x.repeat(copies, *[1] * (x.ndim - 1)) if copies > 1 else x
            outputs.append(flow(state, t.to(x.device, torch.float32).expand(len(state)), conditions))
        return torch.cat(outputs).unflatten(0, (len(branches), len(x)))

    return velocities


def seeded_noise(
    seed: int,
    clip_indices: Sequence[int],
    frames: int,
    channels: int,
    branches: int = 1,
    rule: BranchNoise = "independent",
    device: torch.device | str | None = None,
) -> Tensor:
    """Standard normal noise of each clip from its own generator on the CPU.

    Args:
        seed: Any non-negative integer.
        clip_indices: One non-negative number per clip; the same number gives the same noise in any batch.
        frames: Latent frames L.
        channels: Latent channels.
        branches: Audio channels N.
        rule: "shared" gives every branch the noise of the first (A14).
        device: Where the noise is needed.

    Returns:
        (B, N, L, channels), float32.

    Raises:
        ValueError: If a number is out of range.
    """
    if min(frames, channels, branches) < 1:
        raise ValueError(f"frames {frames}, channels {channels} and branches {branches} must be at least 1")

    def clip(generator: torch.Generator) -> Tensor:
        # One draw per branch, so that the first is the same for any number of branches.
        draws = 1 if rule == "shared" else branches
        noise = torch.stack([torch.randn(frames, channels, generator=generator) for _ in range(draws)])
        return noise.expand(branches, -1, -1)

    return torch.stack([clip(generator) for generator in clip_generators(seed, clip_indices)]).to(device)


def _held_velocity(velocity: Velocity, known: Known) -> Velocity:
    """The field that carries known latents along their straight path, whatever the network says of them."""
    straight = known.latents - known.noise

    def held(x: Tensor, t: Tensor) -> Tensor:
        # Rounding would add up over the steps.
        on_path = _with_start(x, float(t) * known.latents + (1 - float(t)) * known.noise)
        return _with_start(velocity(on_path, t), straight)

    return held


def _with_start(x: Tensor, start: Tensor) -> Tensor:
    return torch.cat([start.to(x.dtype), x[..., start.shape[-2] :, :]], dim=-2)


def _conditions_of(branch: Branch, full: FlowConditions, null: FlowConditions | None) -> FlowConditions:
    if branch.visual and branch.text:
        return full
    if null is None:
        raise ValueError(f"the guidance branch {branch.name!r} needs the null conditions, but null is None")
    return (full if branch.visual else null).with_text_of(full if branch.text else null)
