"""``spatialfoley demo``: a clip of the synthetic world, its generated sound, and where that is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatialfoley.cli.reporting import console, progress_bar, warn

if TYPE_CHECKING:
    from spatialfoley.world.scenes import Scene

WINDOW_S = 0.5
DEMO_SUITE_SEED = 100
"""Scenes that no training run and no published evaluation has seen."""
AUDIBLE_BELOW_LOUDEST_DB = 30.0


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another scene. From 0.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(help="Model name or folder. Default: tiny-visage, which knows this world."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Render a clip of the synthetic world, generate its sound, and print where it was meant to be and is.

    The silent clip and its true sound field are in the folder "world" beside the results.
    """
    from spatialfoley.pipeline.batch import Job
    from spatialfoley.pipeline.loading import load_field_pipeline
    from spatialfoley.pipeline.model_folder import EMBEDDED_MODEL
    from spatialfoley.pipeline.products import require_writable
    from spatialfoley.pipeline.requests import Request, fulfil
    from spatialfoley.world.files import write_clip
    from spatialfoley.world.scenes import make_scene
    from spatialfoley.world.seeds import held_out_seed

    request = Request(seed=seed)
    require_writable(out)
    pipe = load_field_pipeline(model or EMBEDDED_MODEL, device=device)
    warn(f"{pipe.describe()['model']}: licence {pipe.describe()['licence']}")
    scene = make_scene(held_out_seed(seed, DEMO_SUITE_SEED), "in_view", "static")
    source = write_clip(scene, out / "world", "scene").video
    with progress_bar("generating") as report:
        job = Job(source, "scene")
        files = fulfil(request, job, out, pipe, lambda part: report("generating", part), scene.camera)
    print_directions(scene, files["foa"])
    screen = console()
    for kind, path in files.items():
        screen.print(f"{kind:9} {path}")


def print_directions(scene: "Scene", foa_path: Path) -> None:
    """Print, for each half second with sound, where it was meant to be, where it is, and the angle between."""
    import numpy as np
    from rich.table import Table

    from spatialfoley.media.audio import read_audio
    from spatialfoley.spatial.direction import angle_between_deg, angles_deg
    from spatialfoley.spatial.energy_map import energy_map, peak_vectors, window_covariances
    from spatialfoley.world.truth import truth_at

    foa = read_audio(foa_path)
    covariances = window_covariances(foa.samples, round(WINDOW_S * foa.rate_hz))
    times_s = (np.arange(len(covariances)) + 0.5) * WINDOW_S
    level_db = 10 * np.log10(np.maximum(covariances[:, 0, 0], 1e-12))
    audible = level_db > level_db.max() - AUDIBLE_BELOW_LOUDEST_DB
    truth = truth_at(scene, times_s)
    meant, heard = truth.vectors[0], peak_vectors(energy_map(covariances))
    error_deg = angle_between_deg(meant, heard)
    table = Table(title=f"a {truth.class_names[0]}, seed {scene.seed}: where its sound is, in the world")
    for heading in ("time", "meant: azimuth", "elevation", "heard: azimuth", "elevation", "angle between"):
        table.add_column(heading, justify="right")
    for index in np.flatnonzero(audible & np.isfinite(error_deg)):
        angles = [*angles_deg(meant[index]), *angles_deg(heard[index]), error_deg[index]]
        table.add_row(f"{times_s[index]:.2f} s", *(f"{float(angle):.0f}°" for angle in angles))
    screen = console()
    screen.print(table)
    weights = np.where(np.isfinite(error_deg), covariances[:, 0, 0], 0.0)
    mean_deg = float(np.nansum(error_deg * weights) / max(weights.sum(), 1e-20)) if weights.any() else 90.0
    screen.print(f"angle error, weighted by energy: {mean_deg:.1f}° (chance: 90°)")
