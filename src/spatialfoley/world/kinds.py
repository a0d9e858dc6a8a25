"""The classes of things that sound in the world: their names, kinds of activity and rhythm."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class SourceClass:
    """What all sources of one class share.

    Attributes:
        name: The class name that truth documents carry.
        sustained: Whether an event lasts (engine, spray, horn) or is a single stroke.
        colour_rgb: Colour of the lit body, each in 0..1.
        gap_s: Smallest and largest silence between the end of an event and the next one.
        length_s: Shortest and longest event of a sustained class; (0, 0) for strokes.
        burst: Fewest and most strokes that follow each other regularly (metronome); (1, 1) otherwise.
    """

    name: str
    sustained: bool
    colour_rgb: tuple[float, float, float]
    gap_s: tuple[float, float]
    length_s: tuple[float, float] = (0.0, 0.0)
    burst: tuple[int, int] = (1, 1)


SOURCE_CLASSES: Final[tuple[SourceClass, ...]] = (
    SourceClass("ball", False, (0.95, 0.16, 0.10), (0.40, 1.40)),
    SourceClass("bell", False, (1.00, 0.78, 0.12), (0.60, 1.80)),
    SourceClass("drum", False, (0.62, 0.36, 0.16), (0.30, 1.30)),
    SourceClass("rotor", True, (0.10, 0.88, 0.86), (0.50, 1.50), (0.50, 1.80)),
    SourceClass("lamp", False, (0.92, 0.94, 1.00), (0.55, 1.60)),
    SourceClass("bird", False, (0.18, 0.85, 0.16), (0.40, 1.40)),
    SourceClass("fountain", True, (0.18, 0.38, 1.00), (0.50, 1.50), (0.40, 1.60)),
    SourceClass("metronome", False, (1.00, 0.22, 0.66), (0.60, 1.50), burst=(3, 7)),
    SourceClass("horn", True, (0.58, 0.20, 0.92), (0.50, 1.50), (0.25, 1.00)),
)

CLASSES: Final[tuple[str, ...]] = tuple(entry.name for entry in SOURCE_CLASSES)
"""Class names, in the order of every class index."""


def source_class(name: str) -> SourceClass:
    """Return the description of a class.

    Args:
        name: One of ``CLASSES``.

    Raises:
        ValueError: If there is no such class.
    """
    for entry in SOURCE_CLASSES:
        if entry.name == name:
            return entry
    raise ValueError(f"name is {name!r}, but the world has only {', '.join(CLASSES)}")
