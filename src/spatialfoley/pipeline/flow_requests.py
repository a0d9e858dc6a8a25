"""What is asked of MMAudio or ViSAudio for a video: from a file to its set of files."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.media.video import read_video
from spatialfoley.media.view import is_panorama
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.clip import Report
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.products import ProductSet, layout_outputs, write_products
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.direction import Direction

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request

_GENERATING_SHARE = 0.95
"""Part of the time that the sound takes; the rest is writing files."""


def flow_outputs(pipe: FlowPipeline) -> tuple[str, ...]:
    """Kinds of file that a model of this family makes."""
    return layout_outputs(pipe.layout)


def fulfil_flow(
    request: "Request",
    job: Job,
    out: Path,
    pipe: FlowPipeline,
    record: Mapping[str, Any],
    report: Report = lambda fraction: None,
) -> dict[str, Path]:
    """Generate one video's sound and write its files.

    Args:
        request: what is asked, with the outputs settled.
        job: the video, and the name of its files.
        out: folder of the files.
        pipe: the model.
        record: what the sidecar says of the request.
        report: told the fraction done.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    video = read_video(job.source, request.start_s, request.duration_s)
    panorama = is_panorama(video) if request.panorama is None else request.panorama
    asked = FlowRequest(
        request.text,
        request.negative_text,
        request.seed,
        request.steps,
        request.guidance,
        request.rate_hz,
        panorama,
    )
    sound, gain_db = pipe.generate(video, asked, lambda part: report(part * _GENERATING_SHARE))
    guidance = pipe.guidance(asked.guidance)
    sidecar = {
        "request": record,
        "model": pipe.describe(),
        "sampling": {
            **asdict(pipe.settings(asked.steps)),
            "guidance": guidance.name,
            "branches": {branch.name: branch.weight for branch in guidance.branches},
        },
        "text": {"wanted": asked.text, "unwanted": asked.negative_text},
        "picture": {"panorama": panorama, "duration_s": video.duration_s, "frames": video.frame_count},
        "sound": {
            "layout": sound.layout,
            "rate_hz": sound.rate_hz,
            "samples": sound.samples.shape[1],
            "gain_db": round(gain_db, 3),
        },
        "versions": installed_versions(),
    }
    assert request.outputs is not None
    return write_products(
        video,
        sound,
        Direction(0.0),
        ProductSet(out, job.name, request.outputs, panorama),
        sidecar,
        lambda part: report(_GENERATING_SHARE + part * (1 - _GENERATING_SHARE)),
    )
