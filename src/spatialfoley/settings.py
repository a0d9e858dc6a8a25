"""Settings: mappings from YAML or JSON into frozen dataclasses; an unknown key is an error."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

S = TypeVar("S")


class RecipeError(ValueError):
    """A recipe that cannot be read: says which key, what it holds and what it may hold."""


def from_mapping(cls: type[S], mapping: Mapping[str, Any], where: str) -> S:
    """A dataclass from a mapping, sections included.

    Args:
        cls: A frozen dataclass.
        mapping: Its fields.
        where: Name of the place for error messages, such as "recipes/tiny_codec.yaml: data".

    Raises:
        RecipeError: A key is unknown or missing, or a value has the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(mapping) - set(fields))
    if unknown:
        raise RecipeError(f"{where}: unknown key {', '.join(unknown)}; known keys are {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in mapping.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where}: missing key {', '.join(missing)}")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type that `hint` asks for."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where} is {value!r}; it must be a section of keys")
        return from_mapping(hint, value, where)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return None if value is None else _convert(options[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where} is {value!r}; it must be a list")
        inner = typing.get_args(hint)
        kinds = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise RecipeError(f"{where} has {len(value)} values; it must have {len(kinds)}")
        return tuple(_convert(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as a string
        except ValueError:
            raise RecipeError(f"{where} is {value!r}; it must be a number") from None
    if hint in (int, str, bool) and (
        not isinstance(value, hint) or (hint is int and isinstance(value, bool))
    ):
        raise RecipeError(f"{where} is {value!r}; it must be of type {hint.__name__}")
    return value
