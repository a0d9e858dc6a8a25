"""The command line: one file per verb, arguments to one function call, and the only printing.

Nothing here imports torch or numpy before a verb needs it, so that help is instant.
"""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import typer

from spatialfoley.cli.reporting import one_sentence, warn

VERBS = ("generate", "demo", "render", "models", "dataset", "train", "evaluate", "doctor")
"""Each is a module of this package with a function of its name, or an ``app`` if it has verbs of its own."""

BAD_INPUT = 2
INTERRUPTED = 130


def build_app() -> typer.Typer:
    """The whole command with every verb that is installed."""
    app = typer.Typer(
        name="spatialfoley",
        help="Silent video in, spatial audio out: ambisonics and binaural sound.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
    ) -> None:
        if version:
            import spatialfoley

            typer.echo(f"spatialfoley {spatialfoley.__version__}")
            raise typer.Exit

    # Typer refuses a group without a verb before the callback sees --version.
    app.registered_callback.invoke_without_command = True  # type: ignore[union-attr]
    for verb in VERBS:
        if find_spec(f"spatialfoley.cli.{verb}") is None:
            continue
        module = import_module(f"spatialfoley.cli.{verb}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=verb)
        else:
            app.command(verb)(getattr(module, verb))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its code: 0 done, 1 some inputs failed, 2 bad input, 130 interrupted."""
    # A polite kill cleans up like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command; bad input becomes one sentence on standard error and the exit code 2."""
    try:
        outcome = build_app()(args=list(arguments), prog_name="spatialfoley", standalone_mode=False)
    except (ValueError, OSError, ImportError) as problem:
        warn(f"error: {one_sentence(problem)}")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except Exception as problem:
        # Typer's own usage errors, by shape: its versions keep their class in different places.
        if not hasattr(problem, "format_message"):
            raise
        if sentence := one_sentence(problem.format_message()):
            warn(f"error: {sentence}; see 'spatialfoley --help' or 'spatialfoley VERB --help'")
        return int(getattr(problem, "exit_code", BAD_INPUT))
    if outcome == INTERRUPTED:
        warn("interrupted: finished files are complete, the rest was not written")
    return outcome if isinstance(outcome, int) else 0
