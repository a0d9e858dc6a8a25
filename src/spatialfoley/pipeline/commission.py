"""One video and what is asked of it: what making sound has in common for every kind of model."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.generators.guidance import Guidance
from spatialfoley.media.video import Video, read_video
from spatialfoley.media.view import is_panorama
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.products import ProductSet, write_products
from spatialfoley.pipeline.stream import WindowMaker
from spatialfoley.pipeline.unfinished import MadeSound, OnDisk, fingerprint, streamed_sound
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory
from spatialfoley.spatial.signal import Layout

if TYPE_CHECKING:
    from spatialfoley.pipeline.requests import Request

_GENERATING_SHARE = 0.95
"""Part of the time that the sound takes; the rest is writing files."""


@dataclass(frozen=True, eq=False)
class Commission:
    """An opened video, and all that its files depend on but the sound.

    Attributes:
        request: What is asked, with the outputs settled.
        job: The video's path, and the name of its files.
        out: Folder of the files.
        record: What the sidecar says of the request.
        report: Told the fraction done.
        video: The part of the video that is asked for.
        panorama: Whether its picture is one.
        camera: Where the picture's centre points; the front for sound at the ears.
    """

    request: "Request"
    job: Job
    out: Path
    record: Mapping[str, Any]
    report: Report
    video: Video
    panorama: bool
    camera: Camera

    @classmethod
    def open(
        cls,
        request: "Request",
        job: Job,
        out: Path,
        record: Mapping[str, Any],
        report: Report,
        camera: Camera | None,
        layout: Layout,
    ) -> "Commission":
        """Open the video of a request.

        Args:
            request: What is asked, with the outputs settled.
            job: The video, and the name of its files.
            out: Folder of the files.
            record: What the sidecar says of the request.
            report: Told the fraction done.
            camera: Where the picture's centre points, for a field; None for the request's.
            layout: Of the sound that will be made.
        """
        video = read_video(job.source, request.start_s, request.duration_s)
        panorama = is_panorama(video) if request.panorama is None else request.panorama
        if layout != "foa":
            camera = Direction(0.0)  # ears are at the camera, wherever it looks
        elif camera is None:
            camera = request.camera_of(video)
        return cls(request, job, out, record, report, video, panorama, camera)

    def generating(self, part: float) -> None:
        """Report how much of the sound is made, in [0, 1]."""
        self.report(part * _GENERATING_SHARE)

    def streamed(
        self,
        maker: WindowMaker,
        description: Mapping[str, Any],
        chain: OnDisk = lambda sound, folder: sound,
    ) -> AbstractContextManager[MadeSound]:
        """The sound of a clip of several windows, made on disk; a run that was killed goes on.

        Args:
            maker: Makes the windows.
            description: Of the model, which the unfinished sound is tied to.
            chain: What is done to the whole sound.
        """
        key = fingerprint(self.record, description, self.camera)
        return streamed_sound(
            maker, self.out, self.job.name, self.video.duration_s, self.request.rate_hz, key, chain
        )

    def deliver(
        self, made: MadeSound, description: Mapping[str, Any], details: Mapping[str, Any]
    ) -> dict[str, Path]:
        """Write all files of the made sound.

        Args:
            made: The sound.
            description: Of the model.
            details: What the sidecar says of this kind of model, such as its sampling.

        Returns:
            Path of each kind of output, and of the "sidecar".
        """
        assert self.request.outputs is not None
        video = self.video
        sidecar = {
            "request": self.record,
            "model": description,
            **details,
            "camera": camera_record(self.camera),
            "picture": {
                "panorama": self.panorama,
                "duration_s": video.duration_s,
                "frames": video.frame_count,
            },
            "sound": made.record(),
            "versions": installed_versions(),
        }
        wanted = ProductSet(
            self.out, self.job.name, self.request.outputs, self.panorama, self.request.fov_deg
        )
        return write_products(video, made.sound, self.camera, wanted, sidecar, self._writing)

    def _writing(self, part: float) -> None:
        self.report(_GENERATING_SHARE + part * (1 - _GENERATING_SHARE))


def camera_record(camera: Camera) -> dict[str, Any]:
    """What the sidecar says of the camera: its pose at the start, and whether it moves."""
    trajectory = as_trajectory(camera)
    start = trajectory.pose_at(0.0)
    return {**asdict(start), "moves": not trajectory.is_static}


def weights_of(guidance: Guidance) -> dict[str, float]:
    """The weight of each branch by its name."""
    return {branch.name: branch.weight for branch in guidance.branches}
