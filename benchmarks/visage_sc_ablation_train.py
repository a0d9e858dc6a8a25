"""Train the runs of ViSAGe-SC's ablation, one after the other; a finished run is passed over, a killed one resumed.

    python benchmarks/visage_sc_ablation_train.py --seeds 0 1 2
    python benchmarks/visage_sc_ablation_train.py --seeds 0 --only tuned rotated     (rows by label)

Every run is `recipes/visage_sc_ablation.yaml` with another codec, token layout, number of yaws and seed. The rows
follow the slides and build on each other; their row of post-processing trains nothing. Codecs come first:
plain_codec_rvq, plain_codec_single, its tuning, tiny_codec and tiny_codec_sc.

    runs/sc-ablation/clips-CODEC         the clips, encoded once for all runs with this codec
    runs/sc-ablation/LABEL-SEED          a run, and run.json: its seconds of training
    runs/sc-ablation/LABEL-SEED/model    the model folder to score: generate --model, evaluate --model
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley.media.atomic import atomic_path
from spatialfoley.training.assemble import assemble_pipeline
from spatialfoley.training.checkpoints import load_checkpoint
from spatialfoley.training.loop import train
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.tasks import make_task

RECIPE = Path(__file__).parents[1] / "recipes" / "visage_sc_ablation.yaml"
RESULT = "run.json"


@dataclass(frozen=True)
class Row:
    """What a row changes.

    Attributes:
        codec: Folder of its codec beside the other runs; rows with the same codec share their clips.
        model: Settings of the network that differ from the recipe's.
        objective: Those of its loss.
        turns: Further yaws that the clips of its codec come with.
        turned: Whether these are trained on.
        sampling: What its tokens ask for; all else is the same in every row.
    """

    codec: str
    model: Mapping[str, Any] = field(default_factory=dict)
    objective: Mapping[str, Any] = field(default_factory=dict)
    turns: int = 0
    turned: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)


RESIDUAL = {
    "pattern": "residual",
    "num_rvq": 4,
    "dac_vocab_size": 512,
    "dac_pad_token_id": 512,
    "max_target_length": 501,
}
SIGNED = {
    "num_rvq": 2,
    "dac_vocab_size": 2048,
    "dac_pad_token_id": 2048,
    "token_ranges": [[0, 101], [0, 2048]],
    "unfed_codebooks": [2, 4, 6],
}
SIGNED_RESIDUAL = {
    "pattern": "residual",
    "num_rvq": 5,
    "dac_vocab_size": 512,
    "dac_pad_token_id": 512,
    "token_ranges": [[0, 101], *[[0, 512]] * 4],
    "unfed_codebooks": [5, 10, 15],
    "max_target_length": 501,
}
SIGNED_PAIRS = {
    **SIGNED,
    "frames_per_row": 2,
    "num_rvq": 4,
    "unfed_codebooks": [4, 6, 8, 10, 12, 14],
    "dac_downsample_rate": 640,
    "dac_frame_rate": 25,
    "max_target_length": 126,
}
"""Two codec frames in a row: 126 rows instead of 251."""
TURNS = 3

_OF_SIGNED = {
    "objective": {"masked_loss": True, "spatial_fine_share": 0.5},
    "sampling": {"expected_ratios": True},
}
ROWS = {
    "rvq": Row("plain-codec-rvq", RESIDUAL),
    "single": Row("plain-codec-single"),
    "tuned": Row("plain-codec-tuned", turns=TURNS),
    "rotated": Row("plain-codec-tuned", turns=TURNS, turned=True),
    "signed": Row("tiny-codec-sc", SIGNED, turns=TURNS, turned=True, **_OF_SIGNED),
    "signed-rvq": Row("tiny-codec", SIGNED_RESIDUAL, **_OF_SIGNED),
    "signed-single": Row("tiny-codec-sc", SIGNED, turns=TURNS, **_OF_SIGNED),
    "paired": Row("tiny-codec-sc", SIGNED_PAIRS, turns=TURNS, turned=True, **_OF_SIGNED),
}
"""The slides' rows in their order up to `signed`. `signed-rvq` and `signed-single` ask the slides' questions once
more of tokens that a network this small can learn directions from; `paired` is `signed` with two codec frames in
a row."""

SAMPLING = {
    "guidance": {"rule": "visual", "scale": 1.0},
    "top_k": 64,
    "temperature": 0.9,
    "spatial_temperature": 0.3,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where codecs and features lie")
    parser.add_argument("--out", type=Path, default=None, help="RUNS/sc-ablation if left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the recipe")
    arguments = parser.parse_args(argv)
    out = arguments.out or arguments.runs / "sc-ablation"
    for seed in arguments.seeds:
        for label in arguments.only:
            run(label, seed, arguments.runs, out, arguments.set)


def run(label: str, seed: int, runs: Path, out: Path, changes: list[str]) -> None:
    """One run, unless its result is there."""
    folder, row = out / f"{label}-{seed}", ROWS[label]
    if (folder / RESULT).is_file():
        return
    settings = read_recipe(RECIPE, [*overrides(row, runs, out), f"output={folder}", f"seed={seed}", *changes])
    task = make_task(settings)
    checkpoint = load_checkpoint(folder)
    first = 0 if checkpoint is None else int(checkpoint["step"])
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    train(task, settings)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    sampling = {**SAMPLING, **row.sampling}
    features = runs / "tiny-features"
    assemble_pipeline(runs / row.codec, features, folder, folder / "model", sampling, folder.name, "MIT")
    figures = {
        "label": label,
        "seed": seed,
        "steps": settings.steps,
        "resumed_at": first,
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "parameters": sum(parameter.numel() for parameter in task.model.parameters()),
    }
    with atomic_path(folder / RESULT) as path:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(
        f"{folder.name}: steps {first} to {settings.steps} in {wall_s:.0f} s ({cpu_s:.0f} s of a core)",
        flush=True,
    )


def overrides(row: Row, runs: Path, out: Path) -> list[str]:
    """The changes of the recipe that make a row."""
    values = {
        "data.folder": out / f"clips-{row.codec}",
        "data.variant_probability": 0.5 if row.turned else 0.0,
        "data.world_turns.cache.folder": runs / "world-cache",
        "data.world_turns.codec": runs / row.codec,
        "data.world_turns.tokens": runs / "world-tokens",
        "data.world_turns.turns": row.turns,
        **{f"model.{name}": value for name, value in row.model.items()},
        **{f"objective.{name}": value for name, value in row.objective.items()},
    }
    return [f"{name}={json.dumps(value, default=str)}" for name, value in values.items()]


if __name__ == "__main__":
    main()
