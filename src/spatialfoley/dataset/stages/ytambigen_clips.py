"""Clips as YT-Ambigen has them: five seconds, a view of 90° to where the sound is loudest, the field of the world.

A clip has "view" (H.264 at 4 frames/s), "foa" (AmbiX FLAC, not turned: front is the middle of the panorama) and,
where wanted, "frames": the same pictures without the loss of a codec. The camera looks at a whole index of 2°, as
in the published set; for a field without direction it looks ahead (stage "has_direction" leaves such clips out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
from safetensors.numpy import save_file

from spatialfoley.dataset.biaudio.localisation import Loudest, loudest_direction
from spatialfoley.dataset.biaudio.rendering import read_stretch
from spatialfoley.dataset.clip_cutting import (
    Place,
    Recording,
    check_lengths,
    clip_record,
    cut,
    seen,
    within_full_scale,
    write_view,
)
from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.stage import Outcome, Workspace
from spatialfoley.kernels.panorama_view import PanoramaView
from spatialfoley.media.flac import write_flac
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.energy_map import MapVariant
from spatialfoley.spatial.projection import ProjectionVariant
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.spatial.ytambigen import AmbigenIndex, index_to_direction, nearest_index

FRAME_FILES = ("none", "npy", "safetensors")


@dataclass(frozen=True)
class YtAmbigenClips:
    """Cuts a recording into clips with a fixed camera.

    Attributes:
        clip_s: Length of a clip.
        hop_s: From one beginning to the next.
        size_px: Side of the view.
        fov_deg: Its field of view.
        frame_rate_hz: Pictures per second.
        rate_hz: Of the sound.
        maps: Energy maps, "sn3d", or "reference" with the published gains and the published whole cell.
        projection: "correct", or "reference" as the published views were sampled.
        crf: Quality of the H.264, 0 (lossless) to 51.
        frames: Keep the pictures as they are too: "none", "npy" or "safetensors", uint8 (T, size, size, 3).
    """

    version: ClassVar[int] = 1
    clip_s: float = 5.0
    hop_s: float = 5.0
    size_px: int = 224
    fov_deg: float = 90.0
    frame_rate_hz: float = 4.0
    rate_hz: int = 48000
    maps: str = "sn3d"
    projection: str = "correct"
    crf: int = 18
    frames: str = "none"

    def __post_init__(self) -> None:
        check_lengths(self.clip_s, self.hop_s)
        for name, known in (("maps", get_args(MapVariant)), ("frames", FRAME_FILES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf}; give 0 (lossless) to 51")
        for name in ("frame_rate_hz", "rate_hz"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give a number above 0")
        self._view()

    def _view(self) -> PanoramaView:
        variant: ProjectionVariant = self.projection  # type: ignore[assignment]
        return PanoramaView(self.size_px, self.fov_deg, variant)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Cut, look and listen."""
        view = self._view()
        return cut(
            record,
            space,
            self.clip_s,
            self.hop_s,
            lambda recording, place: self._clip(recording, place, view, space),
        )

    def _clip(self, recording: Recording, place: Place, view: PanoramaView, space: Workspace) -> Record:
        clip = clip_record(recording, place)
        stretch = read_stretch(recording.sound, place.start_s, self.clip_s, self.rate_hz)
        maps: MapVariant = self.maps  # type: ignore[assignment]
        loudest = loudest_direction(stretch.inside(), maps)
        index = self._index(loudest, place)
        looks = index_to_direction(index)
        foa, gain_db = within_full_scale(stretch.at_rate(stretch.foa, self.rate_hz))
        files = {}
        with space.new_file(clip.id, "foa", ".flac") as new:
            write_flac(new.path, foa)
        files["foa"] = new.ref
        camera = CameraTrajectory.static(CameraPose.facing(looks))
        pictures = list(seen(recording, place.start_s, self.clip_s, camera, view, self.frame_rate_hz))
        with space.new_file(clip.id, "view", ".mp4") as new:
            write_view(new.path, iter(pictures), self.clip_s, self.crf)
        files["view"] = new.ref
        if self.frames != "none":
            files["frames"] = self._keep_frames(clip, np.stack([picture for _, picture in pictures]), space)
        facts: dict[str, Any] = {
            "duration_s": self.clip_s,
            "rate_hz": self.rate_hz,
            "frame_rate_hz": self.frame_rate_hz,
            "fov_deg": self.fov_deg,
            "field_frame": "world",
            "azimuth_deg": looks.azimuth_deg,
            "elevation_deg": looks.elevation_deg,
            "camera_index": [index.elevation, index.azimuth],
            **loudest.facts(),
            **({"foa_gain_db": gain_db} if gain_db else {}),
        }
        return clip.with_(files, facts)

    def _index(self, loudest: Loudest, place: Place) -> AmbigenIndex:
        if "camera_index" in place.asked:
            return AmbigenIndex(*place.asked["camera_index"])
        if loudest.direction is None:
            return nearest_index(Direction(0.0))
        if self.maps == "reference":
            return AmbigenIndex(*loudest.cell)
        return nearest_index(loudest.direction)

    def _keep_frames(self, clip: Record, frames: np.ndarray, space: Workspace) -> FileRef:
        with space.new_file(clip.id, "frames", f".{self.frames}") as new:
            if self.frames == "npy":
                np.save(new.path, frames)
            else:
                save_file({"frames": frames}, new.path)
        return new.ref


STAGE = YtAmbigenClips
