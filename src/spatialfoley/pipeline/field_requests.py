"""What is asked of ViSAGe for a video: from a file to its set of files."""

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from spatialfoley.media.sound_file import SoundFile
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import GenerationSettings
from spatialfoley.pipeline.commission import Commission, weights_of
from spatialfoley.pipeline.post_processing import generating_report, sent_through_on_disk, sidecar_of
from spatialfoley.pipeline.unfinished import MadeSound


def fulfil_field(asked: Commission, pipe: Pipeline) -> dict[str, Path]:
    """Generate one video's sound field and write its files.

    A clip of one window is made in memory; a longer one window by window on disk.

    Args:
        asked: the video, and what is asked of it.
        pipe: the model.

    Returns:
        Path of each kind of output, and of the "sidecar".
    """
    request, video, camera = asked.request, asked.video, asked.camera
    sampling = pipe.defaults.sampling
    if request.top_k is not None:
        sampling = replace(sampling, top_k=request.top_k)
    guidance = pipe.guidance(request.guidance_visual, request.guidance_direction)
    settings = GenerationSettings(
        request.seed,
        guidance,
        sampling,
        request.rate_hz,
        asked.panorama,
        request.candidates,
        request.scores,
        request.chain,
    )
    details = {"sampling": {**asdict(sampling), "guidance": guidance.name, "branches": weights_of(guidance)}}
    with ExitStack() as stack:
        if len(pipe.steps.plan(video.duration_s).starts) == 1:
            clip = pipe.generate(video, camera, settings, asked.generating)
            made, choices = MadeSound(clip.foa, clip.gain_db, draws=clip.draws), clip.choices
        else:
            drawing_report, chain_report = generating_report(asked.generating, settings.chain)
            links = pipe.post_processing.links(settings.chain)
            maker = pipe.windows(video.walked(), camera, settings, drawing_report)

            def chain(sound: SoundFile, folder: Path) -> SoundFile:
                return sent_through_on_disk(sound, links, folder, chain_report)

            made = stack.enter_context(asked.streamed(maker, pipe.describe(), chain))
            choices = maker.choices(made.carry)
        return asked.deliver(made, pipe.describe(), details | sidecar_of(asked.record, choices))
