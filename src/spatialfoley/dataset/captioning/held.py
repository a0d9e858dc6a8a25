"""Models that a worker holds: loaded once, and let go of when the memory of the device is needed for another."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

from spatialfoley.dataset.captioning.found import DEVICES, check_device

Made = TypeVar("Made")
Result = TypeVar("Result")

_held: dict[Hashable, Any] = {}


def held(key: Hashable, make: Callable[[], Made]) -> Made:
    """The model of a key; where the device is full, all others are let go of first.

    Args:
        key: Says which model.
        make: Loads it.
    """
    if key not in _held:
        _held[key] = alone(key, make)
    found: Made = _held[key]
    return found


def alone(key: Hashable, work: Callable[[], Result]) -> Result:
    """Do some work; if the device runs out of memory, once more without the models of other keys.

    Raises:
        torch.OutOfMemoryError: It is too much for the device even so.
    """
    try:
        return work()
    except torch.OutOfMemoryError:
        others = [name for name in _held if name != key]
        if not others:
            raise
        for name in others:
            del _held[name]
    gc.collect()
    torch.cuda.empty_cache()
    return work()


class NoDeviceError(ValueError):
    """A device is asked for that this machine does not have."""


def device_of(asked: str) -> torch.device:
    """The device of a setting; workers of one build take the machine's GPUs in turn.

    Raises:
        ValueError: There is no such device; NoDeviceError where another machine may have it.
    """
    check_device(asked)
    count = torch.cuda.device_count()
    if asked == "cpu" or (asked == "auto" and count == 0):
        return torch.device("cpu")
    if asked in ("auto", "cuda"):
        asked = f"cuda:{_worker() % count}" if count else "cuda:0"
    device = torch.device(asked)
    if device.index >= count:
        raise NoDeviceError(f"device is {asked!r}, but this machine has {count} GPUs; give {DEVICES}")
    return device


def dtype_of(device: torch.device) -> torch.dtype:
    """What the models were published in, where it is fast; CPUs calculate in float32."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def _worker() -> int:
    """Number of this worker, from 0; of the process where it is no worker."""
    identity = multiprocessing.current_process()._identity
    return int(identity[0]) - 1 if identity else os.getpid()
