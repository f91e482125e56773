"""The command ``pack``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import Verbose, start


class Texture(StrEnum):
    """Kinds of texture in a bank."""

    REFLECTIVITY = "reflectivity"
    DETECTED = "detected"
    OPTICAL = "optical"


def pack(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Images, in subfolders too.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The bank, .npz.")],
    *,
    max_size: Annotated[
        str, typer.Option(metavar="SIZE", help="Of OUT; what does not fit is cut.")
    ] = "25MiB",
    band: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BAND",
            help="Take only this band of images with several: number from 1, or name. Repeatable.",
        ),
    ] = None,
    kind: Annotated[
        Texture | None,
        typer.Option(
            metavar="KIND",
            help="What all images are: reflectivity (radar without speckle), detected (radar with "
            "speckle), optical. Default: told by names and pixels.",
        ),
    ] = None,
    motions: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Fields of displacement or velocity to move images by: a_vx.tif and a_vy.tif, "
            "Px1.tif and Px2.tif, EW.grd.",
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Pack a folder of imagery into one small file of texture to train on.

    A file SOURCE.txt beside or above images, with lines such as `licence: CC-BY-4.0`, says where
    they are from; it is kept. Images of one place on several dates become stacks, if they prove to
    lie on the same pixels.

    **Example**

    `groundshift pack imagery texture.npz --max-size 50MiB --band nir --motions velocities`
    """
    start(verbose=verbose)
    from groundshift import config
    from groundshift.cli import texture
    from groundshift.io.pack import pack as pack_folder

    packed = pack_folder(
        folder,
        out,
        max_size=config.parse_size(max_size),
        bands=None if band is None else [int(each) if each.isdecimal() else each for each in band],
        kind=None if kind is None else kind.value,
        motions=motions,
    )
    for line in texture.contents(packed):
        typer.echo(line)
    typer.echo(f"wrote        {out}")
