"""What the field metrics and the geometry under them give for sounds whose answer is known.

Each function measures one figure with the installed code; `golden.json` holds what it has to be. Sounds are made
here from closed formulas, without a random generator that may change between versions.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.evaluation.metrics.direction import (
    WindowDirections,
    intensity_ratio,
    left_right_confusion,
    spatial_coherence,
    weighted_angle_deg,
    window_directions,
)
from spatialfoley.evaluation.metrics.energy_distance import energy_map_l1
from spatialfoley.evaluation.metrics.energy_overlap import Variant, covariances_over_time, energy_overlap
from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, grid_directions, peak_cells, peak_vectors
from spatialfoley.spatial.foa import encode, from_fuma, from_n3d, listen_from, to_fuma, to_n3d
from spatialfoley.spatial.projection import panorama_pixels, perspective, view_directions
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.single_direction import ambi_encode, mono_decode
from spatialfoley.spatial.statistics import intensity_directions

FloatArray = NDArray[np.floating]
Measure = Callable[[], float | list[float]]

RATE_HZ = 16000
SECONDS = 4
_SAMPLES = RATE_HZ * SECONDS


def tone(cycles_per_s: int, rms: float = 0.1) -> NDArray[np.float32]:
    """A tone of whole cycles per second, so that tones of different pitch are orthogonal in every second."""
    times_s = np.arange(_SAMPLES) / RATE_HZ
    return (rms * np.sqrt(2.0) * np.sin(2 * np.pi * cycles_per_s * times_s)).astype(np.float32)


def wave(azimuth_deg: float, elevation_deg: float = 0.0) -> NDArray[np.float32]:
    """A plane wave."""
    return encode(tone(500), unit_vectors(azimuth_deg, elevation_deg))


def diffuse(rms: float = 0.1) -> NDArray[np.float32]:
    """A diffuse field: orthogonal channels, a third of W's power in each of Y, Z, X."""
    third = rms / np.sqrt(3.0)
    return np.stack([tone(700, rms), tone(800, third), tone(900, third), tone(1000, third)])


def _overlap(
    found: str, azimuth_deg: float, variant: Variant = "correct", windows_per_s: float | None = None
) -> float:
    score = energy_overlap(wave(0.0), wave(azimuth_deg), RATE_HZ, windows_per_s, variant)
    value = score.cc if found == "cc" else score.auc
    return float("nan") if value is None else value


def _distance(azimuth_deg: float) -> float:
    found = energy_map_l1(wave(0.0), wave(azimuth_deg), RATE_HZ)
    return float("nan") if found is None else found


def _distance_from_w() -> float:
    field = wave(0.0).copy()
    field[1:] = 0.0
    found = energy_map_l1(wave(0.0), field, RATE_HZ)
    return float("nan") if found is None else found


