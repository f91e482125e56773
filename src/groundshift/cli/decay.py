"""The command ``decay``."""

from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import (
    Device,
    Memory,
    Quicklook,
    Verbose,
    band_of,
    check_out,
    finish_map,
    picture_of,
    start,
)
from groundshift.cli.track import Radiometry
from groundshift.errors import GroundshiftError


def decay(  # noqa: PLR0913 - one option for each decision that is the user's
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES... OUT",
            help="Radar images of one place, and the result: .tif (COG), .nc or .zarr (CF).",
        ),
    ],
    *,
    estimator: Annotated[
        str | None, typer.Option(metavar="NAME", help="As for groundshift coherence.")
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Leave out pairs farther apart. Default: all pairs."),
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=3, metavar="PIXELS", help="As for groundshift coherence.")
    ] = None,
    temporal: Annotated[
        bool,
        typer.Option(
            "--temporal",
            help="Divide by the mean of all dates (six or more): fine texture does not pass for "
            "coherence then, but coherence that lasts over all dates is lost.",
        ),
    ] = False,
    radiometry: Annotated[
        Radiometry | None,
        typer.Option(metavar="KIND", help="What pixels mean: amplitude, intensity, db, complex."),
    ] = None,
    memory: Memory = None,
    device: Device = "cpu",
    band: Annotated[
        str | None,
        typer.Option(metavar="BAND", help="Band of all images: number from 1, or name."),
    ] = None,
    quicklook: Quicklook = True,
    verbose: Verbose = False,
) -> None:
    """Fit how the coherence of a stack falls with time, and write it to OUT.

    The coherence of all pairs is estimated as `groundshift coherence` does, and for each pixel
    (1 - rest) exp(-t / tau) + rest is fitted to it: the coherence that stays, and the days in which
    the remainder falls to 1/e.

    **Example**

    `groundshift decay S1_*.tif decay.tif --longest 48`
    """
    start(verbose=verbose)
    *paths, last = images
    out = Path(last)
    picture = picture_of(out) if quicklook else None
    check_out(out, paths, picture)
    if not paths:
        raise GroundshiftError("there are no images before OUT; give three dates or more")
    from groundshift import api, config, io

    opened = [io.open_image(path, band=band_of(band)) for path in paths]
    result = api.decay(
        opened,
        estimator,
        longest=longest,
        window=window,
        temporal=temporal,
        radiometry=None if radiometry is None else radiometry.value,
        memory=None if memory is None else config.parse_size(memory),
        device=device,
    )
    finish_map(result, out, picture, "decay")
