"""What is asked of MMAudio or ViSAudio for a video: from a file to its set of files."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialfoley.media.audio import write_audio
from spatialfoley.media.video import Video, read_video
from spatialfoley.media.video_writer import write_video
from spatialfoley.media.view import is_panorama
from spatialfoley.pipeline.batch import Job, sidecar_path
from spatialfoley.pipeline.clip import Report
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.products import (
    CONVENTION,
    EAR_SUFFIXES,
    MONO_SUFFIXES,
    all_or_none,
    finish_set,
    product_names,
    refuse_replacing,
)
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.signal import SpatialAudio

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request

_CONVENTIONS = {
    "binaural": CONVENTION["binaural"],
    "mono": "one channel, as the model made it",
    "dual-mono": "the one channel of the model in both ears: no spatial sound",
}
_GENERATING_SHARE = 0.95
"""Part of the time that the sound takes; the rest is writing files."""


def flow_outputs(pipe: FlowPipeline) -> tuple[str, ...]:
    """Kinds of file that a model of this family makes."""
    return tuple(EAR_SUFFIXES if pipe.layout == "binaural" else MONO_SUFFIXES)


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
    return _write(video, sound, out, job.name, request.outputs, sidecar)


def _write(
    video: Video,
    sound: SpatialAudio,
    out: Path,
    name: str,
    outputs: tuple[str, ...],
    sidecar: Mapping[str, Any],
) -> dict[str, Path]:
    names = product_names(name, outputs)
    refuse_replacing(video.path, out, [*names.values(), sidecar_path(out, name).name])
    with all_or_none(out, name) as workshop:
        for kind, file_name in list(names.items()):
            if kind == "video":
                names[kind] = write_video(workshop / file_name, video, sound).name
            else:
                write_audio(workshop / file_name, _both_ears(sound) if kind == "dual-mono" else sound)
    convention = {kind: text for kind, text in _CONVENTIONS.items() if kind in names}
    return finish_set(out, name, names, {**sidecar, "convention": convention})


def _both_ears(sound: SpatialAudio) -> SpatialAudio:
    return SpatialAudio(np.repeat(sound.samples, 2, axis=0), sound.rate_hz, "stereo")
