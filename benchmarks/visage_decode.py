"""Time the ViSAGe decoder: the reference's scheme against ours, in one run and in turn.

Builds the full published configuration with random weights and measures, at several positions of a clip,

* `reference`: one pass per guidance branch, a cache that grows, one head per codebook;
* `exact`: `DecoderEngine` in float32 (same tokens under the same noise, which is checked);
* `fast`: `DecoderEngine` with 16-bit weights (its deviation is measured);
* both with four clips at once;
* what both fall back to without a C compiler, and `documented`: with documented operators of torch only.

Late positions are reached by filling the caches with random
numbers. Times are process CPU time (other processes on the machine do not count), medians over steps of
both parities; wall time is printed beside it. Sampling is not included unless `--full` is given.

    python benchmarks/visage_decode.py --steps 8 --json decode.json
    python benchmarks/visage_decode.py --full exact fast     # also whole clips, with sampling
    python benchmarks/visage_decode.py --device cuda         # a GPU against its bandwidth floor
    python benchmarks/visage_decode.py --systems             # ViSAGe against ViSAGe-SC, see visage_systems.py
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.guidance import Guidance, mix_branches
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.engine import DecoderEngine, DecoderRun
from spatialfoley.generators.visage.kernels import unavailable_reason
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, draw_tokens, sample_rows

GUIDANCE = Guidance.combined(2.5)
SETTINGS = SamplingSettings(top_k=256)
VIDEO_FRAMES = 20


@dataclass
class ReferenceScheme:
    """One pass per branch, keys and values joined to a growing cache, one product per head."""

    model: VisageModel
    states: Tensor
    rows: int
    cache: list[list[tuple[Tensor, Tensor] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        layers = self.model.model.decoder.layers
        with torch.inference_mode():
            self._cross = [[layer.encoder_attn.keys_and_values(s) for layer in layers] for s in self.states]
        self.cache = [[None] * len(layers) for _ in self.states]

    @torch.inference_mode()
    def __call__(self, row_index: int, previous_row: Tensor | None) -> Tensor:
        """Logits (branches, B, active codebooks, V) of one row."""
        return torch.stack([self._one(branch, row_index, previous_row) for branch in range(len(self.states))])

    def _one(self, branch: int, row_index: int, previous_row: Tensor | None) -> Tensor:
        decoder, states = self.model.model.decoder, self.states[branch]
        if previous_row is None:
            tokens = decoder.bos.expand(len(states), 1, -1)
        else:
            tokens = decoder.embed_tokens(previous_row[:, None])
        x = decoder.embed(tokens, row_index, states)
        cache = self.cache[branch]
        for index, layer in enumerate(decoder.layers):
            keys, values = layer.self_attn.keys_and_values(x)
            past = cache[index]
            if past is not None:
                keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
            cache[index] = (keys, values)
            attended = layer.self_attn.attend(x, keys, values)
            x = layer.after_self_attention(x, attended, *self._cross[branch][index])
        active = self.model.layout.active_codebooks(row_index, self.rows - 1)
        return torch.stack([self.model.logits(x[:, 0], k) for k in active], dim=1)

    def fill(self, position: int) -> None:
        """Pretend that the rows before `position` have been decoded."""
        config = self.model.config
        heads = config.decoder_attention_heads
        shape = (self.states.shape[1], heads, position, config.d_model // heads)
        for cache in self.cache:
            cache[:] = (
                [(torch.randn(shape), torch.randn(shape)) for _ in cache] if position else [None] * len(cache)
            )


Step = Callable[[int, Tensor | None], Tensor]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark; returns what `--json` writes."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    if options.systems:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        from benchmarks.visage_systems import compare_systems

        figures = compare_systems(options, ReferenceScheme)
        figures["machine"] = _machine(options)
        _write(options.json, figures)
        return figures
    torch.manual_seed(options.seed)
    config = VisageConfig.tiny(**TINY) if options.tiny else VisageConfig()
    model = VisageModel(config).eval()
    if options.memory_of:
        _print_memory(model, options.memory_of)
        return {}
    measure = _measure_on_cpu if options.device == "cpu" else _measure_on_device
    results = measure(model, options)
    results["machine"] = _machine(options)
    _write(options.json, results)
    return results


def _write(path: Path | None, results: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(results, indent=1) + "\n")


TINY = {
    "d_model": 256,
    "decoder_layers": 6,
    "decoder_ffn_dim": 1024,
    "num_rvq": 5,
    "dac_vocab_size": 512,
    "dac_pad_token_id": 512,
}
"""A network of the size of the embedded one (`--tiny`)."""


def _measure_on_cpu(model: VisageModel, options: argparse.Namespace) -> dict[str, Any]:
    rows = model.layout.row_count(_frames(model.config))
    states = _states(model, options.seed)
    memory = {"model": _resident_gib()}
    engines = {"exact": DecoderEngine(model, "auto"), "fast": DecoderEngine(model, "fast")}
    for name, engine in engines.items():
        engine.start(states, rows)
        memory[f"with {name} packed"] = _resident_gib()
    results: dict[str, Any] = {"rows": rows, "steps": options.steps}
    results["kernels"] = {name: engine.kernel for name, engine in engines.items()}
    reference = ReferenceScheme(model, states, rows)
    results["same_tokens"], history = _same_tokens(model, reference, engines["exact"], states, rows, options)
    results["fast_deviation"] = _deviation(engines, states, rows, history)

    schemes: dict[str, Step] = {"reference": reference}
    schemes |= {name: engine.start(states, rows) for name, engine in engines.items()}
    four = states.repeat(1, 4, 1, 1)
    schemes |= {f"{name}, four clips": engine.start(four, rows) for name, engine in engines.items()}
    table = _time_positions(model, schemes, rows, options)
    memory["peak of the comparison"] = _peak_gib()
    engines.clear()
    schemes.clear()
    if not options.no_fallbacks:
        # Apart, so that memory does not hold six copies of the weights; beside the reference again.
        for position, row in _time_fallbacks(model, states, rows, options, results["kernels"]).items():
            table[position] |= row
    if not options.tiny:
        for name, kernel in (("exact", "auto"), ("fast", "fast")):
            alone = _memory_alone(kernel)
            memory[f"{name} alone, owning the weights"] = alone["resident_gib"]
            memory[f"{name} alone, peak"] = alone["peak_gib"]
    results |= {"positions": table, **_summary(table), "memory_gib": memory}
    _print(results)
    if options.full:
        results["whole_clip"] = _whole_clip(model, states, rows, options)
    return results


def _time_fallbacks(
    model: VisageModel, states: Tensor, rows: int, options: argparse.Namespace, kernels: dict[str, str]
) -> dict[str, dict[str, dict[str, float]]]:
    """What is used where there is no C compiler, and where no undocumented operator works either."""
    schemes: dict[str, Step] = {"reference, again": ReferenceScheme(model, states, rows)}
    chosen = {
        "exact, no compiler": ("packed_float32", True),
        "fast, no compiler": ("float16", True),
        "documented": ("auto", False),
    }
    for name, (kernel, allow_private) in chosen.items():
        if allow_private and unavailable_reason(kernel):
            continue
        engine = DecoderEngine(model, kernel, allow_private=allow_private)
        kernels[name] = engine.kernel
        schemes[name] = engine.start(states, rows)
    return _time_positions(model, schemes, rows, options)


def _memory_alone(kernel: str) -> dict[str, float]:
    """Memory of a process that only builds the network and decodes one row by an engine that owns the weights."""
    command = [sys.executable, __file__, "--memory-of", kernel]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(made.stdout)
    return figures


def _print_memory(model: VisageModel, kernel: str) -> None:
    states, rows = _states(model, 0), model.layout.row_count(_frames(model.config))
    DecoderEngine(model, kernel, release_weights=True).start(states, rows)(0, None)
    print(json.dumps({"resident_gib": _resident_gib(), "peak_gib": _peak_gib()}))


def _time_positions(
    model: VisageModel, schemes: dict[str, Step], rows: int, options: argparse.Namespace
) -> dict[str, dict[str, dict[str, float]]]:
    """Median milliseconds per step of each scheme at each position; schemes take turns step by step."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    config = model.config
    for position in (1, rows // 2, rows - 1 - options.steps):
        for step in schemes.values():
            _fill(step, position)
        spent: dict[str, list[tuple[int, float, float]]] = {name: [] for name in schemes}
        for row_index in range(position, position + options.steps):
            for name, step in schemes.items():
                batch = 4 if "four" in name else 1
                previous = torch.randint(config.dac_vocab_size, (batch, config.codebooks))
                cpu, wall = time.process_time(), time.perf_counter()
                step(row_index, previous)
                spent[name].append((row_index % 2, time.process_time() - cpu, time.perf_counter() - wall))
        table[str(position)] = {
            name: {"cpu_ms": _both_parities(times, 1), "wall_ms": _both_parities(times, 2)}
            for name, times in spent.items()
        }
    return table


def _both_parities(times: list[tuple[int, float, float]], column: int) -> float:
    """Mean of the medians of odd and even rows, whose heads differ in number; milliseconds."""
    halves = [[entry[column] for entry in times if entry[0] == parity] for parity in (0, 1)]
    return 1000 * statistics.mean(statistics.median(half) for half in halves if half)


def _fill(step: Step, position: int) -> None:
    if isinstance(step, ReferenceScheme):
        step.fill(position)
    elif isinstance(step, DecoderRun):
        with torch.inference_mode():
            step.cache.normal_()


def _summary(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """Figures over the clip: positions weigh 1, 2, 1, as the times grow evenly."""

    def over_clip(scheme: str) -> float:
        first, middle, last = (row[scheme]["cpu_ms"] for row in table.values())
        return (first + 2 * middle + last) / 4

    reference = over_clip("reference")
    summary = {"reference_ms_per_step": reference}
    for name in ("exact", "fast"):
        summary[f"{name}_ms_per_step"] = over_clip(name)
        summary[f"{name}_speedup"] = reference / over_clip(name)
        summary[f"{name}_four_clips_over_one"] = over_clip(f"{name}, four clips") / over_clip(name)
    for name in ("exact, no compiler", "fast, no compiler", "documented"):
        if name in next(iter(table.values())):
            key = name.replace(", ", "_").replace(" ", "_")
            summary[f"{key}_ms_per_step"] = over_clip(name)
            summary[f"{key}_speedup"] = over_clip("reference, again") / over_clip(name)
    return summary


def _same_tokens(
    model: VisageModel,
    reference: ReferenceScheme,
    engine: DecoderEngine,
    states: Tensor,
    rows: int,
    options: argparse.Namespace,
) -> tuple[dict[str, int | bool], list[Tensor]]:
    """Let both schemes run freely under the same noise; returns the rows drawn, too."""
    drawn: list[list[Tensor]] = []
    for step in (reference, engine.start(states, rows)):
        noise = SeededNoise(options.seed, (0,))
        previous, history = None, []
        for row_index in range(options.token_steps):
            logits = mix_branches(step(row_index, previous), GUIDANCE.weights)
            tokens = draw_tokens(logits, 1.0, SETTINGS.top_k, noise.draw(*logits.shape[1:]))
            previous = torch.full((1, model.config.codebooks), model.config.dac_pad_token_id)
            previous[:, list(model.layout.active_codebooks(row_index, rows - 1))] = tokens
            history.append(previous)
        drawn.append(history)
    count = sum(len(model.layout.active_codebooks(row, rows - 1)) for row in range(options.token_steps))
    differing = sum(int((a != b).sum()) for a, b in zip(*drawn, strict=True))
    return {
        "steps": options.token_steps,
        "tokens": count,
        "differing": differing,
        "same": differing == 0,
    }, drawn[0]


def _deviation(
    engines: dict[str, DecoderEngine], states: Tensor, rows: int, history: list[Tensor]
) -> dict[str, float]:
    """Distance of the fast mode from the exact one, both fed the same rows."""
    exact, fast = engines["exact"].start(states, rows), engines["fast"].start(states, rows)
    previous: Tensor | None = None
    squares, spread, changed, variation, tokens = 0.0, 0.0, 0, 0.0, 0
    for row_index, row in enumerate(history):
        expected = mix_branches(exact(row_index, previous), GUIDANCE.weights)
        made = mix_branches(fast(row_index, previous), GUIDANCE.weights)
        squares += float((made - expected).square().sum())
        spread += float((expected - expected.mean(-1, keepdim=True)).square().sum())
        changed += int((made.argmax(-1) != expected.argmax(-1)).sum())
        variation += float((made.softmax(-1) - expected.softmax(-1)).abs().sum() / 2)
        tokens += expected.shape[1]
        previous = row
    return {
        "relative_logit_error": (squares / spread) ** 0.5,
        "argmax_changed": changed / tokens,
        "total_variation": variation / tokens,
        "tokens": tokens,
    }


def _whole_clip(
    model: VisageModel, states: Tensor, rows: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """CPU and wall seconds of a whole clip, sampling included."""
    seconds = {}
    for name in options.full:
        step: Step
        if name == "reference":
            step = ReferenceScheme(model, states, rows)
        else:
            step = DecoderEngine(model, "auto" if name == "exact" else "fast").start(states, rows)
        cpu, wall = time.process_time(), time.perf_counter()
        sample_rows(
            step,
            model.layout,
            _frames(model.config),
            GUIDANCE.weights,
            SETTINGS,
            SeededNoise(options.seed, (0,)),
        )
        seconds[name] = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(f"whole clip, {name}: {seconds[name]['cpu_s']:.1f} s CPU, {seconds[name]['wall_s']:.1f} s wall")
        del step
        gc.collect()
    return seconds


def _measure_on_device(model: VisageModel, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds per step on a GPU, against the time of reading the weights once."""
    device = torch.device(options.device)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype]
    model = model.to(device, dtype)
    engine = DecoderEngine(model)
    rows = model.layout.row_count(_frames(model.config))
    bytes_per_second = _stream_rate(device)
    results: dict[str, Any] = {"stream_gb_per_s": bytes_per_second / 1e9, "dtype": options.dtype}
    for batch in (1, 16):
        states = _states(model, options.seed).repeat(1, batch, 1, 1)
        step = engine.start(states, rows)
        previous = torch.zeros((batch, model.config.codebooks), dtype=torch.int64, device=device)
        for row_index in range(8):
            step(row_index, previous if row_index else None)
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        for row_index in range(8, rows):
            step(row_index, previous)
        torch.cuda.synchronize(device)
        elapsed = (time.perf_counter() - started) / (rows - 8)
        decoder = sum(p.numel() for layer in model.model.decoder.layers for p in layer.parameters())
        heads = sum(p.numel() for head in model.dac_heads for p in head.parameters()) / 2
        cache = step.cache.numel() / 2
        floor = (decoder + heads + cache) * torch.finfo(dtype).bits / 8 / bytes_per_second
        results[f"batch_{batch}"] = {"ms_per_step": 1000 * elapsed, "floor_ms": 1000 * floor}
        print(f"batch {batch}: {1000 * elapsed:.3f} ms per step, bandwidth floor {1000 * floor:.3f} ms")
    return results


def _stream_rate(device: torch.device) -> float:
    """Bytes per second of summing a large array."""
    data = torch.ones(2**28, device=device)
    data.sum()
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(20):
        data.sum()
    torch.cuda.synchronize(device)
    return 20 * data.numel() * 4 / (time.perf_counter() - started)


def _frames(config: VisageConfig) -> int:
    return VIDEO_FRAMES * config.dac_frame_rate // config.clip_frame_rate


def _states(model: VisageModel, seed: int) -> Tensor:
    parameter = model.model.decoder.bos
    shape = (len(GUIDANCE.branches), 1, VIDEO_FRAMES + 2, model.config.d_model)
    states = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return functional.layer_norm(states, states.shape[-1:]).to(parameter.device, parameter.dtype)


def _resident_gib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**30


def _peak_gib() -> float:
    # Not `getrusage`, whose peak a process takes over from the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmHWM"))


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0].split(":")[1].strip() if names else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": options.threads,
        "torch": torch.__version__,
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device),
    }


def _print(results: dict[str, Any]) -> None:
    positions = results["positions"]
    print("ms per step, CPU time (wall time)".ljust(40), *(f"row {p}".rjust(18) for p in positions))
    for name in next(iter(positions.values())):
        cells = (f"{row[name]['cpu_ms']:8.2f} ({row[name]['wall_ms']:.2f})" for row in positions.values())
        kernel = results["kernels"].get(name) or results["kernels"].get(name.removesuffix(", four clips"), "")
        print(f"{name} {kernel}".ljust(40), *(cell.rjust(18) for cell in cells))
    for name, value in results.items():
        if isinstance(value, float):
            print(f"{name:32} {value:.2f}")
    for name in ("same_tokens", "fast_deviation", "memory_gib"):
        print(name, {key: round(value, 5) for key, value in results[name].items()})


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12, help="steps timed at each of three positions")
    parser.add_argument("--token-steps", type=int, default=24, help="rows drawn freely to compare tokens")
    parser.add_argument(
        "--full",
        nargs="+",
        choices=("reference", "exact", "fast"),
        default=[],
        help="also time a whole clip, sampling included, by these schemes",
    )
    parser.add_argument(
        "--no-fallbacks", action="store_true", help="leave out what runs without a C compiler"
    )
    parser.add_argument("--tiny", action="store_true", help="a network of the size of the embedded one")
    parser.add_argument("--systems", action="store_true", help="compare ViSAGe with ViSAGe-SC instead")
    parser.add_argument("--quick", action="store_true", help="with --systems: no 16 clips, no fast mode")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="with --systems: these beside visage, no reference",
    )
    parser.add_argument(
        "--train-batch", type=int, default=1, help="clips of the training step of --systems; 0: none"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="on a GPU")
    parser.add_argument("--memory-of", metavar="KERNEL", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
