import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.objective import codebook_loss
from spatialfoley.generators.visage.stepper import plain_stepper
from tests.generators.random_checkpoints import random_codes, random_conditions, random_model
from tests.parity.cases import case_params

TINY = VisageConfig.tiny()
# Rates at which the video frame on screen changes from one codec frame to the next.
FAST_VIDEO = VisageConfig.tiny(clip_frame_rate=25)


@torch.no_grad()
def teacher_hidden(model: VisageModel, rows: torch.Tensor, **changes: Any) -> torch.Tensor:
    conditions = replace(random_conditions(model.config), **changes)
    return model.decode_teacher(rows[:, :-1], model.encode(conditions))


def test_published_configuration_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = VisageModel(VisageConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 358_626_868


@pytest.mark.parametrize("path", case_params("visage", "state_dict_full.json"))
def test_published_keys_and_shapes(path: Path) -> None:
    expected = {key: tuple(shape) for key, (shape, _) in json.loads(path.read_text())["keys"].items()}
    with torch.device("meta"):
        model = VisageModel(VisageConfig())
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == expected


def test_defaults_are_the_published_effective_configuration() -> None:
    config = VisageConfig()
    assert (config.codebooks, config.embedding_rows, config.dac_frame_rate) == (36, 1088, 86)
    assert VisageConfig.from_dict({}) == config
    assert VisageConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("path", case_params("visage", "config_effective.json"))
def test_published_config_file_is_read(path: Path) -> None:
    facts = json.loads(path.read_text())
    config = VisageConfig.from_dict(facts["full_to_dict"])
    assert config == VisageConfig()
    for name, published in facts["effective"].items():
        if hasattr(config, name):
            assert getattr(config, name) == published["value"], name


def test_rates_of_other_codecs_follow_from_the_sample_rate() -> None:
    config = VisageConfig.from_dict({"dac_sample_rate": 16000})
    assert (config.dac_downsample_rate, config.dac_frame_rate) == (320, 50)


def test_settings_of_the_library_are_ignored_and_unknown_ones_refused() -> None:
    assert VisageConfig.from_dict({"vocab_size": 50265, "model_type": "bart"}) == VisageConfig()
    with pytest.raises(ValueError, match="unknown settings d_modle; known are activation_dropout, activ"):
        VisageConfig.from_dict({"d_modle": 8})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": 30}, "d_model 30 cannot be split over encoder_attention_heads 4"),
        ({"num_channels": 2}, "num_channels is 2, but must be 4"),
        ({"num_rvq": 1}, "num_rvq is 1, but the pattern 'residual' needs at least 2"),
        ({"dac_pad_token_id": 63}, "dac_pad_token_id is 63, but must lie outside the codes"),
        ({"unfed_codebooks": (12,)}, "must lie in 0 to 11"),
        ({"unfed_codebooks": tuple(range(12))}, "unfed_codebooks leaves no codebook to feed"),
        ({"activation_function": "relu"}, "only 'gelu' is published"),
        ({"decoder_layerdrop": 0.1}, "decoder_layerdrop must be 0"),
        ({"clip_frame_rate": 0}, "clip_frame_rate is 0, but must be greater than 0"),
        ({"field_frame": "head"}, "field_frame is 'head'"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisageConfig.tiny(**changes)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        VisageConfig.tiny(num_channels=1),
        VisageConfig.tiny(unfed_codebooks=(3, 6, 9)),
        replace(FAST_VIDEO, aligned_conditions=True),
    ],
    ids=["published", "mono", "unfed", "aligned"],
)
def test_steps_agree_with_teacher_forcing(config: VisageConfig) -> None:
    model = random_model(config)
    rows = model.layout.interleave(random_codes(config, frames=7))
    conditions, guidance = random_conditions(config), Guidance.dual(1.0, 1.0)
    with torch.no_grad():
        states = model.encode_branches(conditions, guidance)
        step = plain_stepper(model, states, rows.shape[1])
        hidden = [model.decode_teacher(rows[:, :-1], branch) for branch in states]
        for index in range(rows.shape[1]):
            active = model.layout.active_codebooks(index, rows.shape[1] - 1)
            expected = torch.stack([model.stacked_logits(h[:, index], active) for h in hidden])
            logits = step(index, rows[:, index - 1] if index else None)
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_branches_in_one_batch_equal_branches_alone() -> None:
    model, conditions = random_model(TINY), random_conditions(TINY)
    guidance = Guidance.dual(1.0, 2.0)
    with torch.no_grad():
        together = model.encode_branches(conditions, guidance)
        for states, branch in zip(together, guidance.branches, strict=True):
            alone = conditions.without(visual=not branch.visual, direction=not branch.direction)
            torch.testing.assert_close(states, model.encode(alone))


def test_dropping_is_by_sample() -> None:
    model, conditions = random_model(TINY), random_conditions(TINY)
    first_dropped = torch.tensor([True, False])
    with torch.no_grad():
        mixed = model.encode(replace(conditions, visual_dropped=first_dropped))
        torch.testing.assert_close(mixed[0], model.encode(conditions.without(visual=True))[0])
        torch.testing.assert_close(mixed[1], model.encode(conditions)[1])


