"""``spatialfoley evaluate``: scores with intervals, on files, on the synthetic world, or of this "
"installation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from spatialfoley.evaluation.pairs.store_size import LIMIT_GB

if TYPE_CHECKING:
    from spatialfoley.world.scenes import CameraKind

CHECK = "check"
"""As the only argument: measure golden numbers instead of files. A folder of this name is ./check."""

DEFAULT_OUT = Path("spatialfoley-scores")

_FILES, _WORLD = "Files", "World"


def evaluate(
    generated: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[[NAME=]PATH[:LAYOUT]]...",
            help="Generated sound: folders or files, each a system; or the word check.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="PATH[:LAYOUT]", help="The truth: a folder or a file, same names.", rich_help_panel=_FILES
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="What generated files hold where their system does not say: auto, mono, stereo, binaural, 5.1, "
            "foa (AmbiX) or fuma.",
            rich_help_panel=_FILES,
        ),
    ] = "auto",
    protocol: Annotated[
        str,
        typer.Option(
            help="How to measure: ours, or as the papers visage and visaudio did.", rich_help_panel=_FILES
        ),
    ] = "ours",
    listeners: Annotated[
        str | None,
        typer.Option(
            help="Networks that listen, with commas: world (offline), vggish, cnn14, passt; none. Default: of "
            "the protocol, world for ours.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            help="CSV or JSON Lines: id with azimuth_deg,elevation_deg or azimuth_index,elevation_index of "
            "YT-Ambigen. Default: the front.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    restore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="System whose clips were made for compressed video, to stretch (visaudio). Repeatable.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(help="Score the clips that both sides have, list the rest.", rich_help_panel=_FILES),
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for what listeners heard. Default: beside the models.", rich_help_panel=_FILES
        ),
    ] = None,
    cache_gb: Annotated[
        float,
        typer.Option(
            help="Gigabytes of it that are kept after a run; the longest unused go.", rich_help_panel=_FILES
        ),
    ] = LIMIT_GB,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the clips' videos, for pictures and --desync.", rich_help_panel=_FILES),
    ] = None,
    desync: Annotated[
        bool, typer.Option(help="Score synchrony with the picture by Synchformer.", rich_help_panel=_FILES)
    ] = False,
    agreement: Annotated[
        str | None,
        typer.Option(help="Plug-in that scores picture against sound (IB-Score).", rich_help_panel=_FILES),
    ] = None,
    exhibits: Annotated[
        int,
        typer.Option(
            help="Worst and best clips of each system to hear in the report.", rich_help_panel=_FILES
        ),
    ] = 2,
    suite: Annotated[
        str | None,
        typer.Option(help="Instead of files: world, the synthetic world.", rich_help_panel=_WORLD),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model that the suite runs, several with commas between, or all: every model of the package. "
            "Default: tiny-visage, which knows this world.",
            rich_help_panel=_WORLD,
        ),
    ] = None,
    clips: Annotated[
        int, typer.Option(help="Held-out clips of the suite, from 1.", rich_help_panel=_WORLD)
    ] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, other clips. From 0.", rich_help_panel=_WORLD)] = 0,
    turn_clips: Annotated[
        int,
        typer.Option(
            help="On how many clips the camera is turned as well, which generates twice.",
            rich_help_panel=_WORLD,
        ),
    ] = 40,
    camera: Annotated[
        str | None,
        typer.Option(
            help="Camera of the suite's clips: static or turning; default: drawn.", rich_help_panel=_WORLD
        ),
    ] = None,
    duration_s: Annotated[
        float,
        typer.Option(help="Length of the suite's clips in seconds, from 1.", rich_help_panel=_WORLD),
    ] = 5.0,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Processes. Default: one per processor for files, 1 for the world, where each loads all models."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help=f"Folder for the results. Default: {DEFAULT_OUT}.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[
        str,
        typer.Option(help="auto (exact), fast, float32, float16, bfloat16 or int8.", rich_help_panel=_WORLD),
    ] = "auto",
) -> None:
    """Score generated sound: where it is, when it begins, what it is.

    GENERATED... --reference TRUTH compares files by name: fields, two ears, 5.1 or mono, one system or
    several, with tables in the papers' form, their published rows beside, and a page to look at and listen
    to. Missing or extra files are an error unless --partial is given. --suite world lets models make sound
    for held-out clips of the synthetic world, beside baselines. The word check alone measures golden numbers:
    does this installation measure right. Run again, all of them go on where they stopped.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"--jobs is {jobs}; give 1 process or more")
    if suite is not None:
        _evaluate_world(
            suite,
            bool(generated or reference),
            model,
            out or DEFAULT_OUT,
            device,
            dtype,
            jobs or 1,
            clips=clips,
            seed=seed,
            duration_s=duration_s,
            turn_clips=turn_clips,
            camera=cast("CameraKind | None", camera),
        )
    elif generated == [CHECK] and reference is None:
        from spatialfoley.cli.evaluate_check import evaluate_check

        if code := evaluate_check(out):
            raise typer.Exit(code)
    elif not generated or reference is None:
        raise ValueError("give GENERATED and --reference, --suite world with --model, or the word check")
    else:
        from spatialfoley.cli.evaluate_pairs import PairOptions, evaluate_pairs

        options = PairOptions(
            layout=layout,
            protocol=protocol,
            listeners=listeners,
            cameras=cameras,
            restore=tuple(restore or ()),
            partial=partial,
            cache=cache,
            cache_gb=cache_gb,
            videos=videos,
            desync=desync,
            agreement=agreement,
            jobs=jobs,
            exhibits=exhibits,
            device=device,
        )
        evaluate_pairs(generated, reference, out or DEFAULT_OUT, options)


def _evaluate_world(
    suite: str,
    has_files: bool,
    model: str | None,
    out: Path,
    device: str,
    dtype: str,
    jobs: int,
    **settings: object,
) -> None:
    if suite != "world":
        raise ValueError(f"--suite is {suite!r}; the only suite is world")
    if has_files:
        raise ValueError("--suite makes its own sound; leave out GENERATED and --reference")
    from spatialfoley.cli.evaluate_world import evaluate_world
    from spatialfoley.evaluation.suite.settings import WorldSuiteSettings

    evaluate_world(WorldSuiteSettings(**settings), model, out, device, dtype, jobs)  # type: ignore[arg-type]
