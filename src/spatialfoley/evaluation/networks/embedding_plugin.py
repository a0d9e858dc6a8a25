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
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ENTRY_POINT_GROUP = "spatialfoley.agreement"

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


@dataclass(frozen=True)
class PluginInfo:
    """An installed plug-in, not loaded yet.

    Attributes:
        name: By which it is chosen.
        package: Distribution that offers it.
        version: Of that distribution.
        package_licence: Of its code, as its metadata say; that of the weights is known once it is imported.
    """

    name: str
    package: str
    version: str
    package_licence: str


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
    return tuple(
        PluginInfo(point.name, *_package(point)) for point in sorted(_points(), key=lambda point: point.name)
    )


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
    point = _chosen(name)
    package, version, _ = _package(point)
    try:
        factory = point.load()
    except Exception as error:  # a plug-in may fail in any way
        raise ValueError(_failed(name, package, "cannot be imported", error)) from error
    licence = getattr(factory, "licence", None)
    if not callable(factory) or not isinstance(licence, str) or not licence.strip():
        raise ValueError(
            f"plug-in {name!r} of {package} does not say the licence of its weights; it must offer a callable with "
            "an attribute 'licence', one line of text"
        )
    show(f"{name} ({package} {version}, a plug-in): licence of its weights: {licence.strip()}")
    try:
        network = factory(device)
    except Exception as error:
        raise ValueError(_failed(name, package, "cannot be loaded", error)) from error
    absent = [
        part for part in ("embed_frames", "embed_sound", "weights_sha256") if not hasattr(network, part)
    ]
    if absent:
        raise ValueError(f"plug-in {name!r} of {package} lacks {', '.join(absent)}; ask its authors")
    return AgreementScorer(name, licence.strip(), network)


def _points() -> list[EntryPoint]:
    return list(entry_points(group=ENTRY_POINT_GROUP))


def _chosen(name: str) -> EntryPoint:
    points = _points()
    if not points:
        raise ValueError(
            f"agreement {name!r} (such as the IB-Score) needs a plug-in, and none is installed; install a package "
            f"that offers one under the entry-point group {ENTRY_POINT_GROUP!r}, or leave the metric out"
        )
    found = [point for point in points if point.name == name]
    if not found:
        names = ", ".join(sorted({point.name for point in points}))
        raise ValueError(f"agreement is {name!r}; installed plug-ins are {names}")
    if len(found) > 1:
        packages = ", ".join(sorted(_package(point)[0] for point in found))
        raise ValueError(
            f"plug-in {name!r} is offered by several packages ({packages}); uninstall all but one"
        )
    return found[0]


def _package(point: EntryPoint) -> tuple[str, str, str]:
    """Distribution, version and licence of its code."""
    if point.dist is None:
        return "an unknown package", "?", "not stated"
    about = point.dist.metadata
    stated = [about[field] for field in ("License-Expression", "License") if field in about]
    return point.dist.name, point.dist.version, next(iter(stated), "not stated")


def _failed(name: str, package: str, what: str, error: Exception) -> str:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return f"plug-in {name!r} of {package} {what}: {reason}"
