"""Reading a video in passes that overlap and move on, without looking for key frames each time.

A window of a long clip begins a little before the one before it ended. To go back there, a file is entered at the
last key frame before that moment; files of browsers and screen recorders may have none but the first, and would be
decoded from their start for every window. Here passes that ended stay open, and a new one goes on from the nearest
that has not gone too far: windows take turns, and every frame is decoded about twice, whatever the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from av.video.frame import VideoFrame

from spatialfoley.media.frame_sources import FrameSource

TimedFrame = tuple[float, VideoFrame]

LONGEST_WALK_S = 30.0
"""A pass that ended further back is not gone on with: key frames are nearer than that in most files."""


@dataclass
class _Pass:
    """A pass that ended: the last two frames it gave, and those that follow."""

    following: Iterator[TimedFrame]
    given: list[TimedFrame] = field(default_factory=list)

    def frames(self) -> Iterator[TimedFrame]:
        yield from list(self.given)
        for timed in self.following:
            self.given = [*self.given[-1:], timed]
            yield timed


class WalkedSource:
    """A source whose passes are gone on with by later ones."""

    def __init__(self, source: FrameSource, most_open: int) -> None:
        """Hold up to `most_open` passes of a source open, with two frames each."""
        self._source, self._most_open = source, most_open
        self._ended: list[_Pass] = []

    @property
    def pixel_aspect(self) -> float:
        """Width of a stored pixel over its height."""
        return self._source.pixel_aspect

    def frames_from(self, time_s: float) -> Iterator[TimedFrame]:
        """Yield (seconds, frame) in showing order, the first one not after `time_s` where there is one."""
        behind = [p for p in self._ended if time_s - LONGEST_WALK_S <= p.given[0][0] <= time_s]
        if behind:
            walk = max(behind, key=lambda ended: ended.given[0][0])
            self._ended.remove(walk)
        else:
            walk = _Pass(self._source.frames_from(time_s))
        try:
            yield from walk.frames()
        finally:
            # Also where the caller has seen enough; after an error `following` is at its end, and harmless.
            if walk.given:
                self._ended = [*self._ended, walk][-self._most_open :]

    def frame_times(self, from_s: float, to_s: float) -> Iterator[float]:
        """Yield time stamps in any order: at least all between the two times."""
        return self._source.frame_times(from_s, to_s)
