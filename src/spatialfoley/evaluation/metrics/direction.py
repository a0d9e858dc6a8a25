"""Where a field's sound comes from, and how far that is from where it should come from.

Conventions:
    Fields are FOA of shape (4, N) in AmbiX, axes as in `spatialfoley.conventions`. Directions are unit
    vectors (front, left, up). Statistics of a field come from its covariance (4, 4), or a stack of them (M,
    4, 4), one per
    window: `energy_overlap.covariances_over_time` makes them. Angles are in degrees, [0, 180]; 90 is chance.

References:
    Peak of the energy map: ViSAGe (ICLR 2025), closed form through the covariance. Intensity vector (the other
    way to read a direction; the two differ where several sources sound or the field is diffuse) and diffuseness:
    Merimaa and Pulkki, "Spatial Impulse Response Rendering", JAES 2005 (psi here is 1 minus their diffuseness).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.spatial.direction import angle_between_deg
from spatialfoley.spatial.energy_map import checked_covariance, energy_map, peak_vectors
from spatialfoley.spatial.statistics import directionality, intensity_directions

FloatArray = NDArray[np.floating]

CHANCE_DEG = 90.0
"""Mean angle between two random directions: the score of a field without any energy."""

LATERAL_LIMIT_DEG = 10.0
"""Sources nearer than this to the plane of symmetry have no side."""


@dataclass(frozen=True)
class WindowDirections:
    """Where the sound of consecutive windows of a field comes from.

    Attributes:
        peak: Unit vectors to the peak of the SN3D energy map, or along the intensity, shape (M, 3); NaN where the
            field has no direction.
        energy: Energy of each window, shape (M,).
    """

    peak: FloatArray
    energy: FloatArray


def window_directions(covariances: FloatArray) -> WindowDirections:
    """Peak direction and energy of every window, covariances of shape (M, 4, 4)."""
    peak = peak_vectors(energy_map(covariances, variant="sn3d"))
    return WindowDirections(peak, np.trace(covariances, axis1=1, axis2=2))


def intensity_window_directions(covariances: FloatArray) -> WindowDirections:
    """Direction of the mean active intensity and energy of every window, covariances of shape (M, 4, 4).

    Towards the source, as the peak is, but without a grid. For several sources at once it is the mean of their
    directions weighed by their energies; the peak lies nearer to the strongest.
    """
    return WindowDirections(intensity_directions(covariances), np.trace(covariances, axis1=1, axis2=2))


def weighted_angle_deg(reference: FloatArray, estimate: WindowDirections) -> float:
    """Angle between the true direction and the energy peak, windows weighted by the estimate's energy.

    A visible source has a direction at any time, sounding or not: whatever sound there is should come from
    there. So the estimate's energy decides which windows count.

    Args:
        reference: True direction in every window, unit vectors of shape (M, 3).
        estimate: Directions of the field to score, M windows, by peak or by intensity.

    Returns:
        Degrees in [0, 180]; 90 (chance) for a silent field.
    """
    _check_windows(reference, estimate)
    total = float(np.sum(estimate.energy))
    if total <= 0:
        return CHANCE_DEG
    angles = angle_between_deg(reference, estimate.peak)
    # Sound without a peak comes from everywhere, which is no better than chance.
    angles = np.where(np.isnan(angles), CHANCE_DEG, angles)
    return float(angles @ estimate.energy / total)


def left_right_confusion(reference: FloatArray, estimate: WindowDirections) -> float | None:
    """Share of the estimate's energy that comes from the wrong side, while the source has a side.

    Args:
        reference: True direction in every window in the listener's (camera's) axes, shape (M, 3).
        estimate: Directions of the field in the same axes, M windows.

    Returns:
        Share in [0, 1]; None when the source never leaves the middle (10°) or the field is silent.
    """
    _check_windows(reference, estimate)
    lateral = np.abs(reference[:, 1]) > np.sin(np.radians(LATERAL_LIMIT_DEG))
    lateral &= np.isfinite(estimate.peak[:, 1])
    total = float(np.sum(estimate.energy[lateral]))
    if total <= 0:
        return None
    wrong = np.sign(reference[:, 1]) * estimate.peak[:, 1] < 0
    return float(np.sum(estimate.energy[lateral & wrong]) / total)


def intensity_ratio(covariances: FloatArray) -> float | None:
    """psi = |I| / E, energy-weighted over windows: 1 for a plane wave, 0 for a diffuse field.

    Args:
        covariances: Shape (M, 4, 4); short windows, so that a moving source does not look diffuse.

    Returns:
        Ratio in [0, 1]; None for a silent field.

    Raises:
        ValueError: A covariance is not finite or of another shape.
    """
    covariances = checked_covariance(covariances, "covariances")
    energy = np.trace(covariances, axis1=1, axis2=2)
    total = float(np.sum(energy))
    return float(directionality(covariances) @ energy / total) if total > 0 else None


def spatial_coherence(covariances: FloatArray) -> float | None:
    """Share of the energy of Y, Z, X that a gain on W explains, over all windows: 1 for a plane wave.

    Args:
        covariances: Shape (M, 4, 4).

    Returns:
        Share in [0, 1]; None when Y, Z, X are silent.

    Raises:
        ValueError: A covariance is not finite or of another shape.
    """
    covariances = checked_covariance(covariances, "covariances")
    directional = np.trace(covariances[:, 1:, 1:], axis1=1, axis2=2)
    total = float(np.sum(directional))
    if total <= 0:
        return None
    omni = covariances[:, W, W]
    cross = np.sum(covariances[:, W, 1:] ** 2, axis=1)
    explained = np.divide(cross, omni, out=np.zeros_like(cross), where=omni > 0)
    return float(np.sum(explained) / total)


def _check_windows(reference: FloatArray, estimate: WindowDirections) -> None:
    if reference.shape != estimate.peak.shape:
        raise ValueError(
            f"reference has shape {reference.shape}, the estimate's peaks {estimate.peak.shape}; "
            "give one direction per window"
        )
    if not np.all(np.isfinite(reference)):
        raise ValueError("reference holds NaN or infinite directions; give a true direction for every window")
