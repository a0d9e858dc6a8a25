"""Networks that a user installs as packages of their own: found by entry point, licence shown before any weights.

A package offers a callable under one of the project's entry-point groups:

    [project.entry-points."spatialfoley.tagger"]
    beats = "my_package:load"

It has the attribute `licence`, one line on the weights, and `load(device)` returns the network. The line is shown
before `load` is called; a plug-in reads its own weights and has its own front end. What the network must be able to
do is said where the group is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any


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


@dataclass(frozen=True)
class LoadedPlugin:
    """A plug-in at work.

    Attributes:
        name: By which it was chosen.
        licence: Of the weights, in the plug-in's words.
        network: What it gave.
    """

    name: str
    licence: str
    network: Any


@dataclass(frozen=True)
class PluginGroup:
    """A door for plug-ins of one kind.

    Attributes:
        name: Of the entry-point group.
        what: What is asked for, in messages: "agreement".
        example: Put behind the name in the message that none is installed; empty or in brackets.
        otherwise: What to do without a plug-in.
        parts: Attributes that its networks must have.
    """

    name: str
    what: str
    example: str
    otherwise: str
    parts: tuple[str, ...]

    def installed(self) -> tuple[PluginInfo, ...]:
        """Every installed plug-in by name; imports none of them."""
        points = sorted(self._points(), key=lambda point: point.name)
        return tuple(PluginInfo(point.name, *_package(point)) for point in points)

    def load(self, name: str, show: Callable[[str], None], device: str = "cpu") -> LoadedPlugin:
        """Load an installed plug-in after its licence was shown.

        Args:
            name: Of the plug-in.
            show: Gets the line with package and licence before any weights are read; raise in it to stop.
            device: Passed on to the plug-in.

        Raises:
            ValueError: If there is none of that name, several share it, or it breaks the agreement above; one
                sentence says which.
        """
        point = self._chosen(name)
        package, version, _ = _package(point)
        try:
            factory = point.load()
        except Exception as error:  # a plug-in may fail in any way
            raise ValueError(_failed(name, package, "cannot be imported", error)) from error
        licence = getattr(factory, "licence", None)
        if not callable(factory) or not isinstance(licence, str) or not licence.strip():
            raise ValueError(
                f"plug-in {name!r} of {package} does not say the licence of its weights; it must offer a callable "
                "with an attribute 'licence', one line of text"
            )
        show(f"{name} ({package} {version}, a plug-in): licence of its weights: {licence.strip()}")
        try:
            network = factory(device)
        except Exception as error:
            raise ValueError(_failed(name, package, "cannot be loaded", error)) from error
        absent = [part for part in self.parts if not hasattr(network, part)]
        if absent:
            raise ValueError(f"plug-in {name!r} of {package} lacks {', '.join(absent)}; ask its authors")
        return LoadedPlugin(name, licence.strip(), network)

    def _points(self) -> tuple[EntryPoint, ...]:
        return tuple(entry_points(group=self.name))

    def _chosen(self, name: str) -> EntryPoint:
        points = self._points()
        if not points:
            raise ValueError(
                f"{self.what} {name!r}{self.example} needs a plug-in, and none is installed; install a package "
                f"that offers one under the entry-point group {self.name!r}, {self.otherwise}"
            )
        found = [point for point in points if point.name == name]
        if not found:
            names = ", ".join(sorted({point.name for point in points}))
            raise ValueError(f"{self.what} is {name!r}; installed plug-ins are {names}")
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
