"""ViSAGe against ViSAGe-SC at full size, with the same decoder code: clips, candidates, a training step.

Called by `visage_decode.py --systems`. Weights are random. ViSAGe has 9 codebooks per channel, 86 codec frames a
second and 861 rows per 5-second clip. ViSAGe-SC, in our reading, has one codebook of 16384 per channel, 75 frames a
second, the pattern `delay` and 376 rows; once with all tokens and once with those of UniCodec's domain of other
sounds (8192 to 16383), which are all that a model trained on that domain needs. Ours, with that domain too: 3 or 5
codec frames of a channel in one row (`spatialfoley.codecs.grouped`), 126 or 76 rows.

A step is the network and the drawing of its tokens. Seconds per clip are rows times the mean step over three
positions (first, middle, last; weights 1, 2, 1), in process CPU time; all systems take turns step by step.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from spatialfoley.generators.guidance import Guidance, mix_branches
from spatialfoley.generators.visage.candidates import TokenLikelihood
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine, DecoderRun
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.objective import codebook_loss
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, draw_tokens

GUIDANCE = Guidance.combined(2.5)
SETTINGS = SamplingSettings(top_k=256)
VIDEO_FRAMES = 20
CANDIDATES = 4
_SHARES = (0.0, 0.5, 1.0)
TARGETS = {"clip": 5.0, "training step": 4.0, "candidates": 2.0}
"""Times faster per clip, times faster per training step, and the most that four candidates may cost."""


def systems(tiny: bool = False) -> dict[str, VisageConfig]:
    """The networks that are compared, by name."""
    sizes = {name: getattr(VisageConfig.tiny(), name) for name in _WIDTHS} if tiny else {}
    shorter = {"dac_vocab_size": 256, "dac_pad_token_id": 256} if tiny else {}
    single = VisageConfig.single_codebook(**sizes, **shorter)
    vocabulary = single.dac_vocab_size
    one_domain = replace(single, token_ranges=((vocabulary // 2, vocabulary),))
    return {
        "visage": VisageConfig(**sizes),
        "visage-sc": single,
        "visage-sc, one domain": one_domain,
        **{
            f"visage-sc, {frames} frames a row": VisageConfig.single_codebook(
                frames, **sizes, **shorter, token_ranges=one_domain.token_ranges
            )
            for frames in (3, 5)
        },
    }


_WIDTHS = (
    *("d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads"),
    *("encoder_ffn_dim", "decoder_ffn_dim"),
)


@dataclass
class Decoding:
    """One batch of clips that is being decoded by one system."""

    step: DecoderRun
    config: VisageConfig
    rows: int
    batch: int
    noise: SeededNoise
    likelihood: TokenLikelihood

    def fill(self) -> None:
        """Pretend that the rows before have been decoded."""
        with torch.inference_mode():
            self.step.cache.normal_()

    def run(self, row_index: int) -> Callable[[], object]:
        """A step at a row, drawing included."""
        previous = torch.zeros(
            (self.batch, self.config.codebooks), dtype=torch.int64, device=self.step.cache.device
        )
        codebooks = self.config.layout.active_codebooks(row_index, self.rows - 1)

        def decode() -> None:
            predictions = self.step(row_index, previous if row_index else None)
            logits = mix_branches(predictions, GUIDANCE.weights)
            chosen = draw_tokens(
                logits, SETTINGS.temperature, SETTINGS.top_k, self.noise.draw(*logits.shape[1:])
            )
            self.likelihood(codebooks, predictions, chosen, None)

        return decode


class Scheme(Protocol):
    """The reference's way of decoding."""

    def __call__(self, row_index: int, previous_row: Tensor | None) -> Tensor:
        """Logits of a row."""
        ...

    def fill(self, position: int) -> None:
        """Pretend that the rows before have been decoded."""
        ...


