"""First stages: one channel for a video, from any generator or from files that another system made.

Of a sound field the channel is W, of two ears their mean.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spatialfoley import timeline
from spatialfoley.conventions import W
from spatialfoley.media.audio import fit_length, read_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.video import Video
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import Camera, GenerationSettings, Report
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.stream import Carry, WindowMaker
from spatialfoley.pipeline.twin_chain import TwinPipeline
from spatialfoley.pipeline.windows import Window, WindowPlan, plan_windows
from spatialfoley.spatial.signal import SpatialAudio

FOLDER_PREFIX = "folder:"
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff")

FIELD_OPTIONS = frozenset({"guidance_visual", "guidance_direction", "top_k"})
FLOW_OPTIONS = frozenset({"text", "negative_text", "steps", "guidance"})

_FOLDER_WINDOW_S, _FOLDER_OVERLAP_S = 30.0, 2.0
"""Longer sound of a folder is given its place in stretches."""
_MOST_PADDING_S = 0.5
"""Files may be this much shorter than their clip; 8 s of a clip of 8.3 s are usual."""

Generator = Pipeline | FlowPipeline | TwinPipeline


@dataclass(frozen=True)
class MonoRequest:
    """What a mono sound depends on beside the picture, the camera and the generator; see ``requests.Request``."""

    seed: int = 0
    text: str = ""
    negative_text: str = ""
    steps: int | None = None
    guidance: float | None = None
    guidance_visual: float | None = None
    guidance_direction: float | None = None
    top_k: int | None = None
    panorama: bool | None = None


class MonoSource(Protocol):
    """A first stage."""

    @property
    def name(self) -> str:
        """As it is asked for."""
        ...

    @property
    def options(self) -> frozenset[str]:
        """Names of the settings of `MonoRequest` that it has, beside seed and panorama."""
        ...

    def windows(self, video: Video, request: MonoRequest, camera: Camera, report: Report) -> WindowMaker:
        """The clip's sound, made window by window: layout "mono"."""
        ...

    def describe(self) -> dict[str, Any]:
        """Name, licence, hashes of the weights, rate and arithmetic."""
        ...

    def file_of(self, clip: Path) -> Path | None:
        """The file that the sound of a clip is read from, if it is."""
        ...


def one_channel(samples: NDArray[np.float32], layout: str) -> NDArray[np.float32]:
    """One channel (1, N) of sound (C, N): W of a field, the mean of two ears or loudspeakers, or itself.

    Raises:
        ValueError: The layout is another.
    """
    if layout == "foa":
        return samples[W : W + 1]
    if layout in ("binaural", "stereo"):
        return samples.mean(axis=0, keepdims=True)
    if layout == "mono":
        return samples
    raise ValueError(f"layout is {layout!r}; one channel is made of mono, stereo, binaural or foa sound")


@dataclass(frozen=True)
class GeneratorSource:
    """A generator of ours as a first stage."""

    pipe: Generator

    @property
    def name(self) -> str:
        """Of the model."""
        return str(self.pipe.describe()["model"])

    @property
    def options(self) -> frozenset[str]:
        """Settings of its family."""
        return FIELD_OPTIONS if isinstance(self.pipe, Pipeline) else FLOW_OPTIONS

    def windows(self, video: Video, request: MonoRequest, camera: Camera, report: Report) -> WindowMaker:
        """The clip's sound, made window by window."""
        pipe = self.pipe
        if isinstance(pipe, Pipeline):
            return _OneChannel(_field_windows(pipe, video, request, camera, report))
        asked = FlowRequest(
            request.text,
            request.negative_text,
            request.seed,
            request.steps,
            request.guidance,
            None,
            request.panorama,
        )
        return _OneChannel(pipe.windows(video, asked, report, camera))

    def describe(self) -> dict[str, Any]:
        """What the generator says of itself."""
        return self.pipe.describe()

    def file_of(self, clip: Path) -> None:
        """None: the sound is made."""
        return None


def field_settings(pipe: Pipeline, request: MonoRequest) -> GenerationSettings:
    """What a field generator is asked, from what is asked of a first stage."""
    sampling = pipe.defaults.sampling
    if request.top_k is not None:
        sampling = replace(sampling, top_k=request.top_k)
    guidance = pipe.guidance(request.guidance_visual, request.guidance_direction)
    return GenerationSettings(request.seed, guidance, sampling, None, request.panorama)


