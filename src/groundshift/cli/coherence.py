"""The command ``coherence``."""

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


def coherence(  # noqa: PLR0913 - one option for each decision that is the user's
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="Radar image, detected or complex.")
    ],
    secondary: Annotated[
        str, typer.Argument(metavar="SECONDARY", help="Another date of the same place.")
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Result: .tif (COG of three bands), .nc or .zarr (CF)."),
    ],
    *,
    estimator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="unet, or the folder of a run of groundshift train coherence; in windows pearson, "
            "amplitude, log, logratio, gp97, likelihood; or complex, which uses the phase. "
            "Default: unet, pearson with any option of windows, and complex for complex images.",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=3, metavar="PIXELS", help="Side of the windows; odd for stride 1. Default: 9."
        ),
    ] = None,
    stride: Annotated[
        int, typer.Option(min=1, metavar="PIXELS", help="Pixels from one result to the next.")
    ] = 1,
    looks: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Equivalent number of looks. Default: measured."),
    ] = None,
    normalise: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="PIXELS",
            help="Side of the mean that intensity is divided by, so that texture does not count; "
            "0: none.",
        ),
    ] = 5,
    radiometry: Annotated[
        Radiometry | None,
        typer.Option(metavar="KIND", help="What pixels mean: amplitude, intensity, db, complex."),
    ] = None,
    memory: Memory = None,
    device: Device = "cpu",
    band: Annotated[
        str | None,
        typer.Option(metavar="BAND", help="Band of both images: number from 1, or name."),
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Value that means no data, in both images."),
    ] = None,
    quicklook: Quicklook = True,
    verbose: Verbose = False,
) -> None:
    """Estimate the coherence of two radar images, with its standard deviation, and write it to OUT.

    The images may be detected: what their speckle has in common tells the coherence. They must be
    co-registered to two pixels for unet, and to a part of a resolution cell for the others. NaN is
    "not measured"; the band "valid" is 0 where coherence is not told from none.

    **Examples**

    `groundshift coherence 20200207.tif 20200219.tif coherence.tif`

    `groundshift coherence a.tif b.tif coherence.nc --estimator likelihood --window 15`
    """
    start(verbose=verbose)
    picture = picture_of(out) if quicklook else None
    check_out(out, [reference, secondary], picture)
    from groundshift import api, config, io

    options = {"band": band_of(band), "nodata": nodata}
    first, second = (io.open_image(name, **options) for name in (reference, secondary))
    result = api.coherence(
        first,
        second,
        estimator,
        window=window,
        stride=stride,
        looks=looks,
        normalise=normalise,
        radiometry=None if radiometry is None else radiometry.value,
        memory=None if memory is None else config.parse_size(memory),
        device=device,
    )
    finish_map(result, out, picture, "coherence")
