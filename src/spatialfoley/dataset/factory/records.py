"""One schema for everything that passes through the factory: recordings first, clips cut from them later.

Known facts (all plain JSON values):
    source, url, title, channel, licence   where it comes from and what may be done with it
    video, channel_id, upload_date         at the site where it comes from: its id, its channel's, its day
    listed_as                              name of a clip in the published list that it is from
    fetched_client                         to what client the site offered it
    picture_format, sound_format           the formats that were taken, in the site's words
    projection                             of the panorama: "equirectangular", or "not stated"
    split                                  "train", "valid" or "test", where the source gives it
    convention                             of the sound: "ambix", "fuma", "binaural", "stereo", "mono", "unknown"
    source_convention                      what it was before it was converted to AmbiX
    sound_codec, sound_layout              of the sound as it came; what its header says of the channels
    sound_channels, sound_duration_s       of the sound as it came; length of the sound where the picture's differs
    gain_db                                applied to the whole sound, where it was louder than full scale
    duration_s, rate_hz, start_s           lengths; start of a clip in its recording
    clips                                  of a recording: clips that are wanted, each with start_s and what else is
                                           known of it (camera_index, ...); without it clips follow each other
    clips_beyond_end                       start_s of clips that were wanted and that its recording is too short for
    frame_rate_hz, fov_deg                 of the clip's picture
    field_frame                            of the clip's field: "world" (the panorama's), "camera" (turned with it)
    foa_gain_db, binaural_gain_db          applied to the whole sound of a clip, where it was louder than full scale
    azimuth_deg, elevation_deg             where the clip's picture looks, AmbiX
    camera                                 poses of a camera that turns: lists time_s, yaw_deg, pitch_deg, roll_deg
    camera_index                           YT-Ambigen's [elevation, azimuth] units of 2 degrees
    peak_azimuth_deg, peak_elevation_deg   where the sound is loudest, in the world's frame
    peak_contrast                          (most - least) / (most + least) energy over all directions, 0 to 1
    seed, scene                            of a recording of the world: which scene of training, its kind and length
    description                            what a model said is heard, before it was made a caption
    features                               of features in the files: by encoder, hash of what made them
    field_ratio_db                         median of (Y² + Z² + X²) / W², see docs/dataset.md, Screening
    suspicion                              what the sound may be instead of AmbiX: "fuma", "n3d", "order"
    silent_share, still_share              of 20 ms chunks that are silent; of half seconds in which nothing moves
    left_right_distance                    D of the two ears, equation 40 of ViSAudio
    content, content_tagger                share of time of every label, and who heard it
    caption                                what is heard
    caption_missing                        why there is none, as a code; caption_missing_because: in words
    description_by, caption_by             model, licence and weights_sha256 of who wrote them
    labels, labels_by                      by vocabulary ("audioset"): labels of a tagger; tagger, licence, ...
    seed, classes, scene                   of the synthetic world: what sounds, and how `world.make_scene` draws it
    arrays_truth                           what told arrays of `tiny_arrays` what sounds where: "scene" or "sound"
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# No dot: in a shard the first dot of a name ends the clip's id.
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True)
class FileRef:
    """A file of a record.

    Attributes:
        path: Relative to the build folder, with "/"; absolute for files that lie outside and are never deleted.
        sha256: Of its bytes, in hexadecimal.
        size: Bytes.
    """

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Record:
    """A recording, or a clip of one.

    Attributes:
        id: Unique in the build, and the same in every run: letters, digits, ``_`` and ``-``.
        recording: Id of the recording it belongs to; splits are drawn by it, so that no recording is in two.
        files: Files by role, such as "panorama", "sound", "view", "foa", "binaural".
        facts: What is known, plain JSON values.
    """

    id: str
    recording: str
    files: Mapping[str, FileRef] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "recording"):
            value = getattr(self, name)
            if not _ID.fullmatch(value):
                raise ValueError(
                    f"{name} of a record is {value!r}; give up to 200 letters, digits, '_' and '-'"
                )
        try:
            json.dumps(self.facts, allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise ValueError(f"facts of record {self.id} are no plain JSON values: {problem}") from None

    def with_(
        self,
        files: Mapping[str, FileRef] | None = None,
        facts: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> Record:
        """The record with files and facts added or replaced."""
        return replace(
            self,
            id=id or self.id,
            files={**self.files, **(files or {})},
            facts={**self.facts, **(facts or {})},
        )

    def without_files(self, *roles: str) -> Record:
        """The record without some of its files."""
        return replace(self, files={role: ref for role, ref in self.files.items() if role not in roles})

    def file(self, role: str) -> FileRef:
        """The file of a role.

        Raises:
            ValueError: The record has none.
        """
        if role not in self.files:
            known = ", ".join(sorted(self.files)) or "none"
            raise ValueError(
                f"record {self.id} has no file {role!r} (it has {known}); a stage before makes it"
            )
        return self.files[role]

    def to_json(self) -> str:
        """One line, the same for equal records."""
        document = {
            "id": self.id,
            "recording": self.recording,
            "files": {role: vars(ref) for role, ref in self.files.items()},
            "facts": dict(self.facts),
        }
        return json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record of a line that `to_json` wrote."""
        document = json.loads(line)
        files = {role: FileRef(**values) for role, values in document["files"].items()}
        return cls(document["id"], document["recording"], files, document["facts"])


def clip_id(recording: str, start_s: float) -> str:
    """Id of the clip that starts at `start_s` in a recording; clips of a recording sort by time."""
    return f"{recording}-{round(start_s * 1000):08d}"
