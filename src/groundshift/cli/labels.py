"""The command ``labels``."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from groundshift.cli.common import Device, Memory, Verbose, band_of, start
from groundshift.cli.track import Radiometry
from groundshift.errors import GroundshiftError, OutputError


def labels(  # noqa: PLR0913 - one option for each decision that is the user's
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES... OUT", help="Images of one place, and the store, .zarr."),
    ],
    *,
    consecutive: Annotated[
        int, typer.Option(min=1, help="Each image and how many that follow make pairs.")
    ] = 1,
    matcher: Annotated[
        str,
        typer.Option(metavar="EXPR", help="What makes the labels; see `groundshift matchers`."),
    ] = "multikernel",
    size: Annotated[int, typer.Option(help="Pixels of a sample, each way.")] = 256,
    share: Annotated[float, typer.Option(help="Of a sample that must have labels, 0 to 1.")] = 0.5,
    band: Annotated[str | None, typer.Option(help="Number from 1, or name, of the band.")] = None,
    radiometry: Annotated[
        Radiometry | None, typer.Option(help="What pixels mean; default: guessed.")
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Value that means no data, in all images."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Raster of the images' size, zero where to ignore them."),
    ] = None,
    memory: Memory = None,
    device: Device = "cpu",
    verbose: Verbose = False,
) -> None:
    """Track real pairs by classical windows, as samples that nets learn from without any truth.

    Images are paired in the order of their dates; without dates, as they are given. A label is kept
    where the match is certain, returns to where it began, and agrees with its neighbours. Stop at
    any time: the same command goes on, and tracks no pair twice.

    **Example**

    `groundshift labels S1_*.tif labels.zarr --consecutive 2`, then
    `groundshift train small run --store labels.zarr`
    """
    start(verbose=verbose)
    from groundshift import config, io
    from groundshift.api import labelling

    *paths, last = images
    out = Path(last)
    if out.suffix != ".zarr":
        raise OutputError(f"{out} must end in .zarr; the store comes last, after the images")
    if len(paths) < 2:
        raise GroundshiftError(f"{len(paths)} image(s) make no pair; give two or more, then OUT")
    options = {"band": band_of(band), "nodata": nodata, "mask": mask}
    opened = [io.open_image(path, **options) for path in paths]
    pairs = _paired(opened, consecutive)
    found = labelling.labels(
        pairs,
        out,
        config.matcher_from(matcher),
        size=size,
        share=share,
        radiometry=None if radiometry is None else radiometry.value,
        memory=None if memory is None else config.parse_size(memory),
        device=device,
        report=lambda said: typer.echo(
            f"pair {said.pair + 1:>4} of {len(pairs)}: labels on {said.labelled:.0%} of the "
            f"ground, {said.samples} samples"
        ),
    )
    typer.echo(f"wrote       {out}, {len(found)} samples")


def _paired(images: list[Any], consecutive: int) -> list[tuple[Any, Any]]:
    """Pair each image with those that follow, by date if all have one."""
    times = [image.time.values for image in images]
    if not any(np.isnat(time) for time in times):
        order = sorted(range(len(images)), key=lambda k: times[k])
        images = [images[k] for k in order]
    return [
        (images[k], images[k + step])
        for k in range(len(images))
        for step in range(1, consecutive + 1)
        if k + step < len(images)
    ]
