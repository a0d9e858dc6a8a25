"""Draw ``docs/images/world.png``: every class before and after an onset, and one panorama.

python docs/make_world_picture.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from spatialfoley.world import CLASSES, Scene, make_scene, render_panorama, render_view

AGES_MS = (-150, -50, 10, 60, 110, 160, 260)
TARGET = Path(__file__).parent / "images" / "world.png"


def scene_of(name: str) -> Scene:
    """Return the first scene whose only source is of a class and near."""
    scenes = (make_scene(seed, "centred", "static") for seed in range(10_000))
    return next(s for s in scenes if s.sources[0].class_name == name and s.sources[0].distance < 1.2)


def main() -> None:
    """Draw the picture."""
    figure = plt.figure(figsize=(9.6, 8.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(3.1, 1))
    axes = upper.subplots(9, len(AGES_MS))
    for row, name in zip(axes, CLASSES, strict=True):
        scene = scene_of(name)
        moments = scene.sources[0].events[0].time_s + np.array(AGES_MS) / 1000
        for axis, frame, age_ms in zip(row, render_view(scene, moments, 96, 60.0), AGES_MS, strict=True):
            axis.imshow(frame[24:72])
            axis.set_xticks([])
            axis.set_yticks([])
            if name == CLASSES[0]:
                axis.set_title(f"{age_ms:+d} ms", fontsize=8)
        row[0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    axis = lower.subplots()
    axis.imshow(
        render_panorama(make_scene(12, "several"), np.array([2.0]), 240)[0], extent=(180, -180, -90, 90)
    )
    axis.set_xlabel("azimuth (degrees, left +)", fontsize=8)
    axis.set_ylabel("elevation", fontsize=8)
    axis.tick_params(labelsize=7)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, dpi=80)


if __name__ == "__main__":
    main()
