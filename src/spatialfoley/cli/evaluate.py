"""``spatialfoley evaluate``: scores with intervals, on the synthetic world or against recorded truth."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spatialfoley.cli.reporting import console, progress_bar, warn

if TYPE_CHECKING:
    from spatialfoley.evaluation.pairs.folder_scores import PairLayout
    from spatialfoley.evaluation.suite.figures import SuiteResult
    from spatialfoley.evaluation.suite.run import Generate, WorldSuiteSettings
    from spatialfoley.spatial.signal import SpatialAudio
    from spatialfoley.world.scenes import CameraKind

FIELD_HEADLINES = (
    ("angle, median", "angle_median_deg", ".1f", "°"),
    ("left for right", "left_right_confusion", ".1%", ""),
    ("CC, All", "cc/all/correct", ".3f", ""),
    ("AUC, All", "auc/all/correct", ".3f", ""),
)
SOUND_HEADLINES = (
    ("onset error, median", "onset_error_median_s", ".3f", " s"),
    ("class right", "class_accuracy", ".0%", ""),
)
EAR_HEADLINES = (
    ("louder ear right", "louder_ear_right", ".1%", ""),
    ("earlier ear right", "delay_side_right", ".1%", ""),
    ("level difference error, median", "ear_level_error_median_db", ".1f", " dB"),
    ("time difference error, median", "ear_delay_error_median_us", ".0f", " µs"),
    ("level difference follows", "ear_level_following", ".2f", ""),
)


def evaluate(
    generated: Annotated[
        Path | None, typer.Argument(help="Generated sound: a folder or a file. Needs --reference.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="The truth: a folder or a file, same names.")] = None,
    layout: Annotated[
        str, typer.Option(help="What GENERATED and --reference hold: foa (4 channels) or binaural.")
    ] = "foa",
    suite: Annotated[str | None, typer.Option(help="Instead of files: world, the synthetic world.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model that the suite runs. Default: tiny-visage, which knows this world."),
    ] = None,
    clips: Annotated[int, typer.Option(help="Held-out clips of the suite, from 1.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, other clips. From 0.")] = 0,
    turn_clips: Annotated[
        int, typer.Option(help="On how many clips the camera is turned as well, which generates twice.")
    ] = 40,
    camera: Annotated[
        str | None, typer.Option(help="Camera of the suite's clips: static or turning; default: drawn.")
    ] = None,
    duration_s: Annotated[float, typer.Option(help="Length of the suite's clips in seconds, from 1.")] = 5.0,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("spatialfoley-scores"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (exact), fast, float32, float16, bfloat16 or int8.")
    ] = "auto",
) -> None:
    """Score generated sound: where it is, when it begins, what it is.

    With --suite world a model makes sound for held-out clips of the synthetic world and stands beside baselines:
    a sound field by itself and as two ears hear it, binaural and mono sound by the ears alone. Run again, it goes
    on where it stopped. With GENERATED and --reference, files are compared by name.
    """
    if suite is not None:
        if suite != "world":
            raise ValueError(f"--suite is {suite!r}; the only suite is world")
        if generated is not None or reference is not None:
            raise ValueError("--suite makes its own sound; leave out GENERATED and --reference")
        from spatialfoley.evaluation.suite.run import WorldSuiteSettings

        settings = WorldSuiteSettings(
            clips=clips,
            seed=seed,
            duration_s=duration_s,
            turn_clips=turn_clips,
            camera=cast("CameraKind | None", camera),
        )
        evaluate_world(settings, model, out, device, dtype)
    elif generated is None or reference is None:
        raise ValueError("give GENERATED and --reference, or --suite world with --model")
    else:
        from spatialfoley.evaluation.pairs.folder_scores import score_folders

        with progress_bar("scoring") as report:
            result = score_folders(generated, reference, out, report, cast("PairLayout", layout))
        console().print(f"{result.files} files scored, {len(result.failures)} failed: {out / 'report.md'}")
        if result.failures:
            raise typer.Exit(1 if result.files else 2)


def evaluate_world(
    settings: "WorldSuiteSettings", model: str | None, out: Path, device: str, dtype: str
) -> None:
    """Run the world suite with a model and print the headline figures."""
    from spatialfoley.evaluation.suite.run import run_world_suite
    from spatialfoley.pipeline.loading import load_pipeline
    from spatialfoley.pipeline.model_folder import EMBEDDED_MODEL
    from spatialfoley.pipeline.products import require_writable

    require_writable(out)
    pipe = load_pipeline(model or EMBEDDED_MODEL, device=device, dtype=dtype)
    description = pipe.describe()
    warn(f"{description['model']}: licence {description['licence']}")
    with progress_bar("scoring") as report:
        result = run_world_suite(
            suite_generator(pipe),
            settings,
            out,
            codec_round_trip=codec_round_trip(pipe),
            label=run_label(description),
            progress=report,
        )
    print_headlines(result, out)
    if result.failures:
        raise typer.Exit(1 if len(result.failures) < result.clips else 2)


def run_label(description: dict[str, Any]) -> str:
    """Name of the model with the start of its weights' hash, so that no folder mixes two trainings."""
    hashes = description.get("weights_sha256")
    marks = hashes.values() if isinstance(hashes, dict) else [hashes] if hashes else []
    return "-".join([str(description["model"]), *(str(mark)[:8] for mark in marks), description["kernel"]])


