"""What is asked of two stages, or of compressed time, for a video: from a file to its set of files."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spatialfoley.pipeline.commission import Commission
from spatialfoley.pipeline.compressed import CompressedPipeline
from spatialfoley.pipeline.mono_sources import MonoRequest, identity_of
from spatialfoley.pipeline.two_stage import TwoStagePipeline, joined
from spatialfoley.pipeline.unfinished import MadeSound


def fulfil_two_stage(asked: Commission, pipe: TwoStagePipeline | CompressedPipeline) -> dict[str, Path]:
    """Generate one video's sound and write its files.

    A clip of one window is made in memory; a longer one window by window on disk.

    Args:
        asked: the video, and what is asked of it.
        pipe: the model.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    request, video = asked.request, asked.video
    mono = MonoRequest(
        request.seed,
        request.text,
        request.negative_text,
        request.steps,
        request.guidance,
        request.guidance_visual,
        request.guidance_direction,
        request.top_k,
        asked.panorama,
    )
    details = {"sampling": {name: value for name, value in asdict(mono).items() if name in pipe.options}}
    with ExitStack() as stack:
        if isinstance(pipe, CompressedPipeline):
            made = MadeSound(*pipe.generate(video, mono, request.rate_hz, asked.generating))
        else:
            maker = pipe.windows(video.walked(), mono, asked.camera, asked.generating)
            if len(maker.plan.starts) == 1:
                made = MadeSound(*joined(maker, video.duration_s, request.rate_hz))
            else:
                made = stack.enter_context(asked.streamed(maker, pipe.describe()))
        return asked.deliver(made, pipe.describe(), details)


def mono_file_record(pipe: TwoStagePipeline | CompressedPipeline, clip: Path) -> dict[str, Any]:
    """What a request says of the file that a clip's mono sound comes from; empty where it is generated."""
    file = pipe.mono.file_of(clip) if isinstance(pipe, TwoStagePipeline) else None
    return {} if file is None else {"mono_file": identity_of(file)}