def compare_systems(
    options: argparse.Namespace, reference: Callable[[VisageModel, Tensor, int], Scheme]
) -> dict[str, Any]:
    """Measure and print; returns the figures.

    Args:
        options: Of `visage_decode.py`.
        reference: Model, encoder states and rows -> the reference's scheme.
    """
    results: dict[str, Any] = {"parameters": {}, "kernel": {}}
    configs = systems(options.tiny)
    if options.only:
        configs = {name: configs[name] for name in configs if name == "visage" or name in options.only}
    if options.device == "cpu" and not options.only:
        results["reference"] = {"one clip": _reference_seconds(configs, reference, options)}
        _print_clips("reference scheme, one clip, without drawing", results["reference"]["one clip"])
        gc.collect()
    batches = {"one clip": 1, f"{CANDIDATES} candidates": CANDIDATES} | (
        {} if options.quick else {"16 clips": 16}
    )
    for mode in ("auto",) if options.quick else ("auto", "fast"):
        engines = {name: _engine(config, mode, options, results) for name, config in configs.items()}
        for label, batch in batches.items():
            table = _clip_seconds(engines, configs, batch, options)
            results.setdefault(mode, {})[label] = table
            _print_clips(f"{mode}, {label}", table)
        engines.clear()
        gc.collect()
    results["training step"] = _training_seconds(configs, options) if options.train_batch else {}
    results["ratios"] = _ratios(results)
    _print_ratios(results)
    return results


def _engine(
    config: VisageConfig, mode: str, options: argparse.Namespace, results: dict[str, Any]
) -> DecoderEngine:
    torch.manual_seed(options.seed)
    model = VisageModel(config).eval()
    if options.device != "cpu":
        model = model.to(
            options.device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype]
        )
    name = next(known for known, other in systems(options.tiny).items() if other == config)
    results["parameters"].setdefault(name, sum(parameter.numel() for parameter in model.parameters()))
    on_cpu = options.device == "cpu"
    engine = DecoderEngine(model, mode if on_cpu else "auto", release_weights=on_cpu)
    results["kernel"][mode] = engine.kernel
    # Starting once packs the weights, which is not a part of any clip.
    engine.start(_states(config, 1, options), 1)
    return engine


def _states(config: VisageConfig, batch: int, options: argparse.Namespace) -> Tensor:
    shape = (len(GUIDANCE.branches), 1, VIDEO_FRAMES + 2, config.d_model)
    states = torch.randn(shape, generator=torch.Generator().manual_seed(options.seed)).repeat(1, batch, 1, 1)
    if options.device == "cpu":
        return states
    return states.to(options.device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype])


def _clip_seconds(
    engines: dict[str, DecoderEngine],
    configs: dict[str, VisageConfig],
    batch: int,
    options: argparse.Namespace,
) -> dict[str, dict[str, float]]:
    """CPU seconds of a 5-second clip (all of the batch), and milliseconds per step at three positions."""
    running: dict[str, Decoding] = {}
    for name, engine in engines.items():
        config = configs[name]
        frames = VIDEO_FRAMES * config.dac_frame_rate // config.clip_frame_rate
        rows = config.layout.row_count(frames)
        with torch.inference_mode():
            step = engine.start(_states(config, batch, options), rows)
        noise = SeededNoise(options.seed, range(batch), options.device)
        likelihood = TokenLikelihood(config.layout, batch, options.device)
        running[name] = Decoding(step, config, rows, batch, noise, likelihood)
        # Once, for the whole length: what a step reads depends on its row alone.
        running[name].fill()
        # Memory that the first step ever touches is not a part of any clip either.
        running[name].run(1)()
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for share in _SHARES:
        times: dict[str, list[list[float]]] = {name: [[], []] for name in engines}
        for index in range(options.steps):
            for name, one in running.items():
                # The first and the last row hold less than the others.
                row = 1 + round(share * (one.rows - 2 - options.steps)) + index
                times[name][row % 2].append(_timed(one.run(row), options.device))
        for name, parities in times.items():
            spent[name].append(statistics.mean(statistics.median(half) for half in parities if half))
    return {name: _over_clip(running[name].rows, *times) for name, times in spent.items()}


def _over_clip(rows: int, first: float, middle: float, last: float) -> dict[str, float]:
    """Figures of a clip from the seconds of a step at three positions: times grow evenly."""
    return {
        "rows": rows,
        "ms_per_step_first": 1000 * first,
        "ms_per_step_middle": 1000 * middle,
        "ms_per_step_last": 1000 * last,
        "seconds": rows * (first + 2 * middle + last) / 4,
    }


