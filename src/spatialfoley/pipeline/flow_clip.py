"""What passes between the steps of MMAudio's and ViSAudio's chain, and its encoders."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.spatial_head import FieldNumbers
from spatialfoley.pipeline.windows import WindowPlan

if TYPE_CHECKING:  # transformers is slow to import
    from spatialfoley.features.clip_h14 import ClipH14Features
    from spatialfoley.features.perception import PerceptionFeatures
    from spatialfoley.features.synchformer import SynchformerFeatures


@dataclass(frozen=True)
class FlowEncoders:
    """The frozen encoders; `patches` only for ViSAudio with its spacetime module, and for a spatial head."""

    clip: "ClipH14Features"
    sync: "SynchformerFeatures"
    patches: "PerceptionFeatures | None" = None


@dataclass(frozen=True)
class FlowClip:
    """What one clip's sound is made from.

    Attributes:
        windows: features of each window, batch 1, on the CPU.
        negative_text: features (1, W, d) of what shall not be heard; None for the empty text.
        plan: the windows, in samples of the codec.
        clip_id: name and start of the clip; part of its noise.
        duration_s: length of the clip.
    """

    windows: tuple[ClipFeatures, ...]
    negative_text: Tensor | None
    plan: WindowPlan
    clip_id: str
    duration_s: float


@dataclass(frozen=True)
class FlowLatents:
    """Latents (channels, L, d) of each window of a clip, as the codec wants them.

    Attributes:
        latents: of each window.
        plan: the windows.
        duration_s: length of the clip.
        places: where the sound of each window is, as a spatial head says; empty without one.
    """

    latents: tuple[Tensor, ...]
    plan: WindowPlan
    duration_s: float
    places: tuple[FieldNumbers | None, ...] = ()


@dataclass(frozen=True)
class FlowRequest:
    """What one sound depends on beside the picture and the model.

    Attributes:
        text: what shall be heard; may be empty.
        negative_text: what shall not.
        seed: any number from 0.
        steps: of the flow; None for the published 25.
        guidance: strength, 1 for none; None for the published 4.5.
        rate_hz: of the result; None for the model's.
        panorama: whether the picture is equirectangular; None asks its shape.
    """

    text: str = ""
    negative_text: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    rate_hz: int | None = None
    panorama: bool | None = None
