"""What a camera that turns hears: the field turned with it at every sample, then two ears (ViSAudio eq. 34-38)."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from spatialfoley import timeline
from spatialfoley.media.audio import resample
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.foa import listen_from
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

CONTEXT_S = 0.05
"""Sound on both sides of a clip that filters need, so that a clip begins as its recording goes on."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of a field with some sound on both sides.

    Attributes:
        foa: The sound, margins included.
        lead: Samples before the stretch begins.
        duration_s: Length of the stretch itself.
    """

    foa: SpatialAudio
    lead: int
    duration_s: float

    def inside(self) -> npt.NDArray[np.float32]:
        """The field without the margins, shape (4, N)."""
        count = timeline.sample_count(self.duration_s, self.foa.rate_hz)
        return self.foa.samples[:, self.lead : self.lead + count]

    def at_rate(self, sound: SpatialAudio, rate_hz: int) -> SpatialAudio:
        """A sound made of `foa`, at another rate and without the margins."""
        samples = resample(sound.samples, sound.rate_hz, rate_hz)
        begin = self.lead * rate_hz // sound.rate_hz  # whole: see `read_stretch`
        count = timeline.sample_count(self.duration_s, rate_hz)
        return SpatialAudio(samples[:, begin : begin + count], rate_hz, sound.layout)


def read_stretch(sound: SoundFile, start_s: float, duration_s: float, rate_hz: int) -> Stretch:
    """Read a stretch of a field that will be wanted at some rate.

    Args:
        sound: A file of layout "foa".
        start_s: Where it begins.
        duration_s: Its length.
        rate_hz: The wanted rate.

    Raises:
        ValueError: The stretch is not inside the file, to half a sample.
    """
    start = timeline.sample_count(start_s, sound.rate_hz)
    count = timeline.sample_count(duration_s, sound.rate_hz)
    if start + count > sound.frames:
        raise ValueError(
            f"a stretch of {duration_s:g} s from {start_s:g} s on is beyond the end of {sound.path.name}, which "
            f"lasts {sound.duration_s:.3f} s"
        )
    whole = sound.rate_hz // gcd(sound.rate_hz, rate_hz)  # samples that become a whole number of samples
    margin = whole * -(-round(CONTEXT_S * sound.rate_hz) // whole)
    lead = min(margin, start // whole * whole)
    tail = min(margin, sound.frames - start - count)
    samples = sound.read(start - lead, lead + count + tail)
    return Stretch(SpatialAudio(samples, sound.rate_hz, "foa"), lead, duration_s)


def heard_by_camera(
    stretch: Stretch, camera: CameraTrajectory, rate_hz: int
) -> tuple[SpatialAudio, SpatialAudio]:
    """What a camera hears, as a field and with two ears.

    Args:
        stretch: The sound, in the world's frame.
        camera: Its movement, counted from the beginning of the stretch.
        rate_hz: Of the results.

    Returns:
        The field in the camera's frame (what it faces is in front), and binaural sound through Omnitone's filters.
    """
    turned = listen_from(stretch.foa, camera.seen_from(-stretch.lead / stretch.foa.rate_hz))
    ears = render_binaural(turned)
    return stretch.at_rate(turned, rate_hz), stretch.at_rate(ears, rate_hz)
