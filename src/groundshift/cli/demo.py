"""The command ``demo``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Verbose, check_out, finish, picture_of, start
from groundshift.errors import OutputError


def demo(
    *,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the result; made if needed.")
    ] = Path("groundshift_demo"),
    size: Annotated[int, typer.Option(min=128, max=8192, help="Pixels per side.")] = 512,
    coherence: Annotated[float, typer.Option(min=0.05, max=1.0, help="Of the two images.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Of the scene.")] = 0,
    quicklook: Annotated[bool, typer.Option(help="Draw demo.png, a picture of the result.")] = True,
    verbose: Verbose = False,
) -> None:
    """Render a small SAR pair with known motion, track it, and print the true error.

    Needs no data. Writes demo.tif and demo.png into a folder.

    **Example**

    `groundshift demo --size 1024 --coherence 0.6`
    """
    start(verbose=verbose)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}; pass --out") from error
    field = out / "demo.tif"
    check_out(field, [], picture_of(field) if quicklook else None)
    from groundshift import api, synth
    from groundshift.cli import truth

    typer.echo(f"rendering a {size} x {size} SAR pair at coherence {coherence:g} ...")
    sample = synth.demo_pair(seed=seed, size=size, coherence=coherence)
    first, second = (_labelled(plane.numpy()) for plane in (sample.reference, sample.secondary))
    result = api.track(first, second, radiometry="amplitude")
    measured = finish(result, field, first, draw=quicklook)
    for line in truth.errors(measured, sample, coherence):
        typer.echo(line)


def _labelled(pixels: Any) -> Any:
    import numpy as np
    import xarray as xr

    coords = {name: np.arange(size) for name, size in zip("yx", pixels.shape, strict=True)}
    return xr.DataArray(pixels, dims=("y", "x"), coords=coords, attrs={"radiometry": "amplitude"})
