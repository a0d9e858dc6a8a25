"""The protocol by which ViSAudio's authors had ViSAGe make 8 s: the clip compressed to ViSAGe's 5 s, and restored.

`load_pipeline("compressed:visage")` makes such a generator. Published is the order: the camera's direction is fixed
at index (44.5, 89.5), the front at the horizon; the clip is compressed; its field is made; two ears are rendered
from it; their sound is brought back to 8 s. Our reading of the rest:

- the clock of the picture runs faster by the clip's length over the longest window, so that all of it is seen;
- the sound is slowed down by the same factor through resampling, so its pitch falls (by 8 semitones for 8 s).

In the published order the head grows with the sound: time differences between the ears come out longer by the same
factor. `ears="after"` restores the field first and renders it then, which keeps them.

Clips that fit into a window are made as they are. Others are made as a whole, in memory.
"""

from typing import Any, Literal, get_args

from spatialfoley import timeline
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import Camera, Report
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.mono_sources import FIELD_OPTIONS, MonoRequest, field_settings
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import AmbigenIndex, index_to_direction

COMPRESSED_PREFIX = "compressed:"
FIXED_DIRECTION = index_to_direction(AmbigenIndex(44.5, 89.5))
"""The front at the horizon."""

MOST_COMPRESSION = 2.0

EarsWhen = Literal["before", "after"]


class CompressedPipeline:
    """A field generator by that protocol: two ears at a camera that looks to the front."""

    layout: Literal["binaural"] = "binaural"
    options = FIELD_OPTIONS

    def __init__(self, pipe: Pipeline, ears: EarsWhen = "before") -> None:
        """Wrap a generator of fields.

        Args:
            pipe: the generator.
            ears: whether two ears are rendered "before" the sound is slowed down, as published, or "after".

        Raises:
            ValueError: `ears` is neither.
        """
        if ears not in get_args(EarsWhen):
            raise ValueError(f"ears is {ears!r}; give 'before' (as published) or 'after'")
        self.pipe, self.ears = pipe, ears

    def __call__(
        self, video: Video, camera: Camera = Direction(0.0), seed: int = 0, rate_hz: int | None = None
    ) -> SpatialAudio:
        """Make the two ears of a clip.

        Args:
            video: the clip, up to twice as long as the generator makes at once.
            camera: not heeded: ears are at the camera, and the protocol fixes what the generator is told.
            seed: any number from 0.
            rate_hz: rate of the result; None for the model's.

        Raises:
            ValueError: The clip is longer.
        """
        return self.generate(video, MonoRequest(seed), rate_hz)[0]

    def generate(
        self,
        video: Video,
        request: MonoRequest,
        rate_hz: int | None = None,
        report: Report = lambda fraction: None,
    ) -> tuple[SpatialAudio, float]:
        """The same as calling the pipeline, with the gain in dB that was needed, telling the fraction done."""
        factor = self._factor(video.duration_s)
        fast = video if factor == 1 else video.sped_up(factor)
        made = self.pipe.generate(fast, FIXED_DIRECTION, field_settings(self.pipe, request), report)
        rate_hz = rate_hz or made.foa.rate_hz
        sound = made.foa
        if self.ears == "before":
            sound = render_binaural(sound, head=FIXED_DIRECTION)
        # Samples of the fast sound, played at 1 / factor of its rate, are the slow one.
        samples = resample(sound.samples, sound.rate_hz / factor, rate_hz)
        samples = fit_length(samples, timeline.sample_count(video.duration_s, rate_hz))
        sound = SpatialAudio(samples, rate_hz, sound.layout)
        if self.ears == "after":
            sound = render_binaural(sound, head=FIXED_DIRECTION)
        sound, gain_db = within_full_scale(sound)
        return sound, gain_db + made.gain_db

    def describe(self) -> dict[str, Any]:
        """What the generator says of itself, with the protocol."""
        description = self.pipe.describe()
        return {
            **description,
            "model": f"{COMPRESSED_PREFIX}{description['model']}",
            "layout": self.layout,
            "protocol": f"clips longer than {self.pipe.longest_window_s:g} s are sped up to that, their sound is "
            f"slowed down by resampling; two ears rendered {self.ears} that; camera fixed at index (44.5, 89.5)",
        }

    def _factor(self, duration_s: float) -> float:
        factor = max(1.0, duration_s / self.pipe.longest_window_s)
        if factor > MOST_COMPRESSION:
            raise ValueError(
                f"the clip lasts {duration_s:.3f} s, but the protocol of compressed time is for clips of up to "
                f"{MOST_COMPRESSION * self.pipe.longest_window_s:g} s; cut it, or take the model without "
                f"{COMPRESSED_PREFIX}"
            )
        return factor


def load_compressed(pipe: Any) -> CompressedPipeline:
    """Wrap a loaded model.

    Raises:
        ValueError: It is none that makes fields from a picture and a direction.
    """
    if not isinstance(pipe, Pipeline):
        raise ValueError(
            f"model is {COMPRESSED_PREFIX}{pipe.describe()['model']}, but the protocol is for ViSAGe's family; "
            f"give {COMPRESSED_PREFIX}visage or {COMPRESSED_PREFIX}tiny-visage"
        )
    return CompressedPipeline(pipe)
