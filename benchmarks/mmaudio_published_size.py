"""Run MMAudio at its published size, end to end, without its weights: random numbers under the published names.

Reads lists of published tensor names and shapes (JSON files with a table "keys"), writes a folder in the published
layout, imports it as a user would, makes the sound of a video, and prints seconds and memory of every step. The
sound is noise; what is shown is that names, shapes and sizes fit, and what a run costs.

    python benchmarks/mmaudio_published_size.py --keys LISTS --video street.mp4 --work /tmp/mmaudio
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")

FILES = {
    "state_dict_small_16k": "weights/mmaudio_small_16k.pth",
    "state_dict_vae_16k": "ext_weights/v1-16.pth",
    "state_dict_bigvgan_16k_weightnorm": "ext_weights/best_netG.pt",
    "state_dict_synchformer_visual": "ext_weights/synchformer_state_dict.pth",
    "state_dict_clip_dfn5b_h14": "DFN5B-CLIP-ViT-H-14-378/open_clip_pytorch_model.bin",
}
NEUTRAL_ONES = ("latent_std", "data_std", "norm.weight", "original0", "weight_g")


def random_tensor(name: str, shape: list[int], generator: torch.Generator) -> Tensor:
    """Numbers that keep magnitudes: filters of unit gain, norms of one, biases and offsets of zero."""
    if name.endswith(".filter"):
        return torch.full(shape, 1.0 / shape[-1])
    if name.endswith(NEUTRAL_ONES) or (".ln_" in name and name.endswith("weight")):
        return torch.ones(shape)
    if len(shape) < 2:
        return torch.zeros(shape)
    fan_in = int(torch.tensor(shape[1:]).prod())
    return torch.randn(shape, generator=generator) * fan_in**-0.5


def write_folder(lists: Path, folder: Path) -> None:
    """Write all files of FILES with random numbers."""
    generator = torch.Generator().manual_seed(0)
    for source, target in FILES.items():
        table = json.loads((lists / f"{source}.json").read_text(encoding="utf-8"))["keys"]
        state = {name: random_tensor(name, entry[0], generator) for name, entry in table.items()}
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"generator": state} if "bigvgan" in source else state, folder / target)


def timed(label: str, rows: list[dict[str, Any]], work: Callable[[], Made]) -> Made:
    """Do some work and note how long it took and the largest memory of the process so far."""
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    made = work()
    row = {
        "step": label,
        "seconds": round(time.perf_counter() - start_s, 1),
        "cpu_seconds": round(time.process_time() - start_cpu_s, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    rows.append(row)
    print(
        "{step:28} {seconds:8.1f} s wall {cpu_seconds:8.1f} s CPU   peak {peak_gb:5.2f} GB".format(**row),
        flush=True,
    )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keys", type=Path, required=True, help="folder with the lists of names and shapes")
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for weights and results (7 GB)")
    parser.add_argument("--duration-s", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["SPATIALFOLEY_HOME"] = str(arguments.work / "home")

    from spatialfoley import read_video, write_audio
    from spatialfoley.pipeline import FlowPipeline, load_pipeline
    from spatialfoley.pipeline.flow_loading import import_flow_folder

    rows: list[dict[str, Any]] = []
    folder = arguments.work / "MMAudio"
    if not folder.is_dir():
        timed("write random weights", rows, lambda: write_folder(arguments.keys, folder))
    shutil.rmtree(arguments.work / "home", ignore_errors=True)
    for line in timed("import", rows, lambda: import_flow_folder("mmaudio", folder, link=True)):
        print("   ", line)
    pipe = timed("load", rows, lambda: load_pipeline("mmaudio_small_16k", dtype=arguments.dtype))
    assert isinstance(pipe, FlowPipeline)
    video = read_video(arguments.video)
    video = read_video(arguments.video, 0.0, min(arguments.duration_s, video.duration_s))
    clip = timed("encode", rows, lambda: pipe.encode(video))
    latents = timed(
        f"sample, {arguments.steps} steps",
        rows,
        lambda: pipe.sample(clip, settings=pipe.settings(arguments.steps)),
    )
    sound = timed("decode", rows, lambda: pipe.decode(latents))
    write_audio(arguments.work / "sound.wav", sound)
    print(f"{sound.samples.shape} at {sound.rate_hz} Hz, {sound.layout}, peak {sound.peak:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"threads": torch.get_num_threads(), "steps": rows}, indent=1))


if __name__ == "__main__":
    main()