def suite_generator(pipe: Any) -> "Generate":
    """How a pipeline makes the sound of a clip: from picture, camera and seed; ears are at the camera anyway."""
    return lambda clip: pipe(clip.video, camera=clip.camera, seed=clip.seed)


def codec_round_trip(pipe: Any) -> "Callable[[SpatialAudio], SpatialAudio] | None":
    """A true field through what the pipeline's generator speaks and back: what it could say at best.

    None for a pipeline whose codec takes no field.
    """
    import torch

    from spatialfoley.media.audio import fit_length, resample
    from spatialfoley.pipeline.chain import Pipeline
    from spatialfoley.spatial.signal import SpatialAudio

    if not isinstance(pipe, Pipeline):
        return getattr(pipe, "round_trip", None)
    codec: Any = pipe.codec

    @torch.inference_mode()
    def round_trip(audio: SpatialAudio) -> SpatialAudio:
        samples = resample(audio.samples, audio.rate_hz, codec.rate_hz)
        codes = codec.encode(torch.from_numpy(samples)[None].to(pipe.device))
        decoded = codec.decode(codes)[0].float().cpu().numpy()
        return SpatialAudio(fit_length(decoded, samples.shape[1]), codec.rate_hz, "foa")

    return round_trip


def print_headlines(result: "SuiteResult", out: Path) -> None:
    """The figures that decide, for each kind of scene, beside the baselines."""
    from rich.table import Table

    screen = console()
    for group, systems in result.tables.items():
        table = Table(title=f"{group}, {result.groups[group]} clips")
        for heading in ("", *systems):
            table.add_column(heading, justify="right")
        field = FIELD_HEADLINES if systems["generated"]["angle_median_deg"] is not None else ()
        for title, key, form, unit in (*field, *SOUND_HEADLINES, *EAR_HEADLINES):
            figures = {name: row[key] for name, row in systems.items()}
            # Intervals of the baselines are in the report: here they would only make the table too wide.
            cells = [
                "–"
                if figure is None
                else f"{figure.value:{form}}{unit} [{figure.low:{form}}, {figure.high:{form}}]"
                if name == "generated"
                else f"{figure.value:{form}}{unit}"
                for name, figure in figures.items()
            ]
            table.add_row(title, *cells)
        screen.print(table)
    turn, seconds = result.turn["median_deg"], result.seconds
    if turn is not None:
        screen.print(
            f"camera turned by 90°: the field turns by {turn.value:.1f}° (median of {turn.count} clips)"
        )
    if seconds is not None:
        screen.print(f"seconds to generate a clip, median: {seconds.value:.2f}")
    screen.print(
        f"{result.label}: {result.clips} clips, {len(result.failures)} failed; brackets are 95 % intervals; "
        f"all tables: {out / 'report.md'}"
    )
