"""What is asked of two stages, or of compressed time, for a video: from a file to its set of files."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.media.video import read_video
from spatialfoley.media.view import is_panorama
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.compressed import CompressedPipeline
from spatialfoley.pipeline.field_requests import camera_record
from spatialfoley.pipeline.mono_sources import MonoRequest, identity_of
from spatialfoley.pipeline.products import ProductSet, write_products
from spatialfoley.pipeline.two_stage import TwoStagePipeline, joined
from spatialfoley.pipeline.unfinished import MadeSound, fingerprint, streamed_sound
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.direction import Direction

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request

_GENERATING_SHARE = 0.95
"""Part of the time that the sound takes; the rest is writing files."""


def fulfil_two_stage(
    request: "Request",
    job: Job,
    out: Path,
    pipe: TwoStagePipeline | CompressedPipeline,
    record: Mapping[str, Any],
    report: Report = lambda fraction: None,
    camera: Camera | None = None,
) -> dict[str, Path]:
    """Generate one video's sound and write its files.

    A clip of one window is made in memory; a longer one window by window on disk.

    Args:
        request: what is asked, with the outputs settled.
        job: the video, and the name of its files.
        out: folder of the files.
        pipe: the model.
        record: what the sidecar says of the request.
        report: told the fraction done.
        camera: where the picture's centre points, for a field; None for the request's.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    assert request.outputs is not None
    video = read_video(job.source, request.start_s, request.duration_s)
    panorama = is_panorama(video) if request.panorama is None else request.panorama
    if pipe.layout != "foa":
        camera = Direction(0.0)  # ears are at the camera, wherever it looks
    elif camera is None:
        camera = request.camera_of(video)
    asked = MonoRequest(
        request.seed,
        request.text,
        request.negative_text,
        request.steps,
        request.guidance,
        request.guidance_visual,
        request.guidance_direction,
        request.top_k,
        panorama,
    )

    def generating(part: float) -> None:
        report(part * _GENERATING_SHARE)

    with ExitStack() as stack:
        if isinstance(pipe, CompressedPipeline):
            made = MadeSound(*pipe.generate(video, asked, request.rate_hz, generating))
        else:
            maker = pipe.windows(video.walked(), asked, camera, generating)
            if len(maker.plan.starts) == 1:
                made = MadeSound(*joined(maker, video.duration_s, request.rate_hz))
            else:
                key = fingerprint(record, pipe.describe(), camera)
                streamed = streamed_sound(maker, out, job.name, video.duration_s, request.rate_hz, key)
                made = stack.enter_context(streamed)
        sidecar = {
            "request": record,
            "model": pipe.describe(),
            "sampling": {name: value for name, value in asdict(asked).items() if name in pipe.options},
            "camera": camera_record(camera),
            "picture": {"panorama": panorama, "duration_s": video.duration_s, "frames": video.frame_count},
            "sound": made.record(),
            "versions": installed_versions(),
        }
        return write_products(
            video,
            made.sound,
            camera,
            ProductSet(out, job.name, request.outputs, panorama, request.fov_deg),
            sidecar,
            lambda part: report(_GENERATING_SHARE + part * (1 - _GENERATING_SHARE)),
        )


def mono_file_record(pipe: TwoStagePipeline | CompressedPipeline, clip: Path) -> dict[str, Any]:
    """What a request says of the file that a clip's mono sound comes from; empty where it is generated."""
    file = pipe.mono.file_of(clip) if isinstance(pipe, TwoStagePipeline) else None
    return {} if file is None else {"mono_file": identity_of(file)}
