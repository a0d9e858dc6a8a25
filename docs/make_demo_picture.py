"""Make docs/images/demo.png: what ``spatialfoley demo`` leaves, in one picture.

    python docs/make_demo_picture.py [--demo FOLDER] [--out PICTURE] [--truth]

Runs the demo when its folder is not there yet. Above: three moments of the video with the generated sound
painted over it. Below: its level and the azimuth it comes from, beside those of the true sound. With --truth only
the true sound is painted and drawn.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio
from spatialfoley.media.energy_video import write_energy_video
from spatialfoley.media.video import read_video
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import CameraPose, angles_deg
from spatialfoley.spatial.energy_map import energy_map, peak_vectors, window_covariances
from spatialfoley.spatial.foa import listen_from

WINDOW_S = 0.1
AUDIBLE_BELOW_LOUDEST_DB = 25.0


def azimuth_over_time(foa_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (M,), azimuth of the energy peak (M,) with NaN where it is quiet, and level in dB (M,)."""
    foa = read_audio(foa_path)
    covariances = window_covariances(foa.samples, round(WINDOW_S * foa.rate_hz))
    level_db = 10 * np.log10(np.maximum(covariances[:, 0, 0], 1e-12))
    azimuth_deg, _ = angles_deg(np.nan_to_num(peak_vectors(energy_map(covariances))))
    azimuth_deg = np.where(level_db > level_db.max() - AUDIBLE_BELOW_LOUDEST_DB, azimuth_deg, np.nan)
    return (np.arange(len(level_db)) + 0.5) * WINDOW_S, azimuth_deg, level_db


def paint_truth(demo: Path) -> Path:
    """Paint the true sound of the demo's scene over its picture; returns the video."""
    video, foa = read_video(demo / "world" / "scene.mp4"), read_audio(demo / "world" / "scene.foa.wav")
    camera = json.loads((demo / "scene.json").read_text(encoding="utf-8"))["camera"]
    heard = listen_from(foa, CameraPose(camera["yaw_deg"], camera["pitch_deg"], camera["roll_deg"]))
    write_energy_video(demo / "world" / "scene.energy.mp4", video, heard, render_binaural(heard))
    return demo / "world" / "scene.energy.mp4"


def draw(demo: Path, out: Path, truth: bool) -> None:
    """Draw the picture of one demo folder."""
    times_s, heard_deg, level_db = azimuth_over_time(demo / ("world" if truth else ".") / "scene.foa.wav")
    true_times_s, meant_deg, true_level_db = azimuth_over_time(demo / "world" / "scene.foa.wav")
    painted = read_video(paint_truth(demo) if truth else demo / "scene.energy.mp4")
    loud = [int(part[0] + np.argmax(level_db[part])) for part in np.array_split(np.arange(len(times_s)), 3)]
    figure, axes = plt.subplot_mosaic(
        "abc;ddd;eee", figsize=(9, 6.2), height_ratios=[3, 1, 1], layout="constrained"
    )
    for name, index in zip("abc", loud, strict=True):
        axes[name].imshow(painted.frames_at([times_s[index]], crop=None)[0])
        axes[name].set_title(f"{times_s[index]:.2f} s")
        axes[name].axis("off")
    axes["d"].plot(true_times_s, true_level_db - true_level_db.max(), color="tab:blue")
    if not truth:
        axes["d"].plot(times_s, level_db - level_db.max(), color="tab:red")
    axes["d"].set(ylabel="level, dB", ylim=(-50, 3), xlim=(0, painted.duration_s), xticklabels=[])
    axes["e"].plot(true_times_s, meant_deg, "o", color="tab:blue", label="true sound", markersize=6)
    if not truth:
        axes["e"].plot(times_s, heard_deg, "x", color="tab:red", label="generated", markersize=5)
    axes["e"].set(ylabel="azimuth, °", xlabel="time, s", xlim=(0, painted.duration_s), ylim=(-180, 180))
    axes["e"].set_yticks([-180, -90, 0, 90, 180])
    axes["e"].legend(loc="lower right", ncols=2, fontsize="small")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "demo.png")
    parser.add_argument("--truth", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.demo / "scene.json").is_file():
        run(["demo", "--out", str(arguments.demo)])
    draw(arguments.demo, arguments.out, arguments.truth)


if __name__ == "__main__":
    main()
