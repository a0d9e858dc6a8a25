"""Clips as BiAudio has them: eight seconds, a view of 90° that turns around the loudest sound, and two ears.

A clip has "view" (H.264, every frame of the recording), "binaural" (FLAC) and "foa" (AmbiX FLAC, turned with the
camera: front is what it faces). The camera turns as ViSAudio's appendix A says, by the seed and the clip's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from spatialfoley.dataset.biaudio.localisation import loudest_direction
from spatialfoley.dataset.biaudio.rendering import heard_by_camera, read_stretch
from spatialfoley.dataset.biaudio.trajectories import camera_facts, draw_trajectory
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
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Workspace, seed_of
from spatialfoley.kernels.panorama_view import PanoramaView
from spatialfoley.media.flac import write_flac
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.energy_map import MapVariant
from spatialfoley.spatial.projection import ProjectionVariant

FRONT = Direction(0.0)


@dataclass(frozen=True)
class BiAudioClips:
    """Cuts a recording into clips with a camera that turns.

    Attributes:
        clip_s: Length of a clip.
        hop_s: From one beginning to the next.
        size_px: Side of the view.
        fov_deg: Its field of view.
        frame_rate_hz: Frames per second; None: the recording's own.
        rate_hz: Of the sound.
        seed: Of all cameras.
        maps: Energy maps, "sn3d", or "reference" with the published evaluation's gains.
        projection: "correct", or "reference" as ViSAGe's published views were sampled.
        crf: Quality of the H.264, 0 (lossless) to 51.
        keep_foa: Keep the turned field beside the two ears.
    """

    version: ClassVar[int] = 1
    clip_s: float = 8.0
    hop_s: float = 8.0
    size_px: int = 512
    fov_deg: float = 90.0
    frame_rate_hz: float | None = None
    rate_hz: int = 44100
    seed: int = 0
    maps: str = "sn3d"
    projection: str = "correct"
    crf: int = 20
    keep_foa: bool = True

    def __post_init__(self) -> None:
        check_lengths(self.clip_s, self.hop_s)
        if self.maps not in get_args(MapVariant):
            raise ValueError(f"maps is {self.maps!r}; it must be one of {', '.join(get_args(MapVariant))}")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf}; give 0 (lossless) to 51")
        if self.rate_hz <= 0:
            raise ValueError(f"rate_hz is {self.rate_hz}; give a number above 0")
        if self.frame_rate_hz is not None and self.frame_rate_hz <= 0:
            raise ValueError(f"frame_rate_hz is {self.frame_rate_hz}; give a number above 0, or none")
        self._view()

    def _view(self) -> PanoramaView:
        variant: ProjectionVariant = self.projection  # type: ignore[assignment]
        return PanoramaView(self.size_px, self.fov_deg, variant)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Cut, turn, look and listen."""
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
        camera = draw_trajectory(loudest.direction or FRONT, self.clip_s, seed_of(self.seed, clip.id))
        field, ears = heard_by_camera(stretch, camera, self.rate_hz)
        files = {}
        gains: dict[str, float] = {}
        for role, sound in (("foa", field), ("binaural", ears)):
            if role == "binaural" or self.keep_foa:
                fitting, gain_db = within_full_scale(sound)
                with space.new_file(clip.id, role, ".flac") as new:
                    write_flac(new.path, fitting)
                files[role] = new.ref
                gains |= {f"{role}_gain_db": gain_db} if gain_db else {}
        pictures = seen(recording, place.start_s, self.clip_s, camera, view, self.frame_rate_hz)
        with space.new_file(clip.id, "view", ".mp4") as new:
            write_view(new.path, pictures, self.clip_s, self.crf)
        files["view"] = new.ref
        facts: dict[str, Any] = {
            "duration_s": self.clip_s,
            "rate_hz": self.rate_hz,
            "frame_rate_hz": round(self.frame_rate_hz or recording.picture.average_rate_hz, 6),
            "fov_deg": self.fov_deg,
            "field_frame": "camera",
            "camera": camera_facts(camera),
            **loudest.facts(),
            **gains,
        }
        return clip.with_(files, facts)


STAGE = BiAudioClips
