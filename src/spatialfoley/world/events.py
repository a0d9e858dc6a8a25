"""When things happen: irregular events with silences between them."""

from dataclasses import dataclass

import numpy as np

from spatialfoley.world.kinds import SourceClass

LAST_ONSET_MARGIN_S = 0.15


@dataclass(frozen=True)
class Event:
    """One visible and audible event of a source.

    Attributes:
        time_s: Onset, in seconds from the start of the clip.
        length_s: How long a sustained event drives its source; 0 for a stroke.
        strength: Loudness and brightness, 0.6..1.
        pitch: Pitch relative to the source's own, about 0.94..1.06.
    """

    time_s: float
    length_s: float
    strength: float
    pitch: float


def draw_events(
    rng: np.random.Generator, kind: SourceClass, duration_s: float, sparseness: float = 1.0
) -> tuple[Event, ...]:
    """Draw the events of one source.

    Args:
        rng: Generator of this source's rhythm.
        kind: Class of the source.
        duration_s: Length of the clip, > 0.
        sparseness: Factor on the silences; larger than 1 in scenes of several sources.

    Returns:
        At least one event, ordered by onset; the last onset leaves room to be heard.
    """
    latest_s = max(duration_s - LAST_ONSET_MARGIN_S, 0.5 * duration_s)
    now_s = float(rng.uniform(0.05, min(1.5, 0.5 * latest_s) + 0.051))
    events: list[Event] = []
    while now_s < latest_s:
        strokes = int(rng.integers(kind.burst[0], kind.burst[1] + 1))
        period_s = float(rng.uniform(0.24, 0.45))
        for _ in range(strokes):
            if now_s >= latest_s:
                break
            length_s = float(rng.uniform(*kind.length_s))
            events.append(
                Event(now_s, length_s, float(rng.uniform(0.6, 1.0)), float(np.exp2(rng.uniform(-1, 1) / 12)))
            )
            now_s += period_s if strokes > 1 else length_s
        now_s += sparseness * float(rng.uniform(*kind.gap_s))
    return tuple(events)


def thin_collisions(
    rng: np.random.Generator, events: tuple[Event, ...], others: tuple[Event, ...]
) -> tuple[Event, ...]:
    """Drop most events that begin while another source is at work, so that sources mostly take turns.

    Args:
        rng: Generator of the choice.
        events: Events to thin.
        others: Events of the sources that go first.

    Returns:
        The events that stay; never none.
    """

    def collides(event: Event) -> bool:
        return any(
            other.time_s - 0.2 - event.length_s < event.time_s < other.time_s + other.length_s + 0.2
            for other in others
        )

    kept = tuple(event for event in events if not collides(event) or rng.random() < 0.3)
    return kept if kept else events[:1]
