"""What is asked of ViSAGe for a video: from a file to its set of files."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.generators.guidance import Guidance
from spatialfoley.media.video import read_video
from spatialfoley.media.view import is_panorama
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import Camera, GenerationSettings, Report
from spatialfoley.pipeline.products import ProductSet, write_products
from spatialfoley.pipeline.unfinished import MadeSound, fingerprint, streamed_sound
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.foa import as_trajectory

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request

_SAMPLING_SHARE = 0.9
"""Part of the time that sampling takes; the rest is writing files."""


def fulfil_field(
    request: "Request",
    job: Job,
    out: Path,
    pipe: Pipeline,
    record: Mapping[str, Any],
    report: Report = lambda fraction: None,
    camera: Camera | None = None,
) -> dict[str, Path]:
    """Generate one video's sound field and write its files.

    A clip of one window is made in memory; a longer one window by window on disk.

    Args:
        request: what is asked, with the outputs settled.
        job: the video, and the name of its files.
        out: folder of the files.
        pipe: the model.
        record: what the sidecar says of the request.
        report: told the fraction done.
        camera: where the picture's centre points; None for the request's.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    assert request.outputs is not None
    video = read_video(job.source, request.start_s, request.duration_s)
    panorama = is_panorama(video) if request.panorama is None else request.panorama
    sampling = pipe.defaults.sampling
    if request.top_k is not None:
        sampling = replace(sampling, top_k=request.top_k)
    guidance = pipe.guidance(request.guidance_visual, request.guidance_direction)
    camera = request.camera_of(video) if camera is None else camera
    settings = GenerationSettings(request.seed, guidance, sampling, request.rate_hz, panorama)

    def generating(part: float) -> None:
        report(part * _SAMPLING_SHARE)

    with ExitStack() as stack:
        if len(pipe.steps.plan(video.duration_s).starts) == 1:
            clip = pipe.generate(video, camera, settings, generating)
            made = MadeSound(clip.foa, clip.gain_db, draws=clip.draws)
        else:
            maker = pipe.windows(video.walked(), camera, settings, generating)
            key = fingerprint(record, pipe.describe(), camera)
            streamed = streamed_sound(maker, out, job.name, video.duration_s, request.rate_hz, key)
            made = stack.enter_context(streamed)
        sidecar = {
            "request": record,
            "model": pipe.describe(),
            "sampling": {**asdict(sampling), "guidance": guidance.name, "branches": weights_of(guidance)},
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
            lambda part: report(_SAMPLING_SHARE + part * (1 - _SAMPLING_SHARE)),
        )


def camera_record(camera: Camera) -> dict[str, Any]:
    """What the sidecar says of the camera: its pose at the start, and whether it moves."""
    trajectory = as_trajectory(camera)
    start = trajectory.pose_at(0.0)
    return {**asdict(start), "moves": not trajectory.is_static}


def weights_of(guidance: Guidance) -> dict[str, float]:
    """The weight of each branch by its name."""
    return {branch.name: branch.weight for branch in guidance.branches}
