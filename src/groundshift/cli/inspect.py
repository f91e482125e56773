"""The commands ``info`` and ``matchers``."""

from typing import Annotated

import typer

from groundshift.cli.common import Verbose, band_of, start


def info(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="An image, or a field written by `track`.")
    ],
    *,
    band: Annotated[
        str | None, typer.Option(metavar="BAND", help="Band of an image: number or name.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Say what a file is: grid, dates, radiometry, conventions, statistics.

    **Example**

    `groundshift info motion.tif`
    """
    start(verbose=verbose)
    from groundshift.cli import contents

    for line in contents.file(file, band_of(band)):
        typer.echo(line)


def matchers(verbose: Verbose = False) -> None:  # noqa: FBT002 - typer's way of a flag
    """List the matchers, their parameters, and how to write them."""
    start(verbose=verbose)
    from groundshift.cli import catalogue

    for line in catalogue.matchers():
        typer.echo(line)
