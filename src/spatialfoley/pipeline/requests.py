"""What is asked for a video, and doing it: from a file to its set of files."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spatialfoley.codecs.chain import chain_names
from spatialfoley.generators.visage.candidates import check_candidates
from spatialfoley.media.video import Video, read_video
from spatialfoley.media.view import VIEW_FOV_DEG
from spatialfoley.pipeline.batch import Job, input_identity, is_done, sidecar_path
from spatialfoley.pipeline.camera_file import CameraFile, read_camera_file
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.commission import Commission
from spatialfoley.pipeline.compressed import CompressedPipeline
from spatialfoley.pipeline.field_requests import fulfil_field
from spatialfoley.pipeline.flow_requests import fulfil_flow
from spatialfoley.pipeline.loading import AnyPipeline
from spatialfoley.pipeline.products import (
    SUFFIXES,
    check_outputs,
    layout_outputs,
    product_names,
    refuse_replacing,
)
from spatialfoley.pipeline.reranking import DEFAULT_SCORES, Show, score_names
from spatialfoley.pipeline.two_stage import TwoStagePipeline
from spatialfoley.pipeline.two_stage_requests import fulfil_two_stage, mono_file_record
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import Layout

_RATES_HZ = (8_000, 192_000)
_OF_THE_CAMERA = ("azimuth_deg", "elevation_deg", "camera_file")
_OF_FIELD_MODELS = (*_OF_THE_CAMERA, "guidance_visual", "guidance_direction", "top_k")
_OF_FLOW_MODELS = ("text", "negative_text", "steps", "guidance")
_OF_TOKENS = ("candidates", "rerank", "chain")
_UNASKED = {"candidates": 1, "rerank": None, "chain": ()}


@dataclass(frozen=True)
class Request:
    """Everything that a result depends on, but for the video and the model.

    Attributes:
        azimuth_deg: where the picture's centre points, left positive, -360 to 360.
        elevation_deg: where it points, up positive, -90 to 90.
        seed: from 0.
        guidance_visual: from 0, or None for the model's way.
        guidance_direction: from 0, or None for the model's way.
        start_s: start in the video.
        duration_s: length; None to the end.
        outputs: kinds of file; None for all that the model makes.
        panorama: whether the picture is equirectangular; None asks its shape.
        fov_deg: what the middle square of a flat picture covers; places the paint of the energy video.
        rate_hz: sample rate of the sound; None for the model's.
        top_k: tokens are drawn from the k likeliest; None for the model's way.
        text: what shall be heard, for models that read; may be empty.
        negative_text: what shall not be heard, for the same models.
        steps: of the flow, for the same models; None for the model's way.
        guidance: strength of picture and text together, for the same models; None for the model's way.
        camera_file: where the picture's centre points over time, instead of the two angles; see ``camera_file``.
        candidates: tries at each window that the best is taken of, for models that draw tokens.
        rerank: names of the scores that choose among them; None for likelihood and spatial.
        chain: codecs that the whole sound is sent through, for the same models.

    Raises:
        ValueError: if a value is out of range.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    seed: int = 0
    guidance_visual: float | None = None
    guidance_direction: float | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    outputs: tuple[str, ...] | None = None
    panorama: bool | None = None
    fov_deg: float = VIEW_FOV_DEG
    rate_hz: int | None = None
    top_k: int | None = None
    text: str = ""
    negative_text: str = ""
    steps: int | None = None
    guidance: float | None = None
    camera_file: Path | None = None
    candidates: int = 1
    rerank: tuple[str, ...] | None = None
    chain: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Direction(self.azimuth_deg, self.elevation_deg)
        if self.camera_file is not None and (self.azimuth_deg or self.elevation_deg):
            raise ValueError(
                f"camera_file is {self.camera_file}, but azimuth_deg {self.azimuth_deg:g} and elevation_deg "
                f"{self.elevation_deg:g} are given too; say where the camera points in one of the two ways"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; give a whole number from 0")
        for name in ("guidance_visual", "guidance_direction"):
            scale = getattr(self, name)
            if scale is not None and not 0 <= scale <= 100:
                raise ValueError(f"{name} is {scale}; give a number from 0 (none) to 100, usually 1 to 5")
        if not 0 <= self.start_s < float("inf"):
            raise ValueError(f"start_s is {self.start_s}; give seconds from 0 on")
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise ValueError(f"duration_s is {self.duration_s}; give seconds above 0")
        if not 0 < self.fov_deg < 180:
            raise ValueError(f"fov_deg is {self.fov_deg}; give degrees above 0 and below 180")
        if self.rate_hz is not None and not _RATES_HZ[0] <= self.rate_hz <= _RATES_HZ[1]:
            raise ValueError(f"rate_hz is {self.rate_hz}; give {_RATES_HZ[0]} to {_RATES_HZ[1]}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; give a whole number from 1")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise ValueError(f"steps is {self.steps}; give a whole number from 1 to 1000, usually 5 to 50")
        if self.guidance is not None and not 0 <= self.guidance <= 100:
            raise ValueError(
                f"guidance is {self.guidance}; give a number from 0 to 100, usually 1 (none) to 8"
            )
        if self.outputs is not None:
            object.__setattr__(self, "outputs", check_outputs(self.outputs))
        check_candidates(self.candidates)
        if self.rerank is not None:
            object.__setattr__(self, "rerank", score_names(self.rerank))
            if self.candidates == 1:
                raise ValueError(
                    f"rerank is {','.join(self.rerank)}, but candidates is 1 and leaves nothing to choose; give "
                    "candidates from 2 on"
                )
        object.__setattr__(self, "chain", chain_names(self.chain))

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores that choose among candidates."""
        return self.rerank or DEFAULT_SCORES

    @property
    def moving_camera(self) -> CameraFile | None:
        """The camera file as it is now, if there is one.

        Raises:
            ValueError: if it cannot be read as one.
        """
        return None if self.camera_file is None else read_camera_file(self.camera_file)

    def camera_of(self, video: Video) -> Camera:
        """Where the picture's centre points, at seconds after the start of the clip.

        Raises:
            ValueError: if the camera file cannot be used for this clip.
        """
        moving = self.moving_camera
        if moving is None:
            return Direction(self.azimuth_deg, self.elevation_deg)
        return moving.over_clip(video.start_s, video.duration_s)


def look_at(source: Path, request: Request, out: Path) -> Video:
    """Open a video as the request wants it, and refuse what could not be written.

    Raises:
        MediaError: if the file is no usable video or an output would replace it.
        ValueError: if the camera file cannot be used for it.
    """
    video = read_video(source, request.start_s, request.duration_s)
    request.camera_of(video)
    names = product_names(source.stem, request.outputs or tuple(SUFFIXES))
    refuse_replacing(source, out, [*names.values(), sidecar_path(out, source.stem).name])
    return video


def settled(request: Request, pipe: AnyPipeline) -> Request:
    """The request with the outputs that the model makes.

    Raises:
        ValueError: if it asks for what the model does not have.
    """
    name, layout = pipe.describe()["model"], "foa" if isinstance(pipe, Pipeline) else pipe.layout
    makes = "a sound field" if layout == "foa" else f"{layout} sound at the camera"
    for option in _foreign_options(pipe):
        if option in _OF_THE_CAMERA and layout == "foa":
            continue
        value = getattr(request, option)
        if option in _OF_TOKENS and value == _UNASKED[option]:
            continue
        if value not in (None, "") and (value or not option.endswith("_deg")):
            other = "makes sound fields, such as visage"
            if option in _OF_FLOW_MODELS:
                other = "reads text, such as mmaudio_small_16k"
            elif option in _OF_TOKENS:
                other = "draws tokens, such as visage or tiny-visage"
            shown = value if isinstance(value, Path) else repr(value)
            if isinstance(value, tuple):
                shown = ",".join(value)
            raise ValueError(
                f"{option} is {shown}, but {name} makes {makes} and has no such setting; leave it out, or "
                f"take a model that {other}"
            )
    possible = layout_outputs(layout)
    outputs = request.outputs or possible
    if not set(outputs) <= set(possible):
        raise ValueError(
            f"outputs is {','.join(outputs)}, but {name} makes {makes}; give one or more of {','.join(possible)}"
        )
    return replace(request, outputs=outputs)


def prepare(request: Request, pipe: AnyPipeline, show: Show) -> None:
    """Load what candidates and chain need.

    Args:
        request: what is asked, settled.
        pipe: the model.
        show: gets a line on every licence before the weights are read.

    Raises:
        ValueError: if a score or a codec is not on this machine, with what to do.
    """
    if isinstance(pipe, Pipeline):
        pipe.post_processing.links(request.chain, show)
        pipe.post_processing.reranker(request.candidates, request.scores, show)


def _foreign_options(pipe: AnyPipeline) -> tuple[str, ...]:
    """Settings of other families."""
    if isinstance(pipe, TwoStagePipeline | CompressedPipeline):
        known = (*_OF_FIELD_MODELS, *_OF_FLOW_MODELS, *_OF_TOKENS)
        return tuple(name for name in known if name not in pipe.options)
    return _OF_FLOW_MODELS if isinstance(pipe, Pipeline) else (*_OF_FIELD_MODELS, *_OF_TOKENS)


def is_fulfilled(request: Request, job: Job, out: Path, pipe: AnyPipeline) -> bool:
    """Tell whether an earlier run made this video for the same request with the same weights."""
    request = settled(request, pipe)
    try:
        return is_done(out, job.name, _record(request, job, pipe))
    except OSError:
        return False


def fulfil(
    request: Request,
    job: Job,
    out: Path,
    pipe: AnyPipeline,
    report: Report = lambda fraction: None,
    camera: Camera | None = None,
) -> dict[str, Path]:
    """Generate one video's sound and write its files.

    What takes more than one window is made on disk and taken up again after a run that was killed.

    Args:
        request: what is asked.
        job: the video, and the name of its files.
        out: folder of the files.
        pipe: the model.
        report: told the fraction done.
        camera: where the picture's centre points, for a camera that moves or rolls; None for the request's.

    Returns:
        Path of each kind of output, and of the "sidecar".

    Raises:
        ValueError: if the model does not have what is asked for, or the video cannot be used.
    """
    request = settled(request, pipe)
    record = _record(request, job, pipe)
    layout: Layout = "foa" if isinstance(pipe, Pipeline) else pipe.layout
    asked = Commission.open(request, job, out, record, report, camera, layout)
    if isinstance(pipe, Pipeline):
        return fulfil_field(asked, pipe)
    if isinstance(pipe, TwoStagePipeline | CompressedPipeline):
        return fulfil_two_stage(asked, pipe)
    return fulfil_flow(asked, pipe)


def _record(request: Request, job: Job, pipe: AnyPipeline) -> dict[str, Any]:
    description = pipe.describe()
    asked = asdict(request)
    for option in ("camera_file", *_OF_TOKENS):
        del asked[option]
    moving = request.moving_camera
    if moving is not None:
        asked["camera_file"] = {"name": moving.path.name, "sha256": moving.sha256}
    made_with = {key: description[key] for key in ("model", "weights_sha256", "kernel")}
    if isinstance(pipe, TwoStagePipeline):
        made_with |= mono_file_record(pipe, job.source)
    if isinstance(pipe, Pipeline):
        made_with |= pipe.post_processing.record(request.candidates, request.scores, request.chain)
    return {**input_identity(job.source), **asked, **made_with}
