"""ViSAGe offered to the streaming loop: the chain's three steps for one window at a time."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spatialfoley.media.video import Video
from spatialfoley.pipeline.clip import Camera, GenerationSettings, Report
from spatialfoley.pipeline.post_processing import choices_from_tensors, choices_to_tensors
from spatialfoley.pipeline.reranking import Choice
from spatialfoley.pipeline.stream import Carry
from spatialfoley.pipeline.window_steps import Sight
from spatialfoley.pipeline.windows import Window
from spatialfoley.spatial.foa import as_trajectory

if TYPE_CHECKING:
    from spatialfoley.pipeline.chain import Pipeline


class FieldWindows:
    """The sound field of one clip, made window by window: a `WindowMaker`.

    What it makes is what the steps by hand make of the whole clip. Frames of a window are read when it is made, and
    nothing of it stays but its last codes.

    Attributes:
        plan: the windows of the clip.
    """

    layout: Literal["foa"] = "foa"

    def __init__(
        self,
        pipe: "Pipeline",
        video: Video,
        camera: Camera,
        settings: GenerationSettings,
        report: Report = lambda fraction: None,
    ) -> None:
        """Prepare a clip.

        Args:
            pipe: the model.
            video: the picture.
            camera: where the picture's centre points, seconds counted from the start of the clip.
            settings: as for ``Pipeline.generate``; rate and chain are not applied.
            report: told the fraction of the whole clip that is done, many times in a window.

        Raises:
            ValueError: if the seed is negative, or a score needs what is not installed.
        """
        self._steps, self._report, self._names = pipe.steps, report, settings.rerank
        self._drawing = pipe.drawing(video, settings)
        self.rate_hz = pipe.rate_hz
        self.plan = pipe.steps.plan(video.duration_s)
        self._sight = Sight(video, self.plan, as_trajectory(camera), settings.panorama)

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """The field (4, window.length) of one window in world axes, its last codes, and all choices so far."""
        steps, sight, index = self._steps, self._sight, window.index
        conditions = steps.conditions(sight.video, self.plan, index, sight.camera, sight.panorama)
        carry = carry or {}

        def on_row(row: int, rows: int) -> None:
            self._report((index + row / rows) / len(self.plan.starts))

        codes, choice = steps.draw(conditions, sight, index, self._drawing, carry.get("codes"), on_row)
        choices = self.choices(carry) + (() if choice is None else (choice,))
        end = steps.end_of(codes, self.plan, index)
        kept = {} if end is None else {"codes": end.cpu()}
        return steps.field(codes, self.plan, index, sight.camera), {**kept, **choices_to_tensors(choices)}

    def choices(self, carry: Carry) -> tuple[Choice, ...]:
        """Which candidates were taken up to a window, by what it left."""
        return choices_from_tensors(carry, self._names)
