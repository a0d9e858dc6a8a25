"""What it costs to hear a clip with each listening network at its published size, and what bfloat16 would change.

    python benchmarks/listening_networks.py --duration-s 5 --channels 1 --repeats 3 --json listening.json

The weights are random: time does not depend on them, and deviations say how the arithmetic behaves, not how well a
network listens. Seconds are those of the processor, so that a busy machine does not spoil them.
"""

import os

# One thread unless told otherwise; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spatialfoley.evaluation.networks.cnn14 import Cnn14, Cnn14Config
from spatialfoley.evaluation.networks.network_listener import NetworkListener
from spatialfoley.evaluation.networks.passt import Passt, PasstConfig
from spatialfoley.evaluation.networks.vggish import Vggish, VggishConfig

PUBLISHED: dict[str, Callable[[], nn.Module]] = {
    "vggish": lambda: Vggish(VggishConfig()),
    "cnn14": lambda: Cnn14(Cnn14Config()),
    "passt": lambda: Passt(PasstConfig()),
}
TINY: dict[str, Callable[[], nn.Module]] = {
    "vggish": lambda: Vggish(VggishConfig((2, 3, 4, 5), 8, 6)),
    "cnn14": lambda: Cnn14(Cnn14Config((2, 2, 3, 3, 4, 6), 8, 5)),
    "passt": lambda: Passt(PasstConfig(64, 2, 1, 2.0, 5)),
}


def measure(
    listener: NetworkListener, sounds: NDArray[np.float32], rate_hz: int, repeats: int
) -> dict[str, Any]:
    """Seconds for one call, best of some, in float32 and under bfloat16, and how far the latter is off."""
    exact, exact_s = _best(lambda: listener.hear(sounds, rate_hz).embeddings, repeats)
    with torch.autocast("cpu", torch.bfloat16):
        half, half_s = _best(lambda: listener.hear(sounds, rate_hz).embeddings, repeats)
    return {
        "parameters": sum(value.numel() for value in listener.network.parameters()),
        "float32_cpu_s": exact_s,
        "bfloat16_cpu_s": half_s,
        "bfloat16_deviation": float(np.abs(half - exact).max() / np.abs(exact).max()),
    }


def _best(call: Callable[[], NDArray[np.float32]], repeats: int) -> tuple[NDArray[np.float32], float]:
    result, least_s = call(), float("inf")
    for _ in range(repeats):
        start_s = time.process_time()
        result = call()
        least_s = min(least_s, time.process_time() - start_s)
    return result, least_s


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--listeners", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--size", choices=("published", "tiny"), default="published")
    parser.add_argument("--duration-s", type=float, default=5.0)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--rate-hz", type=int, default=44100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    sounds = 0.1 * random.standard_normal((options.channels, round(options.duration_s * options.rate_hz)))
    figures: dict[str, Any] = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "duration_s": options.duration_s,
        "channels": options.channels,
    }
    builders = PUBLISHED if options.size == "published" else TINY
    print("| listener | parameters | float32, s | bfloat16, s | bfloat16 off by |")
    print("|---|---|---|---|---|")
    for name in options.listeners:
        listener = NetworkListener(name, builders[name](), "random weights")
        figures[name] = found = measure(listener, sounds.astype(np.float32), options.rate_hz, options.repeats)
        print(
            f"| {name} | {found['parameters'] / 1e6:.1f} M | {found['float32_cpu_s']:.2f} | "
            f"{found['bfloat16_cpu_s']:.2f} | {found['bfloat16_deviation']:.1%} |"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
