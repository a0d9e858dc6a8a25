"""The fast decoder against the plain one."""

from __future__ import annotations

import pytest
import torch

from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.kernels import EXACT_KERNELS, unavailable_reason
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, sample_rows
from spatialfoley.generators.visage.stepper import plain_stepper
from spatialfoley.generators.visage.torch_layers import TorchLayers

FRAMES = 3
SMALL = {"d_model": 96, "decoder_attention_heads": 3, "encoder_attention_heads": 3}
WIDE = {"d_model": 512, "decoder_ffn_dim": 1024}
# Largest error of a logit, relative to the spread of the logits.
TOLERANCES = {
    "auto": 3e-5,
    "plain": 3e-5,
    "split_float32": 3e-5,
    "packed_float32": 3e-5,
    "native_float32": 3e-5,
    "fast": 1e-2,
    "float16": 1e-2,
    "native_float16": 1e-2,
    "bfloat16": 0.1,
    "int8": 0.3,
}


def _model(**changes) -> VisageModel:
    torch.manual_seed(3)
    spread = 0.8 * changes.get("d_model", 32) ** -0.5
    config = VisageConfig.tiny(encoder_layers=1, init_std=spread, **changes)
    model = VisageModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Biases, norms and the pad row are trained too, so none may be trivial here.
            parameter.add_(torch.randn_like(parameter) * spread / 2)
    return model


