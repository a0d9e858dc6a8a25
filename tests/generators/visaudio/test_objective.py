from dataclasses import replace

import pytest
import torch
from torch import Tensor

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig
from spatialfoley.generators.visaudio.objective import (
    ObjectiveSettings,
    draw_point,
    draw_times,
    drop_conditions,
    flow_loss,
    interpolate,
    sample_posterior,
    target_velocity,
    training_loss,
)
from tests.generators.visaudio.networks import LENGTHS, random_features, random_visaudio


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_path_is_straight_from_noise_to_sound() -> None:
    x0, x1 = torch.randn(2, 3, 2, 23, 5, generator=seeded())
    assert torch.equal(interpolate(x0, x1, torch.zeros(3)), x0)
    assert torch.equal(interpolate(x0, x1, torch.ones(3)), x1)
    t = torch.tensor([0.1, 0.5, 0.8])
    ahead = interpolate(x0, x1, t + 0.1)
    velocity = (ahead - interpolate(x0, x1, t)) / 0.1
    torch.testing.assert_close(velocity, target_velocity(x0, x1), atol=1e-4, rtol=0)


def test_the_loss_adds_the_branches_and_averages_the_clips() -> None:
    target = torch.zeros(2, 2, 3, 4)
    velocity = target.clone()
    velocity[0, 0] = 1.0
    velocity[0, 1] = 2.0
    velocity[1, 1] = 4.0
    loss = flow_loss(velocity, target)
    assert loss.per_clip.tolist() == [1.0 + 4.0, 16.0]
    assert loss.per_branch.tolist() == [0.5, 10.0]
    assert float(loss.total) == (5.0 + 16.0) / 2
    mono = flow_loss(velocity[:, 1], target[:, 1])
    assert mono.per_clip.tolist() == [4.0, 16.0]


def test_the_loss_refuses_other_shapes() -> None:
    with pytest.raises(
        ValueError, match=r"velocity \(2, 3, 4\) and target \(2, 1, 3, 4\) must have one shape"
    ):
        flow_loss(torch.zeros(2, 3, 4), torch.zeros(2, 1, 3, 4))


def test_times_follow_their_rule() -> None:
    uniform = draw_times(20000, "uniform", seeded())
    logit_normal = draw_times(20000, "logit_normal", seeded())
    assert float(uniform.mean()) == pytest.approx(0.5, abs=0.01)
    assert float((uniform < 0.1).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(torch.logit(logit_normal).mean()) == pytest.approx(0.0, abs=0.03)
    assert float(torch.logit(logit_normal).std()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("rule", "equal"), [("independent", False), ("shared", True)])
def test_noise_of_the_branches(rule: str, equal: bool) -> None:
    x1 = torch.randn(3, 2, 23, 5, generator=seeded(1))
    point = draw_point(x1, ObjectiveSettings(), rule, seeded())  # type: ignore[arg-type]
    x0 = x1 - point.target
    assert torch.allclose(x0[:, 0], x0[:, 1], atol=1e-6) is equal
    torch.testing.assert_close(interpolate(x0, x1, point.t), point.x, atol=1e-5, rtol=0)


def test_conditions_are_dropped_independently_and_as_often_as_said() -> None:
    many = ClipFeatures(*torch.zeros(3, 20000, 1, 1))
    dropped = drop_conditions(many, ObjectiveSettings(drop_video=0.1, drop_text=0.3), seeded())
    assert dropped.video_dropped is not None
    assert dropped.text_dropped is not None
    assert float(dropped.video_dropped.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(dropped.text_dropped.float().mean()) == pytest.approx(0.3, abs=0.015)
    both = (dropped.video_dropped & dropped.text_dropped).float().mean()
    assert float(both) == pytest.approx(0.03, abs=0.01)


def test_clips_without_a_text_stay_without() -> None:
    features = ClipFeatures(*torch.zeros(3, 4, 1, 1), text_dropped=torch.tensor([True, False, True, False]))
    kept = drop_conditions(features, ObjectiveSettings(drop_video=0.0, drop_text=0.0), seeded())
    assert kept.text_dropped is not None
    assert kept.text_dropped.tolist() == [True, False, True, False]
    dropped = drop_conditions(features, ObjectiveSettings(drop_video=0.0, drop_text=1.0), seeded())
    assert dropped.text_dropped is not None
    assert dropped.text_dropped.all()


@torch.no_grad()
def test_a_dropped_video_leaves_no_trace() -> None:
    network = random_visaudio()
    features = random_features(network.config)
    others = random_features(network.config, seed=9)
    mask = torch.tensor([True, True])
    made = [
        network.prepare(replace(source, text=features.text, video_dropped=mask), LENGTHS.latent)
        for source in (features, others)
    ]
    assert torch.equal(made[0].clip_tokens, made[1].clip_tokens)
    assert torch.equal(made[0].sync_frames, made[1].sync_frames)
    assert made[0].spatial is not None
    assert made[1].spatial is not None
    assert torch.equal(made[0].spatial, made[1].spatial)


def test_posterior() -> None:
    mean, std = torch.full((1, 40000, 1), 2.0), torch.full((1, 40000, 1), 0.5)
    drawn = sample_posterior(mean, std, seeded())
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.01)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ValueError, match=r"mean \(1, 2\) and std \(2, 1\) must have one shape"):
        sample_posterior(torch.zeros(1, 2), torch.zeros(2, 1))


def test_a_few_steps_lower_the_loss() -> None:
    network = random_visaudio(backbone=MMAudioConfig.tiny(depth=3, fused_depth=1), pe_grid=4)
    features = random_features(network.config)
    x1 = torch.randn(2, 2, LENGTHS.latent, 5, generator=seeded(3))
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)

    def predict(given: ClipFeatures, x: Tensor, t: Tensor) -> Tensor:
        velocity: Tensor = network(x, t, network.prepare(given, LENGTHS.latent))
        return velocity

    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = training_loss(predict, features, x1, ObjectiveSettings(), generator=seeded(4))
        loss.total.backward()
        optimiser.step()
        losses.append(float(loss.total.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="time_rule is 'late', but must be one of uniform, logit_normal"):
        ObjectiveSettings(time_rule="late")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"drop_text is 1\.5, but must be from 0 to 1"):
        ObjectiveSettings(drop_text=1.5)
    network = random_visaudio()
    features = replace(random_features(network.config), text_dropped=torch.ones(1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask of dropped clips has shape \(1,\), but must be \(2,\)"):
        network.prepare(features, LENGTHS.latent)
