"""What is asked of a flow (MMAudio, ViSAudio, the tiny twins) for a video: from a file to its set of files."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from spatialfoley.pipeline.commission import Commission, weights_of
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.products import layout_outputs
from spatialfoley.pipeline.twin_chain import TwinPipeline
from spatialfoley.pipeline.unfinished import MadeSound

AnyFlow = FlowPipeline | TwinPipeline


def flow_outputs(pipe: AnyFlow) -> tuple[str, ...]:
    """Kinds of file that a model of this family makes."""
    return layout_outputs(pipe.layout)


def fulfil_flow(asked: Commission, pipe: AnyFlow) -> dict[str, Path]:
    """Generate one video's sound and write its files.

    A clip of one window is made in memory; a longer one window by window on disk.

    Args:
        asked: the video, and what is asked of it.
        pipe: the model.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    request, video, camera = asked.request, asked.video, asked.camera
    flow = FlowRequest(
        request.text,
        request.negative_text,
        request.seed,
        request.steps,
        request.guidance,
        request.rate_hz,
        asked.panorama,
    )
    with ExitStack() as stack:
        if len(pipe.steps.plan(video.duration_s).starts) == 1:
            made = MadeSound(*pipe.generate(video, flow, asked.generating, camera))
        else:
            maker = pipe.windows(video.walked(), flow, asked.generating, camera)
            made = stack.enter_context(asked.streamed(maker, pipe.describe()))
        guidance = pipe.guidance(flow.guidance)
        details = {
            "sampling": {
                **asdict(pipe.settings(flow.steps)),
                "guidance": guidance.name,
                "branches": weights_of(guidance),
            },
            "text": {"wanted": flow.text, "unwanted": flow.negative_text},
        }
        return asked.deliver(made, pipe.describe(), details)
