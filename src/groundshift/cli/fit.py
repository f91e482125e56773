"""The command ``fit``."""

from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import (
    Bands,
    Memory,
    Quicklook,
    Verbose,
    check_out,
    finish_map,
    open_pairs,
    picture_of,
    start,
)
from groundshift.errors import GroundshiftError


def fit(  # noqa: PLR0913 - one option for each decision that is the user's
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS... OUT",
            help="Displacement fields of pairs on one grid, or one stack of pairs; and the result: "
            ".tif (COG), .nc or .zarr (CF).",
        ),
    ],
    *,
    acceleration: Annotated[
        bool,
        typer.Option(
            "--acceleration",
            help="Velocity changes steadily; what is told is that of the middle of the time.",
        ),
    ] = False,
    seasonal: Annotated[bool, typer.Option("--seasonal", help="A yearly wave.")] = False,
    half_yearly: Annotated[
        bool, typer.Option("--half-yearly", help="A half-yearly wave as well.")
    ] = False,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE",
            help="The ground jumped then; an image of that time shows it already. May be given "
            "several times.",
        ),
    ] = None,
    find: Annotated[
        bool, typer.Option("--find", help="Look for the date of one (more) jump.")
    ] = False,
    relaxation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE,DAYS",
            help="Motion after an event, which may be before the first image, that ebbs away in so "
            "many days, by an exponential.",
        ),
    ] = None,
    afterslip: Annotated[
        list[str] | None,
        typer.Option(metavar="DATE,DAYS", help="The same by a logarithm."),
    ] = None,
    stable: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="As for groundshift invert: ground that did not move."),
    ] = None,
    image_noise: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="As for groundshift invert: of images as a whole."),
    ] = None,
    bands: Bands = None,
    memory: Memory = None,
    quicklook: Quicklook = True,
    verbose: Verbose = False,
) -> None:
    """Fit velocity, seasons and events to the displacements of pairs, and write them to OUT.

    Pixel by pixel, straight from the pairs: each is compared with what the motion does between its
    two dates. For each number there is a map along x, one along y, and their standard deviations.

    **Examples**

    `groundshift fit pairs.zarr velocity.tif --seasonal`

    `groundshift fit pairs.zarr quake.tif --step 2023-02-06 --afterslip 2023-02-06,10`
    """
    start(verbose=verbose)
    *paths, last = pairs
    out = Path(last)
    picture = picture_of(out) if quicklook else None
    check_out(out, [*paths, stable], picture)
    if not paths:
        raise GroundshiftError("there are no pairs before OUT; give the outputs of track or stack")
    from groundshift import api, config, io

    result = api.fit(
        open_pairs(paths, bands),
        acceleration=acceleration,
        seasonal=seasonal,
        half_yearly=half_yearly,
        steps=step or (),
        find=find,
        relaxations=[_event(text) for text in relaxation or ()],
        afterslips=[_event(text) for text in afterslip or ()],
        stable=None if stable is None else io.open_image(stable, nodata=float("nan")),
        image_noise=image_noise,
        memory=None if memory is None else config.parse_size(memory),
    )
    finish_map(result, out, picture, "fit")


def _event(text: str) -> tuple[str, float]:
    """Read a date and days."""
    day, _, days = text.partition(",")
    try:
        return day, float(days)
    except ValueError:
        raise GroundshiftError(
            f"{text!r} is no event; write its date and the days, as in 2023-02-06,10"
        ) from None
