"""How each class looks: soft shapes in a plane that touches the sphere at the source.

Coordinates u (right) and v (up) are in units of the body's radius; bodies fill about -1..1, effects reach
``REACH``. Idle bodies are dim and still; an onset lights them up at once.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from spatialfoley.world.activity import Activity
from spatialfoley.world.scenes import Source

REACH: Final = 1.8
IDLE_BRIGHTNESS: Final = 0.4


class Canvas:
    """Pixels of one source over time: premultiplied colour and coverage, painted from back to front."""

    def __init__(self, u: np.ndarray, v: np.ndarray, edge: float) -> None:
        """Start empty.

        Args:
            u: Plane coordinate to the right, shape (T, P, Q).
            v: Plane coordinate upward, shape (T, P, Q).
            edge: Width of soft edges, about one pixel, in the same unit.
        """
        self.u, self.v = u, v
        self.softness = np.float32(1.0 / max(edge, 0.02))
        self.colour = np.zeros((*u.shape, 3), np.float32)
        self.coverage = np.zeros(u.shape, np.float32)

    def mask(self, distance: np.ndarray) -> np.ndarray:
        """Return coverage 0..1 from a signed distance (negative inside), with soft edges."""
        return np.clip(np.float32(0.5) - distance * self.softness, 0, 1)

    def paint(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Lay a colour of shape (3,) or (T, 1, 1, 3) over what is there.

        Args:
            mask: Coverage of the new layer, 0..1, broadcasts to (T, P, Q).
            colour: RGB, 0..1.
        """
        mask = np.broadcast_to(mask, self.coverage.shape)
        self.coverage += mask * (1 - self.coverage)
        self.colour += mask[..., None] * (colour - self.colour)

    def disc(self, u0: np.ndarray | float, v0: np.ndarray | float, radius: np.ndarray | float) -> np.ndarray:
        """Return the coverage of a disc."""
        return self.mask(np.hypot(self.u - u0, self.v - v0) - radius)

    def ellipse(
        self, half_width: float, half_height: np.ndarray | float, v0: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Return the coverage of an upright ellipse (distance approximated along the shorter half axis)."""
        short = np.minimum(half_width, half_height)
        return self.mask((np.hypot(self.u / half_width, (self.v - v0) / half_height) - 1) * short)

    def box(self, u0: float, v0: float, half_width: float, half_height: float) -> np.ndarray:
        """Return the coverage of a rectangle."""
        return self.mask(np.maximum(np.abs(self.u - u0) - half_width, np.abs(self.v - v0) - half_height))

    def line(self, start: tuple, end: tuple, half_width: float) -> np.ndarray:
        """Return the coverage of a thick line between two points whose parts may be (T, 1, 1) arrays."""
        du, dv = end[0] - start[0], end[1] - start[1]
        along = ((self.u - start[0]) * du + (self.v - start[1]) * dv) / (du * du + dv * dv + 1e-6)
        along = np.clip(along, 0, 1)
        away = np.hypot(self.u - start[0] - along * du, self.v - start[1] - along * dv)
        return self.mask(away - half_width)

    def ring(self, radius: np.ndarray | float, half_width: float) -> np.ndarray:
        """Return the coverage of a ring about the centre."""
        return self.mask(np.abs(np.hypot(self.u, self.v) - radius) - half_width)


Look = Callable[[Canvas, Source, Activity], None]

WHITE: Final = np.ones(3, np.float32)
METAL: Final = np.array([0.75, 0.76, 0.8], np.float32)
DARK: Final = np.array([0.08, 0.08, 0.1], np.float32)


def body_colour(source: Source, state: Activity, whiten: float = 0.45) -> np.ndarray:
    """Return the colour of a body, dim when idle and brightened by a flash, shape (T, 1, 1, 3)."""
    base = np.clip(np.asarray(source.kind.colour_rgb) + source.hue_shift, 0, 1).astype(np.float32)
    lit = state.lit[..., None]
    colour = base * (IDLE_BRIGHTNESS + (1 - IDLE_BRIGHTNESS) * lit)
    return colour + (1 - colour) * (whiten * state.flash[..., None])


def approach(state: Activity, length_s: float, back_s: float) -> np.ndarray:
    """Return how far a striking part is from contact, 0..1: it speeds up to an onset and eases back after."""
    before = 1 - np.clip(1 - state.until_s / length_s, 0, 1) ** 2
    after = 1 - (1 - np.clip(state.since_s / back_s, 0, 1)) ** 2
    return np.minimum(before, after)


def _ball(canvas: Canvas, source: Source, state: Activity) -> None:
    height = -0.45 + 0.75 * approach(state, 0.35, 0.35)
    squash = 1 - 0.45 * np.clip(1 - state.since_s / 0.12, 0, 1)
    canvas.paint(canvas.box(0, -1.0, 0.85, 0.07), DARK)
    away = np.hypot((canvas.u) * squash, (canvas.v - height + 0.5 * (1 - squash)) / squash) - 0.52
    canvas.paint(canvas.mask(away), body_colour(source, state))


def _bell(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state)
    spread = np.clip(state.since_s / 0.3, 0, 1)
    canvas.paint(canvas.ring(0.75 + 0.95 * spread, 0.12) * (1 - spread), WHITE)
    canvas.paint(canvas.disc(0, 0, 0.72), colour)
    canvas.paint(canvas.ring(0.42, 0.09), 0.45 * colour)
    away = approach(state, 0.25, 0.3)
    canvas.paint(canvas.disc(0.8 + 0.6 * away, 0.15 + 0.75 * away, 0.24), METAL)


def _drum(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state, whiten=0.1)
    skin = np.array([0.95, 0.88, 0.7], np.float32) * (0.5 + 0.5 * state.lit[..., None])
    canvas.paint(canvas.box(0, -0.3, 0.92, 0.5), colour)
    canvas.paint(canvas.ellipse(0.92, 0.3, -0.8), colour)
    swell = 1 + 0.35 * state.flash * np.cos(2 * np.pi * 9 * state.since_s)
    canvas.paint(canvas.ellipse(0.98, 0.36 * swell, 0.2), skin + (1 - skin) * state.flash[..., None])
    lift = approach(state, 0.22, 0.3)
    for side in (-1, 1):
        tip = (0.2 * side + 0 * lift, 0.28 + 0.5 * lift)
        canvas.paint(canvas.line(tip, (side * (0.75 + 0 * lift), 0.75 + 0.75 * lift), 0.08), METAL)


def _rotor(canvas: Canvas, source: Source, state: Activity) -> None:
    radius = np.hypot(canvas.u, canvas.v)
    angle = np.arctan2(canvas.v, canvas.u) - state.turned_rad
    blades = np.maximum(radius - 1.0, (0.25 - np.cos(3 * angle)) * radius / 3)
    canvas.paint(0.35 * state.active * canvas.disc(0, 0, 1.05), WHITE)
    canvas.paint(canvas.mask(blades), body_colour(source, state, whiten=0.3))
    canvas.paint(canvas.disc(0, 0, 0.24), DARK)


def _lamp(canvas: Canvas, source: Source, state: Activity) -> None:
    grow = 1 + 0.75 * state.flash
    halo = np.clip(1.7 - np.hypot(canvas.u, canvas.v), 0, 1) * state.flash
    canvas.paint(halo, np.array([0.8, 0.9, 1.0], np.float32))
    star = np.sqrt(np.abs(canvas.u)) + np.sqrt(np.abs(canvas.v)) - np.sqrt(1.1 * grow)
    canvas.paint(canvas.box(0, 0, 0.58, 0.58), DARK)
    canvas.paint(canvas.mask(star), body_colour(source, state, whiten=0.9))


def _bird(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state)
    beating = np.clip(1 - state.since_s / 0.3, 0, 1) > 0
    beat = np.where(beating, np.cos(2 * np.pi * state.since_s / 0.15), 0)
    lift = 0.25 + 0.6 * np.maximum(beat, np.clip(1 - state.until_s / 0.15, 0, 1)) - 0.3 * (beat < 0)
    for side in (-1, 1):
        canvas.paint(canvas.line((0.1 * side, 0.0), (1.15 * side, lift), 0.2), 0.8 * colour)
    canvas.paint(canvas.ellipse(0.42, 0.62, -0.05), colour)
    canvas.paint(canvas.disc(0, 0.55, 0.3), colour)
    canvas.paint(canvas.box(0, 0.5, 0.1, 0.14), np.array([1.0, 0.7, 0.1], np.float32))


def _fountain(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state, whiten=0.3)
    drops = np.zeros_like(canvas.u)
    for index in range(9):
        flight = np.modf(state.time_s * 2.1 + index * 0.618)[0]
        side = 1.1 * np.sin(2.4 * index) * flight
        drops = np.maximum(drops, canvas.disc(side, -0.6 + 4.2 * flight * (1 - 0.8 * flight), 0.19))
    canvas.paint(0.9 * state.active * canvas.box(0, 0.1, 0.22, 0.85), np.array([0.75, 0.88, 1.0], np.float32))
    canvas.paint(state.active * drops, np.array([0.8, 0.92, 1.0], np.float32))
    canvas.paint(canvas.ellipse(1.0, 0.42, -0.55), colour)
    canvas.paint(canvas.ellipse(0.7, 0.2, -0.42), 0.5 * colour)


def _metronome(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state)
    trapezoid = np.maximum(np.abs(canvas.v) - 0.95, np.abs(canvas.u) - 0.55 + 0.28 * canvas.v)
    canvas.paint(canvas.mask(trapezoid), colour)
    between = np.minimum(state.since_s + state.until_s, 0.5)
    after = np.clip(state.since_s / between, 0, 1)
    swing = np.sin(np.pi * after) * np.where(state.count % 2 == 0, 1, -1)
    before = np.where(state.since_s > 0.5, np.sin(np.pi * np.clip(state.until_s / 0.3, 0, 1)), 0)
    angle = 0.75 * (swing + before * np.where(state.count % 2 == 0, 1, -1))
    tip = (1.6 * np.sin(angle), -0.7 + 1.6 * np.cos(angle))
    canvas.paint(canvas.line((0 * angle, -0.7 + 0 * angle), tip, 0.1), WHITE)


def _horn(canvas: Canvas, source: Source, state: Activity) -> None:
    colour = body_colour(source, state, whiten=0.35)
    spread = np.modf(2.5 * np.minimum(state.since_s, 100.0))[0]
    canvas.paint(state.active * canvas.ring(0.95 + 0.75 * spread, 0.1) * (1 - spread), colour)
    canvas.paint(canvas.box(0, 0, 0.85, 0.85), colour)
    canvas.paint(canvas.disc(0, 0, 0.25 + 0.38 * state.lit), DARK)
    canvas.paint(state.active * canvas.disc(0, 0, 0.22), np.array([1.0, 0.75, 1.0], np.float32))


LOOKS: Final[dict[str, Look]] = {
    "ball": _ball,
    "bell": _bell,
    "drum": _drum,
    "rotor": _rotor,
    "lamp": _lamp,
    "bird": _bird,
    "fountain": _fountain,
    "metronome": _metronome,
    "horn": _horn,
}
