"""The command ``stack``."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Device, Memory, Verbose, band_of, clock, matcher_of, start
from groundshift.cli.track import Coregister, Radiometry
from groundshift.errors import GroundshiftError, OutputError


def stack(  # noqa: PLR0913 - one option for each decision that is the user's
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES... OUT",
            help="Images of one place: files, folders, patterns in quotes, .txt files with a name "
            "a line, STAC item collections (.json); and the stack, .zarr.",
        ),
    ],
    *,
    matcher: Annotated[
        str, typer.Option(metavar="TEXT", help="As for groundshift track, for all pairs.")
    ] = "auto",
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Which pairs: a text file with two dates a line. Default: chosen."
        ),
    ] = None,
    following: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Pair each image with the N that follow it. Default: 3."
        ),
    ] = None,
    longest: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Pair all images at most so far apart.")
    ] = None,
    shortest: Annotated[
        float, typer.Option(metavar="DAYS", help="Leave out pairs less far apart.")
    ] = 0.0,
    annual: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Pair images whole years apart, give or take DAYS."),
    ] = None,
    bridge: Annotated[
        bool, typer.Option("--bridge", help="Go on where pairs do not link all dates.")
    ] = False,
    grid: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Image whose grid all get. Default: the earliest."),
    ] = None,
    search: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="As for groundshift track.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="As for groundshift track.")
    ] = None,
    coregister: Annotated[
        Coregister | None, typer.Option(help="Fit a global motion to each pair and remove it.")
    ] = None,
    stable: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Raster that is non-zero on ground that did not move: the table tells what is "
            "measured there, and --coregister is fitted there.",
        ),
    ] = None,
    radiometry: Annotated[
        Radiometry | None,
        typer.Option(metavar="KIND", help="What pixels mean, as for groundshift track."),
    ] = None,
    memory: Memory = None,
    device: Device = "cpu",
    band: Annotated[
        str | None, typer.Option(metavar="BAND", help="Of all images: number from 1, or name.")
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Value that means no data, in all images."),
    ] = None,
    asset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which asset of STAC items.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Measure the displacement of many pairs of images, as one stack, and write it to OUT.

    What is measured is on the disk at once: a run that is stopped, however, goes on where it was if
    the command is repeated. With more images it adds their pairs to a stack that is complete. A
    table of how good each pair is goes into OUT.csv.

    **Examples**

    `groundshift stack S1_*.tif pairs.zarr`, then `groundshift invert pairs.zarr history.zarr`

    `groundshift stack images/ pairs.zarr --longest 48 --annual 20 --stable rock.tif`
    """
    start(verbose=verbose)
    *words, last = images
    out = Path(last)
    if out.suffix.lower() != ".zarr":
        raise OutputError(f"{out} must end in .zarr; the stack comes last, after the images")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it, or choose another OUT")
    if not words:
        raise GroundshiftError("there are no images before OUT; give two dates or more")
    from groundshift import api, config, io
    from groundshift.io import lists

    settings = {"band": band_of(band), "nodata": nodata}
    cube = api.stack(
        [io.open_image(each.path, time=each.time, **settings) for each in lists.find(words, asset)],
        out,
        matcher_of(matcher),
        pairs=None if pairs is None else _pairs(pairs),
        following=following,
        longest=longest,
        shortest=shortest,
        annual=annual,
        bridge=bridge,
        grid=None if grid is None else io.open_image(grid, **settings),
        search=search,
        stride=stride,
        coregister=None if coregister is None else coregister.value,
        stable=None if stable is None else io.open_image(stable, nodata=float("nan")),
        radiometry=None if radiometry is None else radiometry.value,
        memory=None if memory is None else config.parse_size(memory),
        device=device,
        report=_tell,
    )
    table = out.with_name(out.name + ".csv")
    _write(table, api.quality(cube))
    from groundshift.cli import report

    for line in report.stack(cube):
        typer.echo(line)
    typer.echo(f"wrote       {out}, {table}")


def _tell(said: Any) -> None:
    days = " to ".join(str(each)[:10] for each in (said.reference, said.secondary))
    found = "left out" if said.failed else f"measured {said.share:.1%}"
    typer.echo(
        f"pair {said.done:>4} of {said.pairs}: {days}, {found}, {clock(said.seconds)}; "
        f"{clock(said.left)} to go"
    )


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Read two dates a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GroundshiftError(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").replace(";", " ").split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise GroundshiftError(
                f"line {number} of {path} is {line!r}; write two dates a line, such as "
                "2020-01-07 2020-01-19"
            )
        found.append((words[0], words[1]))
    return found


def _write(path: Path, table: Any) -> None:
    """Write a table, one line for each pair."""
    columns = {str(name): values.values for name, values in table.reset_coords().items()}
    columns = {name: values for name, values in columns.items() if values.ndim == 1}
    order = ["reference_time", "secondary_time", *(n for n in table.data_vars if n in columns)]
    draft = path.with_name(f".{path.name}.fresh")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(order)
        for row in zip(*(columns[str(name)] for name in order), strict=True):
            writer.writerow([_cell(value) for value in row])
    draft.replace(path)


def _cell(value: Any) -> str:
    import numpy as np

    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="s"))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
