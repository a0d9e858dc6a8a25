"""Silent video in, spatial audio out.

The public names, nothing else. Each is imported when it is first used, so that ``import spatialfoley`` is
quick and does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatialfoley.media.audio import read_audio, write_audio
    from spatialfoley.media.video import Video, read_video
    from spatialfoley.media.video_writer import write_video
    from spatialfoley.pipeline import Pipeline, load_pipeline
    from spatialfoley.spatial.binaural import render_binaural, render_stereo
    from spatialfoley.spatial.direction import CameraPose, Direction
    from spatialfoley.spatial.foa import rotate
    from spatialfoley.spatial.signal import SpatialAudio
    from spatialfoley.spatial.trajectory import CameraTrajectory

__all__ = [
    "CameraPose",
    "CameraTrajectory",
    "Direction",
    "Pipeline",
    "SpatialAudio",
    "Video",
    "load_pipeline",
    "read_audio",
    "read_video",
    "render_binaural",
    "render_stereo",
    "rotate",
    "write_audio",
    "write_video",
]

_HOMES = {
    "CameraPose": "spatial.direction",
    "CameraTrajectory": "spatial.trajectory",
    "Direction": "spatial.direction",
    "Pipeline": "pipeline",
    "SpatialAudio": "spatial.signal",
    "Video": "media.video",
    "load_pipeline": "pipeline",
    "read_audio": "media.audio",
    "read_video": "media.video",
    "render_binaural": "spatial.binaural",
    "render_stereo": "spatial.binaural",
    "rotate": "spatial.foa",
    "write_audio": "media.audio",
    "write_video": "media.video_writer",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # slow to import, seldom asked for

        try:
            return version("spatialfoley")
        except PackageNotFoundError:
            return "unknown (not installed)"
    if name not in _HOMES:
        raise AttributeError(f"module 'spatialfoley' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"spatialfoley.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
