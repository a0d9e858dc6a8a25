"""Draw ``docs/images/dataset_biaudio.png``: clips with a camera that turns, and where their own sound is heard.

python docs/make_dataset_picture.py

Scenes of the synthetic world go through the stages take_foa and biaudio_clips. A ring shows the direction of the
largest energy of the clip's field around that moment, on a picture of the clip's view.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from spatialfoley.dataset.biaudio.localisation import loudest_direction
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Passed, Workspace, load_stage
from spatialfoley.dataset.sources.world import WorldSource
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import read_video
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.projection import view_pixels

TARGET = Path(__file__).parent / "images" / "dataset_biaudio.png"
SEEDS, TIMES_S, SIZE_PX = (1, 6, 11), np.arange(7) * 1.25 + 0.2, 256
FRONT = Direction(0.0)
HALF_WINDOW_S, QUIET_DB = 0.15, -50.0


def built(seed: int, folder: Path) -> Record:
    """The first clip of a scene."""
    source = WorldSource(1, first_seed=seed, duration_s=8.0, scene="in_view", height_px=512)
    (record,) = source.records()
    outcome = source.fetch(record, Workspace(folder, "fetch"))
    for stage, settings in (("take_foa", {}), ("biaudio_clips", {"size_px": SIZE_PX, "seed": 3})):
        assert isinstance(outcome, Passed)
        outcome = load_stage(stage, settings).run(outcome.records[0], Workspace(folder, stage))
    assert isinstance(outcome, Passed)
    return outcome.records[0]


def heard_at(samples: np.ndarray, rate_hz: int, time_s: float) -> tuple[float, float] | None:
    """Column and row of the direction of the largest energy around a moment, if it is in the picture."""
    begin, end = (max(0, round((time_s + side * HALF_WINDOW_S) * rate_hz)) for side in (-1, 1))
    window = samples[:, begin:end]
    if np.sqrt(np.mean(window[0] ** 2)) < 10 ** (QUIET_DB / 20):
        return None
    direction = loudest_direction(window).direction
    if direction is None:
        return None
    column, row, inside = view_pixels(direction.vector(), FRONT, SIZE_PX, 90.0)
    return (float(column), float(row)) if inside else None


def main() -> None:
    """Draw the picture."""
    figure, axes = plt.subplots(
        len(SEEDS), len(TIMES_S), figsize=(9.8, 4.5), layout="constrained", squeeze=False
    )
    for row, seed in zip(axes, SEEDS, strict=True):
        with TemporaryDirectory() as folder:
            clip = built(seed, Path(folder))
            field = read_audio(Path(folder) / clip.file("foa").path, "foa")
            frames = read_video(Path(folder) / clip.file("view").path).frames_at(TIMES_S, crop=None)
        camera = clip.facts["camera"]
        for axis, frame, time_s in zip(row, frames, TIMES_S, strict=True):
            axis.imshow(frame)
            place = heard_at(field.samples, field.rate_hz, float(time_s))
            if place is not None:
                axis.add_patch(plt.Circle(place, 26, fill=False, color="yellow", linewidth=1.5))
            yaw_deg = np.interp(time_s, camera["time_s"], camera["yaw_deg"])
            axis.set_title(f"{time_s:.1f} s, yaw {(yaw_deg + 180) % 360 - 180:.0f}°", fontsize=7)
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(", ".join(clip.facts["classes"]), fontsize=8)
    figure.savefig(TARGET, dpi=90)


if __name__ == "__main__":
    main()
