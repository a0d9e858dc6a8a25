"""ViSAGe offered to the streaming loop: the chain's three steps for one window at a time."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spatialfoley.media.video import Video
from spatialfoley.pipeline.clip import Camera, GenerationSettings, Report
from spatialfoley.pipeline.stream import Carry
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
            settings: as for ``Pipeline.generate``; the rate is not applied.
            report: told the fraction of the whole clip that is done, many times in a window.

        Raises:
            ValueError: if the seed is negative.
        """
        self._steps, self._video, self._settings = pipe.steps, video, settings
        self._camera, self._report = as_trajectory(camera), report
        self._guidance = settings.guidance or pipe.defaults.guidance
        self._sampling = settings.sampling or pipe.defaults.sampling
        self._noise_seed = pipe.noise_seed(video, settings.seed)
        self.rate_hz = pipe.rate_hz
        self.plan = pipe.steps.plan(video.duration_s)

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """The field (4, window.length) of one window in world axes, and its last codes."""
        steps, index = self._steps, window.index
        conditions = steps.conditions(self._video, self.plan, index, self._camera, self._settings.panorama)

        def on_row(row: int, rows: int) -> None:
            self._report((index + row / rows) / len(self.plan.starts))

        codes = steps.codes(
            conditions,
            self.plan,
            index,
            self._noise_seed,
            self._guidance,
            self._sampling,
            None if carry is None else carry["codes"],
            on_row,
        )
        end = steps.end_of(codes, self.plan, index)
        field = steps.field(codes, self.plan, index, self._camera)
        return field, {} if end is None else {"codes": end.cpu()}
