"""MMAudio and ViSAudio offered to the streaming loop: the chain's three steps for one window at a time."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spatialfoley.generators.visaudio.sampler import Known
from spatialfoley.media.video import Video
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.stream import Carry
from spatialfoley.pipeline.windows import Window
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory

if TYPE_CHECKING:
    from spatialfoley.pipeline.flow_chain import FlowPipeline

_ENCODING_SHARE, _SAMPLING_SHARE = 0.4, 0.5


class FlowWindows:
    """The sound of one clip, made window by window: a `WindowMaker`.

    What it makes is what the steps by hand make of the whole clip. Frames and features of a window are freed with
    it; the next one begins with the end of its latents and of their noise.

    Attributes:
        plan: the windows of the clip.
    """

    def __init__(
        self,
        pipe: "FlowPipeline",
        video: Video,
        request: FlowRequest,
        report: Report = lambda fraction: None,
        camera: Camera = Direction(0.0),
    ) -> None:
        """Prepare a clip.

        Args:
            pipe: the model.
            video: the picture.
            request: as for ``FlowPipeline.generate``; the rate is not applied.
            report: told the fraction of the whole clip that is done, many times in a window.
            camera: where the picture's centre points, seconds counted from the start of the clip.

        Raises:
            ValueError: if the seed is negative, or texts are given without a vocabulary.
        """
        self._steps, self._video, self._panorama = pipe.steps, video, request.panorama
        self._guidance, self._settings = pipe.guidance(request.guidance), pipe.settings(request.steps)
        self._report, self._camera = report, as_trajectory(camera)
        self._noise_seed = pipe.noise_seed(video, request.seed)
        self._text = pipe.steps.text(request.text)
        self._negative_text = pipe.steps.text(request.negative_text)
        self.layout: Literal["mono", "binaural", "foa"] = pipe.layout
        self.rate_hz = pipe.rate_hz
        self.plan = pipe.steps.plan(video.duration_s)

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """The sound (channels, window.length) of one window, and the end of its latents."""
        steps, plan, index = self._steps, self.plan, window.index

        def report(share: float) -> None:
            self._report((index + share) / len(plan.starts))

        features = steps.features(self._video, plan, index, self._text, self._panorama)
        report(_ENCODING_SHARE)
        known = None
        if carry is not None:
            known = Known(carry["latents"].to(steps.device), carry["noise"].to(steps.device))
        noise = steps.noise(plan, index, self._noise_seed, known)
        latents = steps.latents(
            features,
            self._negative_text,
            plan,
            noise,
            self._guidance,
            self._settings,
            known,
            lambda step, count: report(_ENCODING_SHARE + _SAMPLING_SHARE * step / count),
        )
        place = steps.place(latents, features)
        del features
        end = steps.end_of(latents, noise, plan, index)
        sound = steps.sound(steps.channels(latents), plan, index, place, self._camera)
        report(1.0)
        return sound, {} if end is None else {"latents": end.latents.cpu(), "noise": end.noise.cpu()}
