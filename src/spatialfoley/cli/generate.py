"""``spatialfoley generate``: silent videos to ambisonics, binaural sound and videos that can be watched."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatialfoley.cli.reporting import one_sentence, progress_bar, say, warn

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request


def generate(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files, or folders of them.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Model name, MODEL+SPATIALIZER, folder or hub id. Default: visage if it is here, else tiny-visage."
        ),
    ] = None,
    azimuth_deg: Annotated[
        float | None,
        typer.Option(help="Where the picture's centre points: left positive, -360 to 360. Default: 0."),
    ] = None,
    elevation_deg: Annotated[
        float | None,
        typer.Option(help="Where the picture's centre points: up positive, -90 to 90. Default: 0."),
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the picture's centre points over time, for a camera that turns: CSV or JSON of time_s, "
            "yaw_deg, pitch_deg, roll_deg. Instead of the two angles; for one video.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sound. From 0.")] = 0,
    guidance_visual: Annotated[
        float | None, typer.Option(help="How much the picture is stressed, from 0. Default: the model's way.")
    ] = None,
    guidance_direction: Annotated[
        float | None,
        typer.Option(help="How much the direction is stressed, from 0. Default: the model's way."),
    ] = None,
    start_s: Annotated[float, typer.Option(help="Start in the video, in seconds.")] = 0.0,
    duration_s: Annotated[
        float | None, typer.Option(help="Length in seconds. Default: to the end of the picture.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("spatialfoley-out"),
    outputs: Annotated[
        str | None,
        typer.Option(
            help="Which files to write, with commas between: foa, binaural, video, energy; binaural, video of "
            "visaudio; mono, dual-mono, video of mmaudio. Default: all that the model makes."
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="What shall be heard, in words. mmaudio and visaudio only.")] = "",
    negative_text: Annotated[
        str, typer.Option(help="What shall not be heard. mmaudio and visaudio only.")
    ] = "",
    steps: Annotated[
        int | None, typer.Option(help="Steps from noise to sound. mmaudio and visaudio only. Default: 25.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="How much picture and text are stressed, 1 for not. mmaudio and visaudio only. Default: 4.5."
        ),
    ] = None,
    panorama: Annotated[
        bool | None,
        typer.Option(
            "--panorama/--flat", help="Kind of picture. Default: panorama if twice as wide as high."
        ),
    ] = None,
    fov_deg: Annotated[
        float, typer.Option(help="What the middle square of a flat picture covers; places the painted sound.")
    ] = 90.0,
    rate_hz: Annotated[
        int | None, typer.Option(help="Sample rate of the sound. Default: the model's own.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from the k likeliest tokens, from 1. Default: the model's way.")
    ] = None,
    candidates: Annotated[
        int,
        typer.Option(
            help="Tries at each window of which the best is taken, 1 to 32. Models that draw tokens: visage, "
            "visage-sc and the tiny ones."
        ),
    ] = 1,
    rerank: Annotated[
        str | None,
        typer.Option(
            help="Scores that choose among candidates, with commas between: likelihood, spatial, onset, "
            "audio-visual. Default: likelihood,spatial."
        ),
    ] = None,
    chain: Annotated[
        str | None,
        typer.Option(
            help="Codecs that the whole sound is sent through, with commas between: dac, unicodec, tiny. Same "
            "models. Default: none."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (exact), fast, float32, float16, bfloat16 or int8.")
    ] = "auto",
) -> None:
    """Make spatial sound for silent videos.

    For street.mp4 it writes street.foa.wav (AmbiX), street.binaural.wav, street.mp4 (the same picture with
    binaural sound), street.energy.mp4 (the sound painted over the picture) and street.json (how it was made).
    ViSAudio makes binaural sound and MMAudio one channel, without the other files.
    Finished videos are skipped when the same command runs again.
    """
    from spatialfoley.pipeline.requests import Request

    if camera is not None and not (azimuth_deg is None and elevation_deg is None):
        raise ValueError(
            f"--camera is {camera}, but --azimuth-deg or --elevation-deg is given too; say where the camera points "
            "in one of the two ways"
        )
    request = Request(
        azimuth_deg=azimuth_deg or 0.0,
        elevation_deg=elevation_deg or 0.0,
        seed=seed,
        guidance_visual=guidance_visual,
        guidance_direction=guidance_direction,
        start_s=start_s,
        duration_s=duration_s,
        outputs=None if outputs is None else _parts(outputs),
        panorama=panorama,
        fov_deg=fov_deg,
        rate_hz=rate_hz,
        top_k=top_k,
        text=text,
        negative_text=negative_text,
        steps=steps,
        guidance=guidance,
        camera_file=camera,
        candidates=candidates,
        rerank=None if rerank is None else _parts(rerank),
        chain=() if chain is None else _parts(chain),
    )
    done, failed = run_request(request, videos, out, model, device, dtype)
    if failed:
        raise typer.Exit(1 if done else 2)


def _parts(names: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in names.split(",") if part.strip())


def run_request(
    request: "Request", videos: list[Path], out: Path, model: str | None, device: str, dtype: str
) -> tuple[int, int]:
    """Make all videos of a request; returns how many are done and how many failed.

    What is wrong with a single video is raised; with several it is reported, recorded, and the rest goes on.
    """
    from spatialfoley.pipeline.batch import Failure, collect_videos, name_jobs, write_failures
    from spatialfoley.pipeline.loading import load_pipeline
    from spatialfoley.pipeline.model_folder import choose_model
    from spatialfoley.pipeline.post_processing import refuse_missing
    from spatialfoley.pipeline.products import require_writable
    from spatialfoley.pipeline.requests import fulfil, is_fulfilled, look_at, prepare, settled

    sources = collect_videos(videos, out)
    if request.camera_file is not None and len(sources) > 1:
        raise ValueError(
            f"--camera is {request.camera_file}, the camera of one video, but {len(sources)} are given; run the "
            "command once for each video"
        )
    refuse_missing(request.scores if request.candidates > 1 else (), request.chain)
    if len(sources) == 1:
        look_at(sources[0], request, out)
    require_writable(out)
    jobs = name_jobs(sources, out)
    name, note = choose_model(model)
    if note:
        warn(note)
    pipe = load_pipeline(name, device=device, dtype=dtype)
    description = pipe.describe()
    warn(f"{description['model']}: licence {description['licence']}")
    request = settled(request, pipe)
    prepare(request, pipe, warn)
    failures, skipped = [], 0
    with progress_bar("") as report:
        for number, job in enumerate(jobs):
            label = f"{number + 1}/{len(jobs)} {job.source.name}"
            report(label, number / len(jobs))
            if is_fulfilled(request, job, out, pipe):
                say(f"{job.source}: done before, skipped")
                skipped += 1
                continue

            def within(part: float, label: str = label, number: int = number) -> None:
                report(label, (number + part) / len(jobs))

            try:
                with warnings.catch_warnings():
                    warnings.showwarning = lambda message, *_, **__: warn(f"warning: {one_sentence(message)}")
                    files = fulfil(request, job, out, pipe, within)
            except (ValueError, OSError, RuntimeError, MemoryError) as problem:
                if len(jobs) == 1:
                    raise
                failures.append(Failure(job.source, type(problem).__name__, one_sentence(problem)))
                warn(f"failed: {job.source}: {failures[-1].reason}")
                continue
            say(f"{job.source}: {', '.join(str(path) for path in files.values())}")
    record = write_failures(out, failures)
    if len(jobs) > 1:
        made = len(jobs) - skipped - len(failures)
        say(f"{made} made, {skipped} done before, {len(failures)} failed")
    if record:
        warn(f"{len(failures)} of {len(jobs)} videos failed; the reasons are in {record}")
    return len(jobs) - len(failures), len(failures)
