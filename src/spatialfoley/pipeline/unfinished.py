"""A long clip's sound while it is made: a hidden folder beside the results, which outlives a run that is killed."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialfoley import timeline
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.pipeline.clip import Camera
from spatialfoley.pipeline.levels import brought_to, within_full_scale
from spatialfoley.pipeline.products import require_writable
from spatialfoley.pipeline.stream import Carry, WindowMaker, last_carry, stream_sound
from spatialfoley.pipeline.versions import installed_versions
from spatialfoley.spatial.foa import as_trajectory
from spatialfoley.spatial.signal import SpatialAudio

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_NOT_HEARD = ("outputs", "fov_deg", "rate_hz", "chain")
"""Parts of a request that the sound, as the model makes it, does not depend on."""

OnDisk = Callable[[SoundFile, Path], SoundFile]


@dataclass(frozen=True)
class MadeSound:
    """A clip's sound at its final rate, length and level.

    Attributes:
        sound: in memory, or on disk as long as its folder is there.
        gain_db: the gain (0 or below) that kept it within full scale.
        windows: of how many it was made.
        draws: how often it was drawn until it was not silent.
        carry: what its last window left; empty for a sound made in memory.
    """

    sound: SpatialAudio | SoundFile
    gain_db: float
    windows: int = 1
    draws: int = 1
    carry: Carry = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What the sidecar says of it."""
        return {
            "layout": self.sound.layout,
            "rate_hz": self.sound.rate_hz,
            "samples": self.sound.frames,
            "gain_db": round(self.gain_db, 3),
            "windows": self.windows,
            "draws": self.draws,
        }


def unfinished_folder(out: Path, name: str) -> Path:
    """Where the sound of a clip lies until its files are complete."""
    return out / f".{name}.unfinished"


def fingerprint(record: Mapping[str, Any], model: Mapping[str, Any], camera: Camera) -> str:
    """Everything that a clip's sound depends on, in words.

    Args:
        record: the request with its video and weights, as the sidecar has it.
        model: what the pipeline says of itself.
        camera: where the picture's centre points.
    """
    trajectory = as_trajectory(camera)
    poses = (trajectory.times_s, trajectory.yaw_deg, trajectory.pitch_deg, trajectory.roll_deg)
    heard = {key: value for key, value in record.items() if key not in _NOT_HEARD}
    seen = hashlib.sha256(b"".join(pose.tobytes() for pose in poses)).hexdigest()
    return json.dumps([heard, model, seen, installed_versions()], sort_keys=True, default=str)


@contextmanager
def streamed_sound(
    maker: WindowMaker,
    out: Path,
    name: str,
    duration_s: float,
    rate_hz: int | None,
    fingerprint: str,
    chain: OnDisk = lambda sound, folder: sound,
) -> Iterator[MadeSound]:
    """Make a clip's sound on disk, or go on where an earlier run with the same fingerprint was.

    Args:
        maker: the clip.
        out: folder of the results.
        name: what their names begin with.
        duration_s: length of the clip.
        rate_hz: of the result; None for the model's.
        fingerprint: from `fingerprint`.
        chain: what is done to the sound at its final rate and length, as a whole: it gets a folder for its files.

    Yields:
        the sound; its file is removed when the block ends, and kept for the next run when the block fails.

    Raises:
        MediaError: if the folder cannot be written, or another run is making the same clip there.
    """
    require_writable(out)
    folder = unfinished_folder(out, name)
    folder.mkdir(exist_ok=True)
    rate_hz = rate_hz or maker.rate_hz
    with _alone_in(folder):
        stream_sound(maker, folder / "made.wav", fingerprint)
        made = SoundFile.open(folder / "made.wav", maker.layout)
        frames = timeline.sample_count(duration_s, rate_hz)
        whole = brought_to(made, folder / "finished.wav", rate_hz, frames)
        sound, gain_db = within_full_scale(chain(whole, folder))
        yield MadeSound(sound, gain_db, len(maker.plan.starts), carry=last_carry(folder / "made.wav"))
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second run out of a folder as long as this one lives, where the system has such locks."""
    with (folder / "lock").open("w") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                raise MediaError(
                    f"{folder} is in use: another run is making this clip; wait for it, or choose another folder "
                    "with --out"
                ) from taken
            except OSError:
                pass  # a network folder without locks
        yield
