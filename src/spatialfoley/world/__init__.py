"""A synthetic audio-visual world whose truth is known to the sample and the degree."""

from spatialfoley.world.files import ClipFiles, ClipFormat, write_clip, write_set
from spatialfoley.world.kinds import CLASSES
from spatialfoley.world.render import render_panorama, render_view
from spatialfoley.world.scenes import SCENE_KINDS, Scene, Source, WorldSettings, make_scene
from spatialfoley.world.seeds import HELD_OUT_SEEDS, TRAIN_SEEDS, held_out_seed
from spatialfoley.world.soundfield import render_foa, render_foa_camera, render_mono
from spatialfoley.world.sounds import render_source_signals
from spatialfoley.world.truth import SceneTruth, truth_at

__all__ = [
    "CLASSES",
    "HELD_OUT_SEEDS",
    "SCENE_KINDS",
    "TRAIN_SEEDS",
    "ClipFiles",
    "ClipFormat",
    "Scene",
    "SceneTruth",
    "Source",
    "WorldSettings",
    "held_out_seed",
    "make_scene",
    "render_foa",
    "render_foa_camera",
    "render_mono",
    "render_panorama",
    "render_source_signals",
    "render_view",
    "truth_at",
    "write_clip",
    "write_set",
]
