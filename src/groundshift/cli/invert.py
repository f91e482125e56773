"""The command ``invert``."""

from enum import StrEnum
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
from groundshift.errors import GroundshiftError, OutputError


class Loss(StrEnum):
    """How pairs that contradict the others count."""

    tukey = "tukey"
    huber = "huber"
    l1 = "l1"
    none = "none"


def invert(  # noqa: PLR0913 - one option for each decision that is the user's
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS... OUT",
            help="Displacement fields of pairs, as track writes them, on one grid, or one stack of "
            "pairs; and the result: .nc or .zarr (CF).",
        ),
    ],
    *,
    reference: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Date at which displacement is 0. Default: the first."),
    ] = None,
    stable: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Mask on the grid of the pairs, non-zero where the ground did not move: the "
            "median of each pair there is taken from it.",
        ),
    ] = None,
    image_noise: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="Standard deviation of what is wrong with an image as a whole, which all of its "
            "pairs have in common. Default: what stable ground shows of each, 0 without.",
        ),
    ] = None,
    loss: Annotated[
        Loss,
        typer.Option(
            metavar="NAME",
            help="tukey leaves out pairs that contradict the others; huber and l1 let them count "
            "less; none trusts all.",
        ),
    ] = Loss.tukey,
    smoothness: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Standard deviation of the change of velocity in a year, metres per year: dates "
            "are drawn together as far as that is to be expected. Default: nothing is expected.",
        ),
    ] = None,
    breaks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE",
            help="Of an event, at which the ground may jump; nothing is smoothed across. May be "
            "given several times.",
        ),
    ] = None,
    bridge: Annotated[
        bool, typer.Option("--bridge", help="Let smoothness link dates that no pair does.")
    ] = False,
    max_closure: Annotated[
        float | None,
        typer.Option(
            metavar="SIGMAS",
            help="Leave out cells whose triangles of pairs close worse than that: 1 is what sigma "
            "promises, 3 is nothing at all. Default: none are.",
        ),
    ] = None,
    bands: Bands = None,
    memory: Memory = None,
    quicklook: Quicklook = True,
    verbose: Verbose = False,
) -> None:
    """Turn the displacements of pairs into the displacement at each date, and write it to OUT.

    Pixel by pixel, each pair weighs as its sigma says, and pairs that contradict the others are
    left out. Dates of the result are those of all images; displacement is metres along x and y
    since the reference date, with a standard deviation. A run that was stopped, however, goes on
    where it was if the command is repeated.

    **Example**

    `groundshift invert pairs/*.tif history.nc --stable bedrock.tif`
    """
    start(verbose=verbose)
    *paths, last = pairs
    out = Path(last)
    picture = picture_of(out) if quicklook else None
    check_out(out, [*paths, stable], picture)
    if out.suffix.lower() not in {".nc", ".zarr"}:
        raise OutputError(f"{out}: a history does not fit into that; choose a name in .nc or .zarr")
    if not paths:
        raise GroundshiftError("there are no pairs before OUT; give the outputs of track")
    from importlib.metadata import version

    from groundshift import api, config, io
    from groundshift.io import partial

    options = {
        "reference": reference,
        "image_noise": image_noise,
        "loss": loss.value,
        "smoothness": smoothness,
        "breaks": breaks or [],
        "bridge": bridge,
        "max_closure": max_closure,
    }
    result = api.invert(
        open_pairs(paths, bands),
        stable=None if stable is None else io.open_image(stable, nodata=float("nan")),
        memory=None if memory is None else config.parse_size(memory),
        **options,
    )
    read = [*paths] if stable is None else [*paths, stable]
    inputs = {"inputs": [partial.print_of(Path(path)) for path in read]}
    resume = inputs | options | {"bands": bands, "software": version("groundshift")}
    finish_map(result, out, picture, "series", resume)