def _reference_seconds(
    configs: dict[str, VisageConfig],
    reference: Callable[[VisageModel, Tensor, int], Scheme],
    options: argparse.Namespace,
) -> dict[str, dict[str, float]]:
    """What the scheme of the published code takes for both systems."""
    found = {}
    for name in ("visage", "visage-sc"):
        config = configs[name]
        rows = config.layout.row_count(VIDEO_FRAMES * config.dac_frame_rate // config.clip_frame_rate)
        scheme = reference(VisageModel(config).eval(), _states(config, 1, options), rows)
        previous = torch.zeros((1, config.codebooks), dtype=torch.int64)
        seconds = []
        for share in _SHARES:
            position = 1 + round(share * (rows - 2 - options.steps))
            scheme.fill(position)
            times = [
                _timed(partial(scheme, position + index, previous), options.device)
                for index in range(options.steps)
            ]
            seconds.append(
                statistics.mean(statistics.median(half) for half in (times[::2], times[1::2]) if half)
            )
        found[name] = _over_clip(rows, *seconds)
    return found


def _timed(work: Callable[[], object], device: str) -> float:
    """Seconds of the processor; on a GPU, of the clock until it is done."""
    if device == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _training_seconds(
    configs: dict[str, VisageConfig], options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Seconds of a forward and backward pass over a small batch of 5-second clips, the best of a few."""
    return {name: {"seconds": _train(config, options)} for name, config in configs.items()}


def _train(config: VisageConfig, options: argparse.Namespace) -> float:
    """One domain: the loss is over its tokens only."""
    torch.manual_seed(options.seed)
    model = VisageModel(config).to(options.device).train()
    frames = VIDEO_FRAMES * config.dac_frame_rate // config.clip_frame_rate
    batch, layout = options.train_batch, config.layout
    tokens = layout.window or range(config.dac_vocab_size)
    codes = torch.randint(tokens.start, tokens.stop, (batch, frames, config.codebooks))
    rows = layout.interleave(codes).to(options.device)
    conditions = VisageConditions(
        torch.randn(batch, VIDEO_FRAMES, config.d_clip),
        torch.rand(batch, VIDEO_FRAMES, 49),
        torch.nn.functional.normalize(torch.randn(batch, 3), dim=1),
    ).to(options.device)
    labels = layout.labels(rows)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast(options.device.split(":")[0], torch.bfloat16, enabled=options.device != "cpu"):
            hidden = model.decode_teacher(rows[:, :-1], model.encode(conditions))
            logits = model.row_logits(hidden, layout.window)
        codebook_loss(logits, labels, layout, 0.0, layout.allowed).total.backward()

    repeats = 1 if options.quick else 2
    return min(_timed(step, options.device) for _ in range(repeats + (options.device != "cpu")))


def _ratios(results: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    if "reference" in results:
        table = results["reference"]["one clip"]
        found["visage-sc, reference scheme: times faster"] = (
            table["visage"]["seconds"] / table["visage-sc"]["seconds"]
        )
    for mode in ("auto", "fast"):
        if mode not in results:
            continue
        one = results[mode]["one clip"]
        many = results[mode][f"{CANDIDATES} candidates"]
        for name in one:
            if name != "visage":
                for label, table in results[mode].items():
                    found[f"{name}, {mode}, {label}: times faster"] = (
                        table["visage"]["seconds"] / table[name]["seconds"]
                    )
            found[f"{name}, {mode}: {CANDIDATES} candidates over one"] = (
                many[name]["seconds"] / one[name]["seconds"]
            )
    training = results["training step"]
    for name in training:
        if name != "visage":
            found[f"{name}, training step: times faster"] = (
                training["visage"]["seconds"] / training[name]["seconds"]
            )
    return found


def _print_clips(title: str, table: dict[str, dict[str, float]]) -> None:
    print(title)
    for name, row in table.items():
        steps = " ".join(f"{row[f'ms_per_step_{at}']:8.2f}" for at in ("first", "middle", "last"))
        print(
            f"  {name:24} {row['rows']:4.0f} rows  {steps} ms per step  {row['seconds']:7.2f} s per 5-s clip"
        )


def _print_ratios(results: dict[str, Any]) -> None:
    for name, row in results["training step"].items():
        print(f"training step, {name:24} {row['seconds']:7.2f} s")
    for name, ratio in results["ratios"].items():
        target = next(limit for key, limit in _TARGET_OF_LABEL.items() if key in name)
        print(f"{name:52} {ratio:5.2f} ({'at most' if 'over one' in name else 'at least'} {target:g} wanted)")


_TARGET_OF_LABEL = {
    "candidates over one": TARGETS["candidates"],
    "training step": TARGETS["training step"],
    "times faster": TARGETS["clip"],
}