def _states(model: VisageModel, branches: int = 2, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(8)
    return torch.randn(branches, batch, 6, model.config.d_model, generator=generator)


def _largest_error(model: VisageModel, engine: DecoderEngine, states: torch.Tensor) -> float:
    """Feed both the same random rows and compare every row's logits."""
    rows = model.layout.row_count(FRAMES)
    codes = torch.randint(
        model.config.dac_vocab_size,
        (states.shape[1], FRAMES, model.config.codebooks),
        generator=torch.Generator().manual_seed(1),
    )
    fed = model.layout.interleave(codes)
    expected_step, step = plain_stepper(model, states, rows), engine.start(states, rows)
    worst = 0.0
    for row in range(rows):
        previous = fed[:, row - 1] if row else None
        expected, made = expected_step(row, previous), step(row, previous)
        assert made.shape == expected.shape
        worst = max(worst, ((made - expected).abs().max() / expected.std()).item())
    return worst


def _available(kernel: str) -> None:
    if kernel not in ("auto", "fast") and (reason := unavailable_reason(kernel)):
        pytest.skip(reason)


@pytest.mark.parametrize("kernel", TOLERANCES)
@pytest.mark.parametrize("changes", [SMALL, WIDE], ids=["small", "wide"])
def test_every_row_has_the_logits_of_the_plain_stepper(kernel, changes):
    _available(kernel)
    model = _model(**changes)
    assert _largest_error(model, DecoderEngine(model, kernel), _states(model)) < TOLERANCES[kernel]


@pytest.mark.parametrize(
    "changes",
    [
        {"unfed_codebooks": (3, 6, 9)},
        {"aligned_conditions": True, "dac_frame_rate": 4, "clip_frame_rate": 2},
        {"num_channels": 1},
        {"unfed_codebooks": (0, 1), "aligned_conditions": True, "num_channels": 1},
    ],
    ids=["unfed", "aligned", "mono", "all"],
)
@pytest.mark.parametrize(("kernel", "branches"), [("plain", 1), ("plain", 4), ("native_float32", 2)])
def test_options_of_the_network_hold(changes, kernel, branches):
    _available(kernel)
    model = _model(**SMALL, **changes)
    assert _largest_error(model, DecoderEngine(model, kernel), _states(model, branches)) < 3e-5


@pytest.mark.parametrize("kernel", EXACT_KERNELS)
def test_exact_kernels_draw_the_tokens_of_the_plain_stepper(kernel):
    _available(kernel)
    model = _model(**WIDE)
    states = _states(model)
    rows = model.layout.row_count(FRAMES)
    codes = [
        sample_rows(
            step, model.layout, FRAMES, (3.5, -2.5), SamplingSettings(top_k=20), SeededNoise(4, (0, 1))
        )
        for step in (plain_stepper(model, states, rows), DecoderEngine(model, kernel).start(states, rows))
    ]
    assert torch.equal(*codes)


def test_documented_operators_suffice():
    model = _model(**WIDE)
    engine = DecoderEngine(model, allow_private=False)
    assert engine.kernel == "split_float32"
    assert _largest_error(model, engine, _states(model)) < 3e-5


@pytest.mark.parametrize("changes", [SMALL, WIDE], ids=["small", "wide"])
def test_steps_as_a_gpu_records_them_equal_those_of_a_cpu(changes):
    model = _model(**changes)
    rows = 9
    states = _states(model).flatten(0, 1)
    layers = TorchLayers(model.model.decoder.layers, "plain", release=False)
    with torch.inference_mode():
        grown, recorded = layers.start(states, rows), layers.start(states, rows, recorded=True)
        for row in range(rows):
            x = torch.randn(len(states), model.config.d_model)
            torch.testing.assert_close(recorded(x, row), grown(x, row), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", ["plain", "native_float32"])
def test_one_engine_serves_batches_of_several_sizes(kernel):
    _available(kernel)
    model = _model(**SMALL)
    engine = DecoderEngine(model, kernel)
    for batch in (1, 3, 9):
        assert _largest_error(model, engine, _states(model, batch=batch)) < 3e-5


@pytest.mark.parametrize("kernel", ["plain", "packed_float32", "native_float32"])
def test_released_weights_leave_an_engine_and_an_encoder(kernel):
    _available(kernel)
    model, kept = _model(**WIDE), _model(**WIDE)
    engine = DecoderEngine(model, kernel, release_weights=True)
    states = _states(model)
    rows = model.layout.row_count(FRAMES)
    expected = plain_stepper(kept, states, rows)(0, None)
    torch.testing.assert_close(engine.start(states, rows)(0, None), expected, rtol=1e-4, atol=1e-4)
    held = sum(parameter.numel() for parameter in model.model.decoder.layers.parameters())
    cross = sum(
        projection.weight.numel()
        for layer in model.model.decoder.layers
        for projection in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj)
    )
    assert held < cross + 30_000
    conditions = VisageConditions(torch.zeros(1, 2, 16), None, torch.tensor([[0.0, 0.0, 1.0]]))
    assert torch.equal(model.encode(conditions), kept.encode(conditions))


@pytest.mark.parametrize("kernel", ["native_float32", "native_float16"])
def test_a_clip_does_not_depend_on_the_clips_decoded_with_it(kernel):
    _available(kernel)
    model = _model(**SMALL)
    states = _states(model, batch=5)
    engine = DecoderEngine(model, kernel)
    rows = model.layout.row_count(FRAMES)
    together, alone = engine.start(states, rows), engine.start(states[:, 2:3], rows)
    fed = torch.randint(model.config.dac_vocab_size, (5, model.config.codebooks))
    for row in range(rows):
        expected = together(row, fed if row else None)[:, 2:3]
        assert torch.equal(alone(row, fed[2:3] if row else None), expected)


def test_long_histories_keep_their_precision():
    _available("native_float32")
    model = _model(**SMALL)
    engine, states = DecoderEngine(model, "native_float32"), _states(model)
    expected_step, step = plain_stepper(model, states, 101), engine.start(states, 101)
    fed = torch.randint(model.config.dac_vocab_size, (101, 2, model.config.codebooks))
    for row in range(101):
        previous = fed[row] if row else None
        expected, made = expected_step(row, previous), step(row, previous)
    assert (made - expected).abs().max() < 3e-5 * expected.std()


def test_too_many_rows_are_refused():
    model = _model()
    with pytest.raises(ValueError, match="502 decoder rows exceed max_target_length 501"):
        DecoderEngine(model).start(_states(model), 502)


def test_states_without_branches_are_refused():
    model = _model()
    with pytest.raises(ValueError, match=r"encoder_hidden has the shape \(2, 6, 32\)"):
        DecoderEngine(model).start(_states(model)[0], 5)


def test_rows_and_clips_that_were_not_started_are_refused():
    model = _model(**SMALL)
    step = DecoderEngine(model).start(_states(model), 7)
    with pytest.raises(ValueError, match="row_index is 7, but the clip has the rows 0 to 6"):
        step(7, None)
    with pytest.raises(ValueError, match="previous_row is of 3 clips, but 2 were started"):
        step(1, torch.zeros(3, model.config.codebooks, dtype=torch.int64))


def test_packed_kernels_need_a_float32_model():
    model = _model(**SMALL).bfloat16()
    assert DecoderEngine(model).kernel == "plain"
    with pytest.raises(ValueError, match=r"'float16' needs a float32 model, but it is torch\.bfloat16"):
        DecoderEngine(model, "float16")
    with pytest.raises(
        ValueError, match=r"encoder_hidden is torch\.float32, but the model is torch\.bfloat16"
    ):
        DecoderEngine(model).start(_states(model), 7)