def _field_windows(
    pipe: Pipeline, video: Video, request: MonoRequest, camera: Camera, report: Report
) -> WindowMaker:
    settings = field_settings(pipe, request)
    maker = pipe.windows(video, camera, settings, report)
    if len(maker.plan.starts) > 1:
        return maker
    # A clip of one window is drawn again where it came out silent, which windows are not.
    return _Whole(maker.plan, maker.rate_hz, pipe.generate(video, camera, settings, report).foa)


@dataclass(frozen=True)
class _Whole:
    """Sound that is there already, offered as windows."""

    plan: WindowPlan
    rate_hz: int
    sound: SpatialAudio

    @property
    def layout(self) -> Literal["mono", "binaural", "foa"]:
        return self.sound.layout  # type: ignore[return-value]

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        return self.sound.samples[:, window.start : window.start + window.length], {}


@dataclass(frozen=True)
class _OneChannel:
    """One channel of what another maker makes."""

    maker: WindowMaker
    layout: Literal["mono"] = "mono"

    @property
    def rate_hz(self) -> int:
        return self.maker.rate_hz

    @property
    def plan(self) -> WindowPlan:
        return self.maker.plan

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        piece, carry = self.maker.make(window, carry)
        return one_channel(piece, self.maker.layout), carry


@dataclass(frozen=True)
class FolderSource:
    """Files of another system: the sound of street.mp4 is FOLDER/street.wav, or another sound file of that name.

    A file is read as a whole. A file of two channels is heard as their mean, one of four as a field (AmbiX).
    """

    folder: Path

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"{FOLDER_PREFIX}{self.folder}"

    @property
    def options(self) -> frozenset[str]:
        """None: the sound is there already."""
        return frozenset()

    def windows(self, video: Video, request: MonoRequest, camera: Camera, report: Report) -> WindowMaker:
        """The clip's sound, cut to the stretch of the video.

        Raises:
            ValueError: The clip has no name, or no file, or one that is too short or has too many channels.
        """
        if video.path is None:
            raise ValueError(
                f"{self.name} finds sound by the name of the video, but this video is frames in memory and has "
                "none; write it to a file first"
            )
        path = self.file_of(video.path)
        sound = read_audio(path)
        if sound.layout not in ("mono", "stereo", "foa"):
            raise MediaError(f"{path} has {sound.samples.shape[0]} channels; give 1, 2, or 4 (a field)")
        count = timeline.sample_count(video.duration_s, sound.rate_hz)
        first = round(video.start_s * sound.rate_hz)
        missing_s = (first + count - sound.frames) / sound.rate_hz
        if missing_s > _MOST_PADDING_S:
            raise MediaError(
                f"{path} lasts {sound.duration_s:.3f} s, but the clip ends at "
                f"{video.start_s + video.duration_s:.3f} s; give sound that is at most {_MOST_PADDING_S:g} s "
                "shorter"
            )
        samples = one_channel(sound.samples[:, first : first + count], sound.layout)
        mono = SpatialAudio(fit_length(samples, count), sound.rate_hz, "mono")
        plan = plan_windows(count, sound.rate_hz, _FOLDER_WINDOW_S, _FOLDER_OVERLAP_S)
        return _Whole(plan, sound.rate_hz, mono)

    def describe(self) -> dict[str, Any]:
        """Its name; who made the sound knows the rest."""
        return {
            "model": self.name,
            "licence": "unknown: that of the system that made the files",
            "weights_sha256": {},
            "device": "cpu",
            "kernel": "none",
        }

    def file_of(self, clip: Path) -> Path:
        """The sound file of a video.

        Raises:
            ValueError: There is none.
        """
        for suffix in SOUND_SUFFIXES:
            path = self.folder / f"{clip.stem}{suffix}"
            if path.is_file():
                return path
        raise MediaError(
            f"{self.folder} has no sound for {clip.name}; it needs {clip.stem}.wav, or the same name with another "
            f"of {', '.join(SOUND_SUFFIXES)}"
        )


def folder_source(folder: str) -> FolderSource:
    """The folder of a name after "folder:".

    Raises:
        ValueError: It does not exist.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(f"{FOLDER_PREFIX}{folder} names no folder; give the one that holds the mono files")
    return FolderSource(path)


def identity_of(path: Path) -> dict[str, str]:
    """Name and hash of a sound file, for a sidecar."""
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
