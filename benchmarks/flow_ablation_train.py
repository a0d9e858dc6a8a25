"""Train the runs of the flow ablation, one after the other; a finished run is passed over, a killed one resumed.

    python benchmarks/flow_ablation_train.py --seeds 0 1 2
    python benchmarks/flow_ablation.py ...            (scores them)

Every run is `recipes/flow_ablation.yaml` with another form, layout, spacetime module and seed; heads of the
parametric form are trained beside the flow of one channel that the row "mono" has too.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

from spatialfoley.training.loop import train
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.tasks import make_task

RECIPES = Path(__file__).parents[1] / "recipes"
FLOWS = {
    "mono": ("parametric", "mono", False),
    "sign-factored-ears": ("sign-factored", "binaural", True),
    "dual-only-ears": ("sign-factored", "binaural", False),
    "published-ears": ("published", "binaural", True),
    "sign-factored-field": ("sign-factored", "foa", True),
    "published-field": ("published", "foa", True),
}
"""Form, layout and whether there is a spacetime module, by label."""

HEADS = {"ears": "tiny_visaudio_ears.yaml", "field": "tiny_visaudio_field.yaml"}
LABELS = ["mono", *HEADS, *(label for label in FLOWS if label != "mono")]
"""In the order in which they are trained: heads read the settings of the flow of one channel."""


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/flow-ablation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=LABELS, default=LABELS)
    parser.add_argument("--head-steps", type=int, default=250)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for label in arguments.only:
            folder = arguments.out / f"{label}-{seed}"
            if label in HEADS:
                changes = [
                    f"initialize_from={arguments.out / f'mono-{seed}'}",
                    f"steps={arguments.head_steps}",
                    "batch_size=8",
                ]
                run(RECIPES / HEADS[label], folder, seed, changes, "head.json")
            else:
                form, layout, spacetime = FLOWS[label]
                changes = [f"model.form.form={form}", f"model.form.layout={layout}"]
                changes.append(f"model.network.spacetime={str(spacetime).lower()}")
                run(RECIPES / "flow_ablation.yaml", folder, seed, changes, "twin.json")


def run(recipe: Path, folder: Path, seed: int, changes: list[str], result: str) -> None:
    """One run, unless its result is there."""
    if (folder / result).is_file():
        return
    started = time.perf_counter()
    settings = read_recipe(recipe, [f"output={folder}", f"seed={seed}", *changes])
    train(make_task(settings), settings)
    print(f"{folder.name}: {settings.steps} steps in {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
