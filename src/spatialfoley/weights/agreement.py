"""Agreement of picture and sound by a network that the user installs: the door for the IB-Score.

The IB-Score of the papers is the cosine between ImageBind's embedding of the video and that of the sound. Its
weights are CC BY-NC-SA 4.0, so this project neither ships nor fetches nor names them as a default. A package that
the user installs offers a network under the entry-point group `spatialfoley.agreement`:

    [project.entry-points."spatialfoley.agreement"]
    imagebind = "my_package:load"

`load` has the attribute `licence`, one line on the weights, and `load(device)` returns an `AgreementNetwork`. The
line is shown before `load` is called. A plug-in reads its own weights and has its own front end; that of ImageBind
in the evaluation of MMAudio and ViSAudio (av-benchmark) is:

    picture   0.5 frames per second, every two neighbouring frames one clip; bicubic, 224 pixels, three crops;
              mean (0.48145466, 0.4578275, 0.40821073), deviation (0.26862954, 0.26130258, 0.27577711)
    sound     16 kHz, three clips of 2 s; Kaldi filter bank of 128 bands x 204 frames, (x + 4.268) / 9.138
    score     cosine of the two embeddings, mean over the clips of a set (some papers print it times 100)

Any other network that knows both can be offered the same way; the figure then carries the plug-in's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatialfoley.weights.plugins import PluginGroup, PluginInfo

_GROUP = PluginGroup(
    name="spatialfoley.agreement",
    what="agreement",
    example=" (such as the IB-Score)",
    otherwise="or leave it out",
    parts=("embed_frames", "embed_sound", "weights_sha256"),
)

FloatArray = NDArray[np.floating]


class AgreementNetwork(Protocol):
    """What a plug-in gives: two encoders into one space.

    Attributes:
        weights_sha256: Hash of the weights, part of every result.
    """

    weights_sha256: str

    def embed_frames(self, frames: NDArray[np.uint8], frame_rate_hz: float) -> FloatArray:
        """Embedding (d,) of a silent video: uint8 RGB (T, H, W, 3) at `frame_rate_hz`."""
        ...

    def embed_sound(self, mono: FloatArray, rate_hz: int) -> FloatArray:
        """Embedding (d,) of a waveform (N,) in -1 to 1."""
        ...


class AgreementScorer:
    """Cosine between what is seen and what is heard.

    Attributes:
        name: Of the plug-in; figures carry it.
        licence: Of the weights, in the plug-in's words.
        weights_sha256: Hash of the weights.
    """

    def __init__(self, name: str, licence: str, network: AgreementNetwork) -> None:
        self.name, self.licence, self.network = name, licence, network
        self.weights_sha256 = network.weights_sha256

    def __call__(
        self, frames: NDArray[np.uint8], frame_rate_hz: float, mono: FloatArray, rate_hz: int
    ) -> float:
        """Agreement of one clip, from -1 to 1.

        Args:
            frames: uint8 RGB (T, H, W, 3), the whole clip.
            frame_rate_hz: Frames per second.
            mono: (N,) sound of the same clip: the mean of its channels, W of a field.
            rate_hz: Its rate.

        Raises:
            ValueError: If the clip has another form, or the plug-in's embeddings have no cosine.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
            raise ValueError(f"frames is {frames.dtype} of shape {frames.shape}; give uint8 (T, H, W, 3)")
        if mono.ndim != 1 or not len(mono) or not np.all(np.isfinite(mono)):
            raise ValueError(f"mono of shape {mono.shape} is no finite waveform; give one (N,) without NaN")
        seen = self._checked(self.network.embed_frames(frames, frame_rate_hz), "the picture")
        heard = self._checked(self.network.embed_sound(mono, rate_hz), "the sound")
        if seen.shape != heard.shape:
            raise ValueError(
                f"plug-in {self.name!r} embeds the picture in {len(seen)} dimensions and the sound in "
                f"{len(heard)}; it must use one space for both"
            )
        return float(seen @ heard)

    def _checked(self, embedding: FloatArray, of: str) -> FloatArray:
        vector = np.asarray(embedding, dtype=np.float64)
        length = float(np.linalg.norm(vector)) if vector.ndim == 1 else 0.0
        if not (np.isfinite(length) and length > 0):
            raise ValueError(
                f"plug-in {self.name!r} gave no direction for {of} (shape {vector.shape}, length {length:g}); it "
                "must give one finite vector (d,) that is not zero"
            )
        return vector / length


def list_plugins() -> tuple[PluginInfo, ...]:
    """Every installed plug-in by name; imports none of them."""
    return _GROUP.installed()


def only_plugin() -> str:
    """Name of the one installed plug-in, where nobody chooses among several.

    Raises:
        ValueError: If there is none, or more than one.
    """
    names = sorted({plugin.name for plugin in list_plugins()})
    if not names:
        raise ValueError(
            "agreement of picture and sound (such as the IB-Score) needs a plug-in, and none is installed; install "
            f"a package that offers one under the entry-point group {_GROUP.name!r}, or leave it out"
        )
    if len(names) > 1:
        raise ValueError(
            f"agreement of picture and sound is offered by the plug-ins {', '.join(names)}; uninstall all but one"
        )
    return names[0]


def load_plugin(name: str, show: Callable[[str], None], device: str = "cpu") -> AgreementScorer:
    """Load an installed plug-in after its licence was shown.

    Args:
        name: Of the plug-in.
        show: Gets the line with package and licence before any weights are read; raise in it to stop.
        device: Passed on to the plug-in.

    Raises:
        ValueError: If there is none of that name, several share it, or it breaks the agreement above; one
            sentence says which.
    """
    plugin = _GROUP.load(name, show, device)
    return AgreementScorer(plugin.name, plugin.licence, plugin.network)
