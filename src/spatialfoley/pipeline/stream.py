"""Sound of any length in constant memory: window after window, appended to a file.

After every window the state is saved beside the file: how much of it is finished, and what the next window goes on
from. A run that is killed goes on at the window it was at, and its file has the same bytes as that of a run that
was not.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import refuse_unwritable
from spatialfoley.media.wav import WavWriter
from spatialfoley.pipeline.windows import Seams, Window, WindowPlan

__all__ = ["Carry", "Window", "WindowMaker", "WindowPlan", "last_carry", "state_path", "stream_sound"]

Carry = Mapping[str, Tensor]
"""What a window leaves: its end, in tokens or latents, that the next continues, and what is to be known later."""

_CHANNELS = {"mono": 1, "binaural": 2, "foa": 4}


class WindowMaker(Protocol):
    """One clip being made: what a generator offers to the streaming loop."""

    @property
    def rate_hz(self) -> int:
        """Samples per second of what `make` returns."""
        ...

    @property
    def layout(self) -> Literal["mono", "binaural", "foa"]:
        """What the channels mean; a sound field ("foa") is in world axes, the camera already applied."""
        ...

    @property
    def plan(self) -> WindowPlan:
        """The windows of the clip."""
        ...

    def make(self, window: Window, carry: Carry | None) -> tuple[NDArray[np.float32], Carry]:
        """Sound of one window that continues the one before.

        It must depend on nothing but the two arguments and what the maker was made from, so that a run can be
        taken up again anywhere.

        Args:
            window: which.
            carry: what the window before returned; None for the first.

        Returns:
            sound (C, window.length), and what the next window continues: tensors on the CPU, little enough to be
            saved after every window. What the last one leaves is kept (`last_carry`).
        """
        ...


@dataclass(frozen=True)
class _State:
    """What a run needs to go on: the next window, the samples written, and the end of what was made."""

    window: int = 0
    samples: int = 0
    tail: NDArray[np.float32] | None = None
    carry: Carry | None = None


def state_path(path: Path) -> Path:
    """Where the state of a growing sound file lies."""
    return path.with_name(f"{path.stem}.state.safetensors")


def last_carry(path: Path) -> Carry:
    """What the last window of a sound file left, after `stream_sound`."""
    with safe_open(state_path(path), "pt") as stored:
        names = [name for name in stored.keys() if name.startswith("carry.")]  # noqa: SIM118
        return {name.removeprefix("carry."): stored.get_tensor(name) for name in names}


def stream_sound(
    maker: WindowMaker,
    path: Path,
    fingerprint: str,
    report: Callable[[float], None] = lambda fraction: None,
) -> int:
    """Make a clip's sound window by window and append it to a float32 WAV file.

    Where the file and the state of an earlier run with the same fingerprint lie there, that run is continued; when
    it had finished, nothing is made again.

    Args:
        maker: the clip.
        path: the file, ending in .wav. Its header is right only once this function has returned.
        fingerprint: everything that the sound depends on, in words: another one starts anew.
        report: told the fraction done, after each window.

    Returns:
        number of windows that were taken over from an earlier run.

    Raises:
        ValueError: if a window is not finite or of another shape.
    """
    plan, channels = maker.plan, _CHANNELS[maker.layout]
    key = hashlib.sha256(f"{fingerprint}\n{plan}\n{maker.layout}".encode()).hexdigest()
    state = _read_state(path, key, channels)
    resumed = state.window
    seams = Seams(plan, state.tail)
    with WavWriter(
        path, channels, maker.rate_hz, maker.layout, "FLOAT", keep_frames=state.samples if resumed else None
    ) as writer:
        for index in range(resumed, len(plan.starts)):
            window = plan.window(index)
            piece, carry = maker.make(window, state.carry)
            refuse_unwritable(piece, may_exceed_full_scale=True)
            finished = seams.join(window, piece)
            writer.write(finished)
            writer.flush()
            state = _State(index + 1, state.samples + finished.shape[1], seams.tail, carry)
            _write_state(state_path(path), key, state)
            report((index + 1) / len(plan.starts))
    return resumed


def _write_state(path: Path, key: str, state: _State) -> None:
    tensors = {f"carry.{name}": tensor.contiguous() for name, tensor in (state.carry or {}).items()}
    if state.tail is not None:
        tensors["tail"] = torch.from_numpy(np.ascontiguousarray(state.tail))
    numbers = {"window": state.window, "samples": state.samples}
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata={"key": key, "numbers": json.dumps(numbers)})


def _read_state(path: Path, key: str, channels: int) -> _State:
    """The state of an earlier run of the same clip, or that of a run that has not begun."""
    try:
        with safe_open(state_path(path), "pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("key") != key:
                return _State()
            numbers = json.loads(metadata["numbers"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        # A crash of the whole machine may keep the state and lose the sound it speaks of.
        if path.stat().st_size < 4 * channels * numbers["samples"]:
            return _State()
    except (OSError, SafetensorError):
        return _State()
    tail = tensors.pop("tail").numpy()
    carry = {name.removeprefix("carry."): tensor for name, tensor in tensors.items()}
    return _State(numbers["window"], numbers["samples"], tail, carry)
