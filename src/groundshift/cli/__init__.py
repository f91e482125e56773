"""The verbs on paths: each command opens files, calls the verb of :mod:`groundshift.api`, saves.

Modules that take long to import are imported inside the commands, so that help is immediate.
"""

import os
import re
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from groundshift.cli import benchmark, demo, inspect, pack, track
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
    demo.demo,
    inspect.info,
    inspect.matchers,
    pack.pack,
    benchmark.benchmark,
)
for command in COMMANDS:
    app.command()(command)


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
    # Torch's large-page allocator: up to twice as fast on the CPU. Read when torch is imported.
    if sys.platform == "linux":
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    words = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        code = app(args=words, prog_name="groundshift", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except GroundshiftError as error:
        _trace(verbose=verbose)
        _complain(_as_options(str(error)))
        sys.exit(USAGE)
    except _ClickError as error:
        message = error.format_message().replace("Input should be", "it must be")
        _complain(f"{message.partition(', unable')[0]} (see groundshift --help)")
        sys.exit(USAGE)
    except Exception as error:  # the last resort before the user
        _trace(verbose=verbose)
        hint = "" if verbose else "; --verbose shows where, please report it"
        _complain(f"{type(error).__name__}: {error}{hint}", kind="unexpected error: ")
        sys.exit(FAILURE)
    if code == INTERRUPTED:  # typer turns KeyboardInterrupt into this, or into Abort
        _complain("interrupted; nothing was written", kind="")
        sys.stdout.flush()
        # Not sys.exit, which waits for the tiles that are still being computed.
        os._exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, kind: str = "error: ") -> None:
    typer.echo(f"groundshift: {kind}{' '.join(message.split())}", err=True)


def _as_options(message: str) -> str:
    """Turn the remedy "pass band=2", which is Python, into "pass --band 2"."""
    message = re.sub(r"time='([^']+)' for the (reference|secondary)", r"--\2-time \1", message)
    names = "|".join(
        track.ONLY_HERE | {"coregister", "device", "memory", "radiometry", "search", "stride"}
    )
    return re.sub(rf"\b(pass|or) ({names})='?([^\s;,']+)'?", r"\1 --\2 \3", message).replace(
        " to open_image", ""
    )


def _trace(*, verbose: bool) -> None:
    if verbose:
        traceback.print_exc()
