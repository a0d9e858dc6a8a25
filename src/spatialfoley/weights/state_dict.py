"""Weights from disk: tensors only, never code; and the comparison with what a network expects."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.weights.errors import WeightsError

if TYPE_CHECKING:
    import torch

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLES = ("model.safetensors", "pytorch_model.bin")
_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")
# Trainers wrap the tensors: Lightning and DAC use the first name, vocoders the last, others the rest.
_WRAPPERS = ("state_dict", "model", "weights", "generator")


def weight_files(path: str | Path) -> list[Path]:
    """Return the files that hold the weights of a checkpoint folder (all shards), or the file itself.

    The usual names win; otherwise the only weights file of the folder counts.

    Raises:
        WeightsError: nothing there, shards missing, or several files of which none has a usual name.
    """
    source = Path(path)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise WeightsError(f"{source} does not exist; give a checkpoint folder or file")
    for index in _INDEXES:
        if (source / index).is_file():
            return _shards(source / index)
    for single in _SINGLES:
        if (source / single).is_file():
            return [source / single]
    found = sorted(file for file in source.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if len(found) == 1:
        return found
    if not found:
        raise WeightsError(
            f"{source} holds no weights; it needs {' or '.join(_SINGLES)} (or one {', '.join(_SUFFIXES)} file)"
        )
    names = ", ".join(file.name for file in found[:4])
    raise WeightsError(
        f"{source} holds several weights files ({names}); name the one to use, or rename it {_SINGLES[0]}"
    )


def load_state_dict(path: str | Path) -> "dict[str, torch.Tensor]":
    """Load all tensors of a checkpoint (safetensors, .bin, .pth, .pt, .ckpt; sharded ones too) onto the CPU.

    Pickled files are read with `weights_only=True`, so that a checkpoint can never run code. The wrapper
    {"state_dict": ...} of trainers is opened.

    Raises:
        WeightsError: missing, cut off, or holding more than tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    for file in weight_files(path):
        tensors.update(_load_file(file))
    if not tensors:
        raise WeightsError(f"{path} holds no tensors; give a file with the weights of a model")
    return tensors


def compare_keys(
    expected: Mapping[str, Sequence[int]], found: Mapping[str, Any], source: str = "checkpoint"
) -> None:
    """Check that `found` has exactly the tensors that a network expects.

    Args:
        expected: name -> shape.
        found: name -> tensor or shape.
        source: what to call the checkpoint in the message.

    Raises:
        WeightsError: lists how many names are missing, unexpected or of another shape, and the first of each.
    """
    shapes = {name: tuple(getattr(value, "shape", value)) for name, value in found.items()}
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    mismatched = [
        f"{name} {list(shapes[name])} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != tuple(shape)
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for names, what in (
            (missing, "missing"),
            (unexpected, "unexpected"),
            (mismatched, "of another shape"),
        )
        if names
    ]
    if problems:
        raise WeightsError(
            f"{source} does not fit the model: of {len(expected)} tensors {', '.join(problems)}; "
            "give the checkpoint that belongs to this configuration"
        )


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{index} is not a valid shard index; copy it again") from error
    foreign = [name for name in names if Path(name).name != name]
    if foreign:
        raise WeightsError(f"{index} points outside its folder ({foreign[0]}); do not use this checkpoint")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise WeightsError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files ({', '.join(missing[:3])}); "
            "copy them too"
        )
    return [index.parent / name for name in names]


def _load_file(file: Path) -> "dict[str, torch.Tensor]":
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file  # imports torch, which is slow

            return load_file(str(file))
        import torch

        # Some trainers keep the state of their sampler beside the weights: arrays of numbers, no code.
        with torch.serialization.safe_globals(_numbers()):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has its own errors for damaged files
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        if "weights_only" in str(error) or "Unsupported" in reason:
            raise WeightsError(
                f"{file} holds Python objects besides tensors, which could run code; convert it to safetensors"
            ) from error
        raise WeightsError(
            f"{file} cannot be read as weights ({reason}); copy or download it again"
        ) from error
    return _only_tensors(content, file)


def _numbers() -> list[Any]:
    """What numpy's arrays and numbers are pickled with, under their present and their former names."""
    import numpy as np

    array, number = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
    core = "numpy.core.multiarray"
    former = [(array, f"{core}._reconstruct"), (number, f"{core}.scalar")]
    kinds = [type(np.dtype(kind)) for kind in (bool, "u1", "i4", "i8", "f4", "f8")]
    return [array, number, *former, np.ndarray, np.dtype, *kinds]


def _only_tensors(content: Any, file: Path) -> "dict[str, torch.Tensor]":
    import torch

    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise WeightsError(f"{file} holds a {type(content).__name__}, not named tensors; save its state_dict")
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
