"""The command ``clean``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import Quicklook, Verbose, check_out, finish, picture_of, start
from groundshift.errors import OutputError


class Tie(StrEnum):
    """What stable ground shows, and is taken away."""

    median = "median"
    ramp = "ramp"
    quadratic = "quadratic"


def clean(  # noqa: PLR0913 - one option for each decision that is the user's
    field: Annotated[
        str,
        typer.Argument(metavar="FIELD", help="Displacement field of track, or stack of pairs."),
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Result: .tif, .nc or .zarr; of a stack, .zarr."),
    ],
    *,
    score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Leave out cells of a lower score.")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(metavar="METRES", help="Leave out cells of a larger sigma.")
    ] = None,
    magnitude: Annotated[
        float | None, typer.Option(metavar="METRES", help="Leave out larger displacements.")
    ] = None,
    median: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            help="Leave out cells that differ from the median of their neighbours RATIO times as "
            "much as these do; 2 is usual.",
        ),
    ] = None,
    back: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Field with the images exchanged: leave out cells whose way back is another.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(metavar="PIXELS", help="By which the way back may miss.")
    ] = 1.0,
    islands: Annotated[
        int | None, typer.Option(min=2, metavar="CELLS", help="Leave out islands of fewer cells.")
    ] = None,
    tie: Annotated[
        Tie | None, typer.Option(help="Take away what stable ground shows, of this form.")
    ] = None,
    stable: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Raster that is non-zero on ground that did not move, for --tie and --stripes. "
            "Default: most of the ground.",
        ),
    ] = None,
    stripes: Annotated[
        float | None,
        typer.Option(
            metavar="DEGREES",
            help="Take away stripes of this direction, clockwise from north: along the track those "
            "of detector arrays, across it jitter.",
        ),
    ] = None,
    wide: Annotated[
        float | None,
        typer.Option(metavar="CELLS", help="Across stripes: what is smoother stays, as motion."),
    ] = None,
    length: Annotated[
        float | None,
        typer.Option(metavar="CELLS", help="Along stripes that end, as streaks do: windows."),
    ] = None,
    fill: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="CELLS",
            help="Fill gaps up to so far from what was measured, and say so in a band more.",
        ),
    ] = None,
    quicklook: Quicklook = True,
    verbose: Verbose = False,
) -> None:
    """Leave out what is wrong in FIELD, take away what is no motion, fill gaps, and write OUT.

    What is asked for is done in the order of the options here; nothing else is.

    **Examples**

    `groundshift clean motion.tif clean.tif --median 2 --islands 20 --tie ramp --stable rock.tif`

    `groundshift clean pairs.zarr clean.zarr --median 2 --stripes 12 --wide 100`
    """
    start(verbose=verbose)
    from groundshift import io, timeseries
    from groundshift.api import cleaning
    from groundshift.cli import report
    from groundshift.io import partial

    picture = picture_of(out) if quicklook else None
    check_out(out, [field, back, stable], picture)
    how = cleaning.Cleaning(
        score=score,
        sigma=sigma,
        magnitude=magnitude,
        median=median,
        tolerance=tolerance,
        islands=islands,
        tie=None if tie is None else tie.value,
        stripes=stripes,
        wide=wide,
        length=length,
        fill=fill,
    )
    opened = io.open_field(field)
    ground = None if stable is None else io.open_image(stable, nodata=float("nan"))
    if opened.attrs.get("schema") != timeseries.CUBE:
        other = None if back is None else io.open_field(back)
        found = cleaning.clean(opened, how, back=other, stable=ground)
        finish(found, out, None, draw=quicklook)
        return
    if out.suffix.lower() != ".zarr" or back is not None:
        raise OutputError("a stack of pairs is cleaned into .zarr, and knows no way back")
    inputs = [field] if stable is None else [field, stable]
    facts = {"inputs": [partial.print_of(Path(path)) for path in inputs]}
    cube = cleaning.clean_stack(opened, out, how, stable=ground, facts=facts)
    for line in report.stack(cube):
        typer.echo(line)
    typer.echo(f"wrote       {out}")
