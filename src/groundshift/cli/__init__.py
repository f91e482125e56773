"""The verbs on paths: each command opens files, calls the verb of :mod:`groundshift.api`, saves.

Modules that take long to import are imported inside the commands, so that help is immediate.
"""

import os
import signal
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from groundshift import process
from groundshift.cli import (
    benchmark,
    clean,
    coherence,
    compare,
    decay,
    demo,
    export,
    fit,
    inspect,
    invert,
    labels,
    pack,
    simulate,
    stack,
    track,
    train,
)
from groundshift.cli.remedies import as_options
from groundshift.errors import GroundshiftError

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit codes: the input is wrong; groundshift is; the user pressed Ctrl-C."""

# click's exceptions, wherever this version of typer keeps them.
_ClickError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="groundshift",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Dense ground displacement between two satellite images, with an honest uncertainty.",
    epilog="Start with `groundshift demo`, then `groundshift track --help`.",
)

COMMANDS = (
    track.track,
    clean.clean,
    coherence.coherence,
    decay.decay,
    stack.stack,
    invert.invert,
    fit.fit,
    export.export,
    compare.compare,
    demo.demo,
    inspect.info,
    inspect.matchers,
    pack.pack,
    simulate.simulate,
    labels.labels,
    train.train,
    benchmark.benchmark,
)
for command in COMMANDS:
    app.command()(command)

GO_ON = ("stack", "invert", "clean", "simulate", "train", "benchmark")
"""Commands that go on where they were."""


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"groundshift {version_of('groundshift')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line: every error is one line on stderr and an exit code."""
    process.prepare()
    # Whoever ends the process, `timeout` or a scheduler, leaves as little behind as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        code = app(args=words, prog_name="groundshift", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except GroundshiftError as error:
        _trace(verbose=verbose)
        _complain(as_options(str(error), track.track, *_meant(words)))
        sys.exit(USAGE)
    except _ClickError as error:
        _complain(_usage(error, words))
        sys.exit(USAGE)
    except Exception as error:  # the last resort before the user
        _trace(verbose=verbose)
        hint = "" if verbose else "; --verbose shows where, please report it"
        _complain(f"{type(error).__name__}: {error}{hint}", kind="unexpected error: ")
        sys.exit(FAILURE)
    if code == INTERRUPTED:  # typer turns KeyboardInterrupt into this, or into Abort
        goes_on = any(command.__name__ in GO_ON for command in _meant(words))
        left = "repeat the command to go on" if goes_on else "nothing was written"
        _complain(f"interrupted; {left}", kind="")
        sys.stdout.flush()
        # Not sys.exit, which waits for the tiles that are still being computed.
        os._exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, kind: str = "error: ") -> None:
    typer.echo(f"groundshift: {kind}{' '.join(message.split())}", err=True)


def _usage(error: Any, words: list[str]) -> str:
    """Say what is wrong with the words themselves, and where the right ones are listed."""
    message = error.format_message().replace("Input should be", "it must be")
    message = message.replace("Value error, ", "").partition(", unable")[0].rstrip(". ")
    context = getattr(error, "ctx", None)  # unknown where an option lacks its value
    verb = [command.__name__ for command in _meant(words)]
    path = context.command_path if context else " ".join(["groundshift", *verb])
    return f"{message} (see {path} --help)"


def _meant(words: list[str]) -> list[Any]:
    """Return the command that the words call, if there is one: the first word that is no option."""
    name = next((word for word in words if not word.startswith("-")), "")
    return [command for command in COMMANDS if command.__name__ == name]


def _trace(*, verbose: bool) -> None:
    if verbose:
        traceback.print_exc()
