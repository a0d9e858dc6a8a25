"""What a person reads: notes and errors on standard error, progress with time left."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_SENTENCE = 600
_WIDE_COLUMNS = 200


def one_sentence(problem: object) -> str:
    """One line without a final full stop, cut where nobody would read on."""
    if isinstance(problem, OSError) and problem.strerror and problem.filename is not None:
        problem = f"{problem.filename}: {problem.strerror.lower()}; check the path and its permissions"
    line = " ".join(str(problem).split()).rstrip(".")
    if not line and isinstance(problem, Exception):
        line = type(problem).__name__
    return line if len(line) <= LONGEST_SENTENCE else line[: LONGEST_SENTENCE - 1] + "…"


def warn(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def say(line: str) -> None:
    """One line on standard output; a running progress bar makes room for it, as it does for ``warn``."""
    print(line, flush=True)


def console() -> "Console":
    """A console on standard output that leaves paths and numbers uncoloured, and does not wrap into files."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE_COLUMNS)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[str, float], None]]:
    """A bar with time left on standard error; silent where nobody watches.

    Yields:
        a function of a label and the fraction done in [0, 1].
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    watched = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=watched, transient=True, disable=not watched.is_terminal) as progress:
        task = progress.add_task(label, total=1.0)

        def report(label: str, fraction: float) -> None:
            progress.update(task, description=label, completed=min(max(fraction, 0.0), 1.0))

        yield report
