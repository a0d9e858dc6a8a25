"""HTML from Python without forgetting to escape: text is escaped unless it is `Markup`."""

from collections.abc import Iterable
from html import escape

_EMPTY = frozenset({"meta", "img", "input", "br", "line", "circle", "rect", "path"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Markup | None


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        tag: Its name.
        children: Text, which is escaped, and markup; None is left out.
        attributes: Values are escaped; None and False are left out, True stands without a value. A trailing
            underscore is cut off and others become hyphens: `class_`, `aria_label`.
    """
    said = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(_text(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _EMPTY:
        return Markup(f"<{tag}{said}>" if tag in ("meta", "img", "input", "br") else f"<{tag}{said}/>")
    return Markup(f"<{tag}{said}>{join(children)}</{tag}>")


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Children one after the other."""
    return Markup(
        escape(between).join(
            child if isinstance(child, Markup) else escape(child) for child in children if child is not None
        )
    )


def _text(value: str | float) -> str:
    """Numbers short enough for hundreds of coordinates."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
