"""The world around the sources: soft colours fixed in the world, and a few dull things that make no sound."""

from dataclasses import dataclass

import numpy as np

from spatialfoley.world.layout import draw_direction

WAVES = 4


@dataclass(frozen=True)
class Bystander:
    """A still thing that never sounds.

    Attributes:
        vector: Its direction in the world, shape (3,).
        radius_deg: Its angular radius.
        shape: "diamond", "ring" or "post".
        colour: Dull RGB, shape (3,).
    """

    vector: np.ndarray
    radius_deg: float
    shape: str
    colour: np.ndarray


@dataclass(frozen=True)
class Background:
    """Colours as functions of direction.

    Attributes:
        sky: RGB above the horizon, shape (3,).
        ground: RGB below, shape (3,).
        sharpness: Steepness of the horizon.
        wave_vectors: Directions and rates of the texture's waves, shape (WAVES, 3).
        phases: Their phases, shape (WAVES,).
        amplitudes: Their colours, shape (WAVES, 3).
        bystanders: Still things.
    """

    sky: np.ndarray
    ground: np.ndarray
    sharpness: float
    wave_vectors: np.ndarray
    phases: np.ndarray
    amplitudes: np.ndarray
    bystanders: tuple[Bystander, ...]


def draw_background(seed: int) -> Background:
    """Draw the background of a scene from its seed."""
    rng = np.random.default_rng((seed, 3))
    grey = rng.uniform(0.15, 0.5, size=(2, 1))
    colours = np.clip(grey + rng.uniform(-0.08, 0.08, size=(2, 3)), 0.05, 0.6)
    directions = rng.normal(size=(WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rates = np.array([2.0, 3.5, 7.0, rng.uniform(10, 22)])
    # Nearly grey: strong colours belong to things that sound.
    tints = rng.uniform(-0.05, 0.05, size=(WAVES, 1)) + rng.uniform(-0.025, 0.025, size=(WAVES, 3))
    bystanders = tuple(
        Bystander(
            vector=draw_direction(rng),
            radius_deg=float(rng.uniform(4, 9)),
            shape=str(rng.choice(("diamond", "ring", "post"))),
            colour=np.clip(rng.uniform(0.1, 0.55) + rng.uniform(-0.06, 0.06, size=3), 0, 1).astype(
                np.float32
            ),
        )
        for _ in range(int(rng.integers(0, 7)))
    )
    return Background(
        sky=colours[0].astype(np.float32),
        ground=colours[1].astype(np.float32),
        sharpness=float(rng.uniform(3, 25)),
        wave_vectors=directions * rates[:, None],
        phases=rng.uniform(0, 2 * np.pi, size=WAVES).astype(np.float32),
        amplitudes=tints.astype(np.float32),
        bystanders=bystanders,
    )


def shade_background(background: Background, rays: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Colour every ray.

    Args:
        background: The world's colours.
        rays: Unit vectors in the raster's frame, shape (H, W, 3).
        matrices: v_world = R v_raster, shape (T, 3, 3).

    Returns:
        RGB 0..1, float32, shape (T, H, W, 3).
    """
    height, width, _ = rays.shape
    count = len(matrices)
    world = np.concatenate([background.wave_vectors, [[0.0, 0.0, 1.0]]])
    # Waves are linear in the ray before the sine: turning their few vectors replaces turning every ray.
    turned = np.einsum("kj,tji->tik", world, matrices).astype(np.float32)
    phases = np.matmul(rays.reshape(-1, 3), turned)
    horizon = np.clip(0.5 + np.float32(background.sharpness) * phases[..., -1:], 0, 1)
    waves = np.sin(phases[..., :-1] + background.phases)
    picture = waves @ background.amplitudes
    picture += background.ground
    picture += horizon * (background.sky - background.ground)
    return np.ascontiguousarray(picture.reshape(count, height, width, 3))
