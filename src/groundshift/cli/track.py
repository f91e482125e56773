"""The command ``track``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import (
    Device,
    Verbose,
    band_of,
    check_out,
    finish,
    matcher_of,
    picture_of,
    start,
)

ONLY_HERE = {
    "out",
    "band",
    "nodata",
    "mask",
    "reference_time",
    "secondary_time",
    "velocity",
    "quicklook",
    "verbose",
}
"""Parameters of the command ``track`` that the verb ``track`` has no use for."""


class Coregister(StrEnum):
    """Global motions that can be removed."""

    SHIFT = "shift"
    AFFINE = "affine"


class Radiometry(StrEnum):
    """What an image's numbers mean."""

    AMPLITUDE = "amplitude"
    INTENSITY = "intensity"
    DB = "db"
    COMPLEX = "complex"
    OPTICAL = "optical"


def track(  # noqa: PLR0913 - one option for each decision that is the user's
    reference: Annotated[
        str,
        typer.Argument(metavar="REFERENCE", help="Image of the earlier date: any raster file."),
    ],
    secondary: Annotated[
        str,
        typer.Argument(metavar="SECONDARY", help="Image of the later date, of the same place."),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="Result: .tif (COG of five bands, two more with --coherence, four more with "
            "--velocity), .nc or .zarr (CF).",
        ),
    ],
    *,
    matcher: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="auto: a trained net where the images suit it, else default: several windows. Or "
            "the folder of a training run, or as `groundshift matchers` says, for example "
            "'NCC(window=64, stride=16)'.",
        ),
    ] = "auto",
    search: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Largest displacement that auto, default and trained nets look for, pixels; never "
            "less than 4. Default: 64.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Pixels between their results: 1, 2, 4, 8 or 16. Default: 4.",
        ),
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Field to search around, written by an earlier run."),
    ] = None,
    coregister: Annotated[
        Coregister | None, typer.Option(help="First fit a global motion and remove it.")
    ] = None,
    stable: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Raster that is non-zero on ground that did not move, for --coregister.",
        ),
    ] = None,
    radiometry: Annotated[
        Radiometry | None,
        typer.Option(
            metavar="KIND",
            help="What pixels mean: amplitude, intensity, db, complex, optical. Default: a guess.",
        ),
    ] = None,
    coherence: Annotated[
        bool,
        typer.Option(
            "--coherence", help="Add the coherence of the ground that moved (radar images)."
        ),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Working memory, such as 4GiB (4 * 2^30 bytes) or 4GB (4 * 10^9). Default: two "
            "fifths of what is available.",
        ),
    ] = None,
    device: Device = "cpu",
    band: Annotated[
        str | None,
        typer.Option(metavar="BAND", help="Band of both images: number from 1, or name."),
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Value that means no data, in both images."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Raster of the reference's size, zero where to ignore it."
        ),
    ] = None,
    reference_time: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Date of the reference, e.g. 2020-02-07, if it is not found."
        ),
    ] = None,
    secondary_time: Annotated[
        str | None, typer.Option(metavar="DATE", help="Date of the secondary.")
    ] = None,
    velocity: Annotated[
        bool,
        typer.Option(
            "--velocity", help="Add metres per year, pixels without a map grid; needs both dates."
        ),
    ] = False,
    quicklook: Annotated[
        bool,
        typer.Option(
            help="Draw a picture: motion.png beside motion.tif, motion.nc.png beside motion.nc."
        ),
    ] = True,
    verbose: Verbose = False,
) -> None:
    """Measure the displacement from REFERENCE to SECONDARY and write it to OUT.

    On a map grid dx is east and dy is north, in metres. Without georeferencing x counts columns
    to the right and y counts rows downward, in pixels. NaN is "not measured".

    **Examples**

    `groundshift track 20200207.tif 20200227.tif motion.tif`

    `groundshift track a.tif b.tif motion.nc --search 128 --stride 8 --velocity`

    `groundshift track a.tif b.tif motion.tif --coregister shift --stable rock.tif`

    `groundshift track a.slc b.slc motion.zarr --matcher "NCC(window=48, search=16, stride=8)"`
    """
    start(verbose=verbose)
    picture = picture_of(out) if quicklook else None
    check_out(out, [reference, secondary, prior, stable, mask], picture)
    from groundshift import api, config, field, io

    chosen = matcher_of(matcher)
    options = {"band": band_of(band), "nodata": nodata}
    first = io.open_image(reference, time=reference_time, mask=mask, **options)
    second = io.open_image(secondary, time=secondary_time, **options)
    if velocity:  # complains about the dates now, and not after the computation
        field.years_between(first["time"].values, second["time"].values)
    result = api.track(
        first,
        second,
        chosen,
        search=search,
        stride=stride,
        prior=None if prior is None else io.open_field(prior),
        coregister=None if coregister is None else coregister.value,
        stable=None if stable is None else io.open_image(stable, nodata=float("nan")),
        radiometry=None if radiometry is None else radiometry.value,
        coherence=coherence,
        memory=None if memory is None else config.parse_size(memory),
        device=device,
    )
    if velocity:
        result = field.velocity(result)
    finish(result, out, first, draw=quicklook)