def _jumping_cc() -> float:
    """A source that jumps from the front to the left at half time, against one that stays."""
    jumping = np.concatenate([wave(0.0)[:, : _SAMPLES // 2], wave(90.0)[:, : _SAMPLES // 2]], axis=1)
    return energy_overlap(jumping, wave(0.0), RATE_HZ, 5.0).cc or 0.0


def _silent_half() -> list[float]:
    """CC and count of windows where the truth is silent for half of the clip and the estimate never."""
    truth = wave(40.0).copy()
    truth[:, : _SAMPLES // 2] = 0.0
    score = energy_overlap(truth, wave(40.0), RATE_HZ, 1.0)
    return [score.cc or 0.0, float(score.scored), float(score.reference_silent)]


def _map_gap() -> float:
    """Largest gap between the map of a plane wave and 1 + the cosine to its direction."""
    field = wave(37.0, 21.0)
    found = energy_map(covariance(field))
    return float(np.max(np.abs(found / 0.1 - (1 + grid_directions() @ unit_vectors(37.0, 21.0)))))


def _peak_cell(azimuth_deg: float, elevation_deg: float) -> list[float]:
    found = peak_cells(energy_map(covariance(wave(azimuth_deg, elevation_deg)), "reference"))
    return [float(value) for value in found]


def _encoding_gap() -> float:
    """Largest gap of W, Y, Z, X of four plane waves from what their directions say."""
    wanted = {(0, 0): (1, 0, 0, 1), (90, 0): (1, 1, 0, 0), (0, 90): (1, 0, 1, 0), (180, 0): (1, 0, 0, -1)}
    gaps = [
        np.abs(encode(np.ones(1), unit_vectors(*angles))[:, 0] - gains) for angles, gains in wanted.items()
    ]
    return float(np.max(gaps))


def _conversion_gap() -> float:
    """FuMa and N3D: what they are of a plane wave, and there and back."""
    field = encode(np.ones(1), unit_vectors(30.0, 20.0))
    w, y, z, x = field[:, 0]
    fuma, n3d = to_fuma(field), to_n3d(field)
    gaps = [fuma[:, 0] - [w * np.sqrt(0.5), x, y, z], n3d[:, 0] - np.array([w, y, z, x]) * [1, *3 * [3**0.5]]]
    gaps += [from_fuma(fuma)[:, 0] - field[:, 0], from_n3d(n3d)[:, 0] - field[:, 0]]
    return float(np.max(np.abs(gaps)))


def _peak_error_deg() -> float:
    """Largest angle between the map's peak and the source, over seven directions."""
    places = [(azimuth, (azimuth * 7) % 100 - 50) for azimuth in range(-170, 180, 50)]
    found = [peak_vectors(energy_map(covariance(wave(*place)))) for place in places]
    return float(np.max(angle_between_deg(np.array([unit_vectors(*place) for place in places]), found)))


def _intensity_error_deg() -> float:
    found = intensity_directions(covariance(wave(-110.0, 35.0) + diffuse()))
    return float(angle_between_deg(unit_vectors(-110.0, 35.0), found))


def _turned_angle_deg() -> float:
    """A source 50° beside the truth, through the windows and weights of the suites."""
    directions = window_directions(covariances_over_time(wave(70.0), RATE_HZ, 2.0))
    truth = np.broadcast_to(unit_vectors(20.0, 0.0), directions.peak.shape)
    return weighted_angle_deg(truth, directions)


def _mirrored_share() -> float:
    directions = window_directions(covariances_over_time(wave(-60.0), RATE_HZ, 2.0))
    truth = np.broadcast_to(unit_vectors(60.0, 0.0), directions.peak.shape)
    share = left_right_confusion(truth, WindowDirections(directions.peak, directions.energy))
    return float("nan") if share is None else share


def _psi_and_coherence(field: FloatArray) -> list[float]:
    covariances = covariances_over_time(field, RATE_HZ, 2.0)
    return [intensity_ratio(covariances) or 0.0, spatial_coherence(covariances) or 0.0]


def _decoded(variant: str, azimuth_deg: float) -> float:
    """Gain with which a field is heard in the direction of its only source, and with which in the opposite one."""
    field = encode(np.ones(1), unit_vectors(70.0, 0.0))
    return float(mono_decode(field, Direction(azimuth_deg), variant)[0])  # type: ignore[arg-type]


def _product_of_the_stray_division() -> float:
    field = np.array([[0.5], [0.3], [0.2], [0.4]], np.float32)
    return float(mono_decode(field, Direction(-30.0, 0.0), "reference_bug")[0])


def _published_encoder() -> list[float]:
    """Gains of W, Y, Z, X with which the released script places a source that is at the left."""
    found = ambi_encode(np.ones(1), Direction(90.0), "reference")
    return [float(found[channel, 0]) for channel in (W, Y, Z, X)]


def _picture_and_sound_apart_deg() -> float:
    """Largest angle between a bright dot and a plane wave of one direction after the same camera pose."""
    height, size = 180, 96
    poses = [CameraPose(20, 5, 10), CameraPose(-75, -20, 0), CameraPose(160, 30, -15), CameraPose(90, 0, 45)]
    apart = []
    for index, pose in enumerate(poses):
        seen = unit_vectors(24.0 - 15 * index, 12.0 - 9 * index)
        world = pose.matrix() @ seen
        picture = _dot(world, height)
        view = perspective(picture, pose, 90.0, size).astype(float).sum(axis=-1)
        bright = view_directions(size, 90.0)[np.unravel_index(np.argmax(view), view.shape)]
        heard = listen_from(SpatialAudio(encode(tone(500), world), RATE_HZ, "foa"), pose)
        peak = peak_vectors(energy_map(covariance(heard.samples)))
        apart.append(float(angle_between_deg(bright, peak)))
    return max(apart)


def _dot(vector: FloatArray, height: int) -> NDArray[np.uint8]:
    """A panorama that is black but for a soft dot in one direction."""
    column, row = panorama_pixels(vector, height, 2 * height)
    rows, columns = np.mgrid[:height, : 2 * height]
    across = (columns - column + height) % (2 * height) - height
    gap = (rows - row) ** 2 + (across * np.cos(np.arcsin(vector[2]))) ** 2
    bright = np.round(255 * np.exp(-gap / 4.0)).astype(np.uint8)
    return np.repeat(bright[..., None], 3, axis=-1)


MEASURES: dict[str, Measure] = {
    "encoding of front, left, up, back": _encoding_gap,
    "FuMa and N3D there and back": _conversion_gap,
    "map of a plane wave": _map_gap,
    "published map: peak of (0°, 45°)": lambda: _peak_cell(0, 45),
    "published map: peak of (30°, 20°)": lambda: _peak_cell(30, 20),
    "published map: peak of (-90°, 0°)": lambda: _peak_cell(-90, 0),
    "CC of a field with itself": lambda: _overlap("cc", 0),
    "CC of waves 60° apart": lambda: _overlap("cc", 60),
    "CC of waves 120° apart": lambda: _overlap("cc", 120),
    "CC as published, 60° apart": lambda: _overlap("cc", 60, "reference"),
    "AUC of a field with itself": lambda: _overlap("auc", 0),
    "AUC of waves 60° apart": lambda: _overlap("auc", 60),
    "AUC of waves 180° apart": lambda: _overlap("auc", 180),
    "AUC as published, with itself": lambda: _overlap("auc", 0, "reference"),
    "AUC as published, 60° apart": lambda: _overlap("auc", 60, "reference"),
    "map L1 of waves 60° apart": lambda: _distance(60),
    "map L1 of waves 180° apart": lambda: _distance(180),
    "map L1 of a wave and W alone": _distance_from_w,
    "CC 5 fps of a source that jumps": _jumping_cc,
    "CC 1 fps, truth silent for half": _silent_half,
    "direction of the map's peak": _peak_error_deg,
    "direction of the intensity": _intensity_error_deg,
    "angle of a source 50° off": _turned_angle_deg,
    "left for right, mirrored": _mirrored_share,
    "psi, coherence: plane wave": lambda: _psi_and_coherence(wave(33.0, -12.0)),
    "psi, coherence: diffuse field": lambda: _psi_and_coherence(diffuse()),
    "psi, coherence: half and half": lambda: _psi_and_coherence(wave(33.0, -12.0) + diffuse()),
    "mono decode towards the source": lambda: _decoded("correct", 70.0),
    "mono decode away from the source": lambda: _decoded("correct", -110.0),
    "mono decode as published": lambda: _decoded("reference", 70.0),
    "mono decode, stray division": _product_of_the_stray_division,
    "Ambi Enc. as published, from the left": _published_encoder,
    "picture and sound, same camera": _picture_and_sound_apart_deg,
}