def test_null_direction_ignores_the_direction() -> None:
    model, conditions = random_model(TINY), random_conditions(TINY)
    turned = replace(conditions, direction=-conditions.direction)
    with torch.no_grad():
        assert not torch.allclose(model.encode(turned), model.encode(conditions))
        null = model.encode(conditions.without(direction=True))
        torch.testing.assert_close(model.encode(turned.without(direction=True)), null)


def test_future_rows_are_not_seen() -> None:
    model = random_model(TINY)
    rows = model.layout.interleave(random_codes(TINY))
    changed = rows.clone()
    changed[:, 5:] = model.layout.interleave(random_codes(TINY, seed=9))[:, 5:]
    before, after = teacher_hidden(model, rows), teacher_hidden(model, changed)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_unfed_codebooks_never_reach_the_decoder() -> None:
    model = random_model(VisageConfig.tiny(unfed_codebooks=(3, 6, 9)))
    codes = random_codes(TINY)
    changed = codes.clone()
    changed[..., [3, 6, 9]] = (codes[..., [3, 6, 9]] + 1) % TINY.dac_vocab_size
    layout = model.layout
    assert torch.equal(
        teacher_hidden(model, layout.interleave(codes)), teacher_hidden(model, layout.interleave(changed))
    )
    published = random_model(TINY)
    assert not torch.allclose(
        teacher_hidden(published, layout.interleave(codes)),
        teacher_hidden(published, layout.interleave(changed)),
    )


def test_aligned_position_takes_the_frame_on_screen() -> None:
    config = replace(FAST_VIDEO, aligned_conditions=True)
    model = random_model(config)
    decoder, states = model.model.decoder, torch.zeros(1, 3 + 2, config.d_model)
    # 50 codec frames and 25 video frames a second: two codec frames, so four rows, share a video frame.
    rows = torch.arange(0, 15)
    expected = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]
    assert decoder.aligned_states(rows, states).tolist() == expected


def test_aligned_conditions_add_one_layer_to_the_published_keys() -> None:
    with torch.device("meta"):
        plain, aligned = VisageModel(TINY), VisageModel(replace(TINY, aligned_conditions=True))
    assert set(aligned.state_dict()) - set(plain.state_dict()) == {
        "model.decoder.aligned_projection.weight",
        "model.decoder.aligned_projection.bias",
    }


def test_mono_and_ambisonic_networks_differ_only_in_tables_and_heads() -> None:
    with torch.device("meta"):
        mono, ambisonic = VisageModel(VisageConfig.tiny(num_channels=1)), VisageModel(TINY)
    surplus = set(ambisonic.state_dict()) - set(mono.state_dict())
    assert all(key.startswith(("model.decoder.embed_dac.", "dac_heads.")) for key in surplus)


def test_pad_rows_get_no_gradient() -> None:
    model = VisageModel(TINY).train()
    rows = model.layout.interleave(random_codes(TINY))
    loss = codebook_loss(model(random_conditions(TINY), rows), model.layout.labels(rows), model.layout)
    loss.total.backward()
    for table in model.model.decoder.embed_dac:
        assert table.weight.grad is not None
        assert float(table.weight.grad[TINY.dac_pad_token_id].abs().max()) == 0
        assert float(table.weight.grad.abs().max()) > 0


def test_shapes_that_do_not_fit_are_named() -> None:
    model = random_model(TINY)
    conditions = random_conditions(TINY)
    with pytest.raises(ValueError, match=r"frames has the shape \(2, 4, 3\), not \(batch, T, 16\)"):
        model.encode(replace(conditions, frames=torch.zeros(2, 4, 3)))
    with pytest.raises(
        ValueError, match="frames has 21 video frames, but the network has positions for 1 to 20"
    ):
        model.encode(random_conditions(TINY, frames=21))
    with pytest.raises(ValueError, match=r"energy_map has the shape \(2, 4, 48\), not \(2, 4, 49\)"):
        model.encode(replace(conditions, energy_map=torch.zeros(2, 4, 48)))
    with pytest.raises(ValueError, match=r"direction has the shape \(1, 3\), not \(2, 3\)"):
        model.encode(replace(conditions, direction=torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="502 decoder rows exceed max_target_length 501"):
        plain_stepper(model, torch.zeros(1, 2, 6, TINY.d_model), 502)


@torch.no_grad()
def test_a_unit_direction_is_heard_by_an_untrained_network() -> None:
    """What turning round changes in the encoder's states, as a share of them."""
    shares = []
    for unit_direction in (False, True):
        config = VisageConfig.tiny(unit_direction=unit_direction, d_model=128)
        torch.manual_seed(0)
        model = VisageModel(config).eval()
        conditions = random_conditions(config)
        ahead, behind = (
            model.encode(replace(conditions, direction=sign * conditions.direction)) for sign in (1, -1)
        )
        shares.append(float((ahead - behind).norm() / ahead.norm()))
    assert shares[0] < 0.1
    assert shares[1] > 0.5
