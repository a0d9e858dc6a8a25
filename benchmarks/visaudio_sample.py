"""Time ViSAudio at its published size: the plain scheme against ours, in one run and in turn.

Builds the full configuration (large_44k_v2 with two ears and the spacetime module; random weights, built in place)
and measures the parts of which a clip's sampling consists:

* `plain`: float32, clip and null branch in separate passes, conditions of the null branch made again at every step;
* `ours`: as `pack_network` has it (bfloat16 matrices laid out once where the CPU has AVX512-BF16, otherwise the
  plain float32), conditions made once, those of no video from one frame, both branches in one pass.

The time of a whole clip is put together from medians of these parts; the clip itself would take minutes. Encoders
are timed per frame or segment in the same way. Times are process CPU seconds (other processes on the machine do not
count), taken in turn; wall seconds are printed beside them.

    python benchmarks/visaudio_sample.py --repeats 3 --json sample.json
    python benchmarks/visaudio_sample.py --size tiny --encoders none   # seconds
    python benchmarks/visaudio_sample.py --device cuda                 # a GPU against its measured matrix peak
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions, join_conditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.packed_flow import PackedFlow, packing_refused
from spatialfoley.generators.visaudio.sampler import (
    PUBLISHED_GUIDANCE,
    PUBLISHED_SETTINGS,
    FlowSettings,
    branch_velocity,
    generate_latents,
    seeded_noise,
)

FEW_STEPS = FlowSettings(steps=12, solver="adams", guidance_start=0.2, guidance_end=0.8)
DURATION_S = 8.0
CLIP_FRAMES, SEGMENTS = 64, 24
SIZES: Mapping[str, dict[str, Any]] = {
    "full": {},
    "small": {"backbone": MMAudioConfig.named("small_44k")},
    "tiny": {"backbone": MMAudioConfig.tiny(hidden_dim=64), "pe_dim": 32, "pe_grid": 8},
}
Work = Callable[[], object]
Times = dict[str, dict[str, float]]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark; returns what `--json` writes."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {"machine": _machine(options), "size": options.size, "repeats": options.repeats}
    with torch.inference_mode():
        if options.device != "cpu":
            results["device"] = _measure_on_device(options)
        else:
            if options.part in ("sampling", "all"):
                results["sampling"] = _measure_sampling(options)
            if options.part in ("encoders", "all"):
                results["encoders"] = {name: _measure_encoder(name, options) for name in options.encoders}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def build_network(options: argparse.Namespace) -> VisaudioNetwork:
    """The network with random weights; with `--tie-ears` the ears share their blocks, to save 1.7 GB."""
    with torch.device("meta"):
        network = VisaudioNetwork(
            VisaudioConfig.tiny(**SIZES["tiny"])
            if options.size == "tiny"
            else VisaudioConfig(**SIZES[options.size])
        )
    if options.tie_ears:
        first, *others = network.config.branches
        for name in others:
            network.branch_blocks[name] = network.branch_blocks[first]
    network.to_empty(device="cpu")
    _fill(network)
    network.latent_std.fill_(1.0)
    return network.eval()


def _fill(module: nn.Module) -> None:
    """Uniform numbers that keep magnitudes, from one pool: drawing a billion would take longer than the timing."""
    pool = torch.rand(2**22, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        if value.ndim < 2:
            value.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        flat, spread = value.view(-1), (3.0 / value[0].numel()) ** 0.5
        for start in range(0, len(flat), len(pool)):
            part = flat[start : start + len(pool)]
            torch.mul(pool[: len(part)], spread, out=part)


def _features(config: VisaudioConfig) -> ClipFeatures:
    generator, sizes = torch.Generator().manual_seed(1), config.backbone
    lengths = sizes.lengths(DURATION_S)

    def normal(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=generator)

    return ClipFeatures(
        normal(lengths.clip, sizes.clip_dim),
        normal(lengths.sync, sizes.sync_dim),
        normal(sizes.text_tokens, sizes.text_dim),
        normal(lengths.clip, config.pe_input_grid, config.pe_input_grid, config.pe_dim),
    )


def _plain_null(network: VisaudioNetwork, features: ClipFeatures, latent_frames: int) -> FlowConditions:
    """Conditions of no video the plain way: every frame goes through every layer."""
    dropped = torch.ones(1, dtype=torch.bool)
    return network.prepare(replace(features, video_dropped=dropped, text_dropped=dropped), latent_frames)


def _measure_sampling(options: argparse.Namespace) -> dict[str, Any]:
    network = build_network(options)
    config, lengths = network.config, network.sizes.lengths(DURATION_S)
    features = _features(config)
    full, null = network.prepare(features, lengths.latent), network.null_conditions(lengths)
    both = join_conditions([full, null])
    noise = seeded_noise(0, [0], lengths.latent, network.sizes.latent_dim, network.channels)
    x, t = noise, torch.full((1,), 0.3)
    pair, times = torch.cat([x, x]), torch.full((2,), 0.3)
    with FlopCounterMode(display=False) as counter:
        network(x, t, full)
    refused = packing_refused(network)
    fast = network if refused else PackedFlow(network)
    works: dict[str, Work] = {
        "plain: one evaluation of both ears": lambda: network(x, t, full),
        "plain: conditions of no video": lambda: _plain_null(network, features, lengths.latent),
        "plain: conditions of the clip": lambda: network.prepare(features, lengths.latent),
        "ours: clip and null together": lambda: fast(pair, times, both),
        "ours: the clip alone": lambda: fast(x, t, full),
        "ours: conditions of no video": lambda: network.null_conditions(lengths),
    }
    parts = _in_turn(works, options.repeats)
    results: dict[str, Any] = {
        "arithmetic of ours": refused or "bfloat16",
        "gflop of one evaluation": counter.get_total_flops() / 1e9,
        "tokens": lengths._asdict(),
        "parts": parts,
        "clips": {kind: _clip_seconds(parts, kind) for kind in ("cpu_s", "wall_s")},
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "velocity deviation": _deviation(fast(x, t, full), network(x, t, full)),
    }
    if options.deviation_steps:
        results["latents deviation"] = _sampled_deviation(
            network, fast, full, null, noise, options.deviation_steps
        )
    _print(results)
    return results


def _clip_seconds(parts: Times, kind: str) -> dict[str, float]:
    """Seconds of whole clips, put together from the parts."""
    steps = PUBLISHED_SETTINGS.steps
    evaluation, null, clip = (
        parts[name][kind]
        for name in (
            "plain: one evaluation of both ears",
            "plain: conditions of no video",
            "plain: conditions of the clip",
        )
    )
    pair, alone, own_null = (
        parts[name][kind]
        for name in ("ours: clip and null together", "ours: the clip alone", "ours: conditions of no video")
    )
    guided = guided_evaluations(FEW_STEPS)
    plain = clip + steps * (2 * evaluation + null)
    ours = clip + own_null + steps * pair
    few = clip + own_null + guided * pair + (FEW_STEPS.steps - guided) * alone
    return {
        "(a) plain": plain,
        "(a) plain, conditions kept": clip + null + steps * 2 * evaluation,
        "(b) ours": ours,
        "(c) ours, few steps": few,
        "b over a": plain / ours,
        "b over a with conditions kept": (clip + null + steps * 2 * evaluation) / ours,
        "c over a": plain / few,
    }


def guided_evaluations(settings: FlowSettings) -> int:
    """Steps of a solver with one evaluation each in which guidance acts."""
    return sum(settings.guidance_start <= float(t) <= settings.guidance_end for t in settings.times()[:-1])


def _sampled_deviation(
    network: VisaudioNetwork,
    fast: Callable[[Tensor, Tensor, FlowConditions], Tensor],
    full: FlowConditions,
    null: FlowConditions,
    noise: Tensor,
    steps: int,
) -> dict[str, float]:
    """Distance of the latents after some steps from those of float32, by guidance."""
    settings, found = replace(PUBLISHED_SETTINGS, steps=steps), {}
    for name, rule in (("no guidance", Guidance.none()), ("guidance 4.5", PUBLISHED_GUIDANCE)):
        exact, made = (
            generate_latents(branch_velocity(flow, full, null), noise, rule, settings)
            for flow in (network, fast)
        )
        found[name] = _deviation(made, exact)
    return found


def _measure_encoder(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a frame or segment, and what a clip of eight seconds takes."""
    model, run, count = _encoder(name, options.layers)
    units, needed = (1, SEGMENTS) if name == "synchformer" else (1, CLIP_FRAMES)
    generator = torch.Generator().manual_seed(2)
    plain_input = _encoder_input(name, generator, units)
    with FlopCounterMode(display=False) as counter:
        exact = run(model, plain_input)
    packed, packed_run, _ = _encoder(name, options.layers)
    took = _pack(name, packed)
    works: dict[str, Work] = {
        "plain": lambda: run(model, plain_input),
        "ours": lambda: packed_run(packed, plain_input),
    }
    parts = _in_turn(works, options.repeats)
    result = {
        "arithmetic of ours": "bfloat16" if took else "float32, it cannot be packed here",
        "layers": count,
        "gflop": counter.get_total_flops() / 1e9 / units,
        "parts": parts,
        "clip_s": {key: parts[key]["cpu_s"] / units * needed for key in parts},
        "speedup": parts["plain"]["cpu_s"] / parts["ours"]["cpu_s"],
        "feature deviation": _deviation(packed_run(packed, plain_input), exact),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(f"\n{name}: {json.dumps(result, indent=1)}", flush=True)
    gc.collect()
    return result


def _encoder(name: str, layers: int | None) -> tuple[Any, Callable[[Any, Tensor], Tensor], int]:
    """An encoder with random weights, of its published size or of fewer layers, how to run it, and its layers."""
    if name == "clip":
        from transformers import CLIPModel

        from spatialfoley.features.clip_h14 import ClipH14Features
        from spatialfoley.features.open_clip_layout import ClipH14Config

        config = ClipH14Config()
        config = replace(config, text_layers=1, vision_layers=layers or config.vision_layers)
        with torch.device("meta"):
            network = CLIPModel(config.to_transformers())
        _materialise(network)
        for part in (network.text_model.embeddings, network.vision_model.embeddings):
            part.position_ids = torch.arange(part.position_ids.shape[-1])[None]
        return ClipH14Features(network), lambda m, x: m.encode_pixels(x), config.vision_layers
    if name == "perception":
        from spatialfoley.features.perception import PerceptionConfig, PerceptionEncoder

        sizes = PerceptionConfig()
        sizes = replace(sizes, layers=layers or sizes.layers)
        with torch.device("meta"):
            encoder = PerceptionEncoder(sizes)
        return _materialise(encoder), lambda m, x: m(x), sizes.layers
    from spatialfoley.features.synchformer import SynchformerConfig, SynchformerVisual

    size = SynchformerConfig()
    size = replace(size, layers=layers or size.layers)
    with torch.device("meta"):
        visual = SynchformerVisual(size)
    return _materialise(visual), lambda m, x: m(x), size.layers


def _materialise(module: nn.Module) -> nn.Module:
    module.to_empty(device="cpu")
    _fill(module)
    return module.eval()


def _pack(name: str, model: Any) -> bool:
    packed: bool = (model.vfeat_extractor if name == "synchformer" else model).pack()
    return packed


def _encoder_input(name: str, generator: torch.Generator, units: int) -> Tensor:
    if name == "synchformer":
        return torch.rand(1, units, 16, 3, 224, 224, generator=generator) * 2 - 1
    side = 448 if name == "perception" else 378
    return torch.rand(units, 3, side, side, generator=generator) * 2 - 1


def _measure_on_device(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an 8-second clip on a GPU, and the share of the matrix peak measured beside it."""
    if not torch.cuda.is_available():
        print("there is no GPU here: this part is skipped; run it where torch.cuda.is_available() is true")
        return {"skipped": "no GPU"}
    device = torch.device(options.device)
    network = build_network(options).to(device, torch.bfloat16)
    flow: Any = torch.compile(network) if options.compile else network
    lengths = network.sizes.lengths(DURATION_S)
    peak = _matrix_peak(device)
    results: dict[str, Any] = {"peak_tflop_per_s": peak / 1e12}
    features = _features(network.config).to(device)
    full, null = network.prepare(features, lengths.latent), network.null_conditions(lengths)
    for batch in (1, 16):
        conditions = full.expand(batch)
        noise = seeded_noise(
            0, list(range(batch)), lengths.latent, network.sizes.latent_dim, network.channels
        )
        noise = noise.to(device)
        velocity = branch_velocity(flow, conditions, null)
        with FlopCounterMode(display=False) as counter:
            branch_velocity(network, conditions, null)(noise, torch.tensor(0.3), PUBLISHED_GUIDANCE.branches)
        seconds = []
        for _ in range(options.repeats + 1):
            torch.cuda.synchronize(device)
            started = time.perf_counter()
            generate_latents(velocity, noise)
            torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
        clip_s = statistics.median(seconds[1:])
        share = counter.get_total_flops() * PUBLISHED_SETTINGS.steps / clip_s / peak
        results[f"batch_{batch}"] = {
            "seconds": clip_s,
            "seconds_per_clip": clip_s / batch,
            "share_of_peak": share,
        }
        print(
            f"batch {batch}: {clip_s:.3f} s, {clip_s / batch:.3f} s per clip, {100 * share:.0f} % of the peak"
        )
    return results


def _matrix_peak(device: torch.device) -> float:
    """FLOP per second of a large bfloat16 product."""
    side = 8192
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        for _ in range(10):
            a @ b
        torch.cuda.synchronize(device)
        best = min(best, (time.perf_counter() - started) / 10)
    return 2 * side**3 / best


def _in_turn(works: Mapping[str, Work], repeats: int) -> Times:
    """Median CPU and wall seconds of each, one after the other in every round; the first round is not counted."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            taken = time.process_time() - cpu, time.perf_counter() - wall
            if turn:
                spent[name].append(taken)
            print(
                f"  {'warm-up' if turn == 0 else turn} {name}: {taken[0]:.2f} s CPU, {taken[1]:.2f} s wall",
                flush=True,
            )
    return {
        name: {
            "cpu_s": statistics.median(entry[0] for entry in taken),
            "cpu_s_least": min(entry[0] for entry in taken),
            "cpu_s_most": max(entry[0] for entry in taken),
            "wall_s": statistics.median(entry[1] for entry in taken),
        }
        for name, taken in spent.items()
    }


def _deviation(made: Tensor, exact: Tensor) -> float:
    return float((made.float() - exact.float()).norm() / exact.float().norm())


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    flags = Path("/proc/cpuinfo").read_text()
    return {
        "cpu": names[0].split(":")[1].strip() if names else platform.processor(),
        "has": [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags],
        "threads": options.threads,
        "torch": torch.__version__,
        "device": options.device
        if options.device == "cpu" or not torch.cuda.is_available()
        else torch.cuda.get_device_name(options.device),
    }


def _print(results: dict[str, Any]) -> None:
    print()
    for name, times in results["parts"].items():
        print(f"{name:40} {times['cpu_s']:8.2f} s CPU {times['wall_s']:8.2f} s wall")
    for name, value in results["clips"]["cpu_s"].items():
        print(f"{name:40} {value:8.2f}")
    for name in (
        "arithmetic of ours",
        "gflop of one evaluation",
        "velocity deviation",
        "latents deviation",
        "peak_gb",
    ):
        print(f"{name}: {results.get(name)}")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    parser.add_argument("--part", choices=("sampling", "encoders", "all"), default="all")
    parser.add_argument(
        "--encoders",
        nargs="*",
        choices=("clip", "perception", "synchformer"),
        default=["clip", "perception", "synchformer"],
    )
    parser.add_argument("--layers", type=int, help="of the encoders, fewer than published for a quick run")
    parser.add_argument("--repeats", type=int, default=3, help="rounds after the first, which is not counted")
    parser.add_argument(
        "--deviation-steps", type=int, default=0, help="also compare latents after so many steps"
    )
    parser.add_argument(
        "--tie-ears", action="store_true", help="let the ears share their blocks: 2.5 GB less"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument("--compile", action="store_true", help="compile the network, on a GPU")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
