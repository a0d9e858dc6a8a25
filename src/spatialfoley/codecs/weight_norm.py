"""Weight norm multiplied out: a stored gain and direction become the plain weight that a network runs with."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

# (gain, direction): the spelling of torch before 2.0, and that of its parametrisations since.
_SPELLINGS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Plain weights of a checkpoint, whichever of the three spellings it uses.

    weight = direction · gain / |direction|, the norm over all dimensions but the first, also for transposed
    convolutions, whose first dimension is the input channel. Plain weights pass unchanged.

    Args:
        state: Weights by key, with `weight`, `weight_g` and `weight_v`, or
            `parametrizations.weight.original0` and `original1`.

    Raises:
        ValueError: If one half of a pair is missing.
    """
    folded: dict[str, Tensor] = {}
    for key, value in state.items():
        pair = _pair_of(key)
        if pair is None:
            folded[key] = value
            continue
        stem, gain, direction = pair
        for half in (gain, direction):
            if half not in state:
                raise ValueError(f"the checkpoint holds {key} but not {half}; copy it again")
        if key == direction:
            norm = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.ndim - 1))
            folded[f"{stem}.weight"] = value * (state[gain] / norm)
    return folded


def _pair_of(key: str) -> tuple[str, str, str] | None:
    """Name of the layer, of its gain and of its direction, if the key is one of the two."""
    for gain, direction in _SPELLINGS:
        for name in (gain, direction):
            if key.endswith(f".{name}"):
                stem = key.removesuffix(f".{name}")
                return stem, f"{stem}.{gain}", f"{stem}.{direction}"
    return None
