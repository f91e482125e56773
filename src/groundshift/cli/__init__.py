"""The verbs on paths: each command opens files, calls the verb of :mod:`groundshift.api`, saves.

Modules that take long to import are imported inside the commands, so that help is immediate.
"""

import logging
import os
import re
import sys
import tempfile
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from groundshift.errors import GroundshiftError, OutputError

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit codes: the input is wrong; groundshift is; the user pressed Ctrl-C."""
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

# click's exceptions, wherever this version of typer keeps them.
_ClickError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="groundshift",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Dense ground displacement between two satellite images, with an honest uncertainty.",
    epilog="Start with `groundshift demo`, then `groundshift track --help`.",
)


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


class Texture(StrEnum):
    """Kinds of texture in a bank."""

    REFLECTIVITY = "reflectivity"
    DETECTED = "detected"
    OPTICAL = "optical"


Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is done, and show where an error arose.")
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"groundshift {version_of('groundshift')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@app.command()
def track(  # noqa: PLR0913 - one option for each decision that is the user's
    reference: Annotated[str, typer.Argument(help="Image of the earlier date: any raster file.")],
    secondary: Annotated[str, typer.Argument(help="Image of the later date, of the same place.")],
    out: Annotated[
        Path, typer.Argument(help="Result: .tif (COG with five bands), .nc or .zarr (CF).")
    ],
    *,
    matcher: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="See `groundshift matchers`; for example 'NCC(window=64, stride=16)'.",
        ),
    ] = "default",
    search: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Largest displacement the default matcher looks for, pixels.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Pixels between results of the default matcher: 1, 2, 4, 8 or 16.",
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
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Working memory, e.g. 4GiB; by default two fifths of what is available.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, or auto.")] = "cpu",
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
        bool, typer.Option(help="Draw a picture of the result beside OUT (.png).")
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
    _start(verbose=verbose)
    _check_out(out, [reference, secondary, prior, stable, mask])
    from groundshift import api, config, field, io

    chosen = None if matcher == config.DEFAULT else config.matcher_from(matcher)
    options = {"band": _band(band), "nodata": nodata}
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
        memory=None if memory is None else config.parse_size(memory),
        device=device,
    )
    if velocity:
        result = field.velocity(result)
    _finish(result, out, first if quicklook else None)


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the result; made if needed.")] = Path(
        "groundshift_demo"
    ),
    size: Annotated[int, typer.Option(min=128, max=8192, help="Pixels per side.")] = 512,
    coherence: Annotated[float, typer.Option(min=0.05, max=1.0, help="Of the two images.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Of the scene.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Render a small SAR pair with known motion, track it, and print the true error.

    Needs no data. Writes demo.tif and demo.png into a folder.

    **Example**

    `groundshift demo --size 1024 --coherence 0.6`
    """
    _start(verbose=verbose)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}; pass --out") from error
    _check_out(out / "demo.tif", [])
    from groundshift import api, synth
    from groundshift.cli import report

    typer.echo(f"rendering a {size} x {size} SAR pair at coherence {coherence:g} ...")
    sample = synth.demo_pair(seed=seed, size=size, coherence=coherence)
    first, second = (_labelled(plane.numpy()) for plane in (sample.reference, sample.secondary))
    result = api.track(first, second, radiometry="amplitude")
    measured = _finish(result, out / "demo.tif", first)
    for line in report.errors(measured, sample, coherence):
        typer.echo(line)


@app.command()
def info(
    file: Annotated[str, typer.Argument(help="An image, or a field written by `track`.")],
    *,
    band: Annotated[str | None, typer.Option(help="Band of an image: number or name.")] = None,
    verbose: Verbose = False,
) -> None:
    """Say what a file is: grid, dates, radiometry, conventions, statistics.

    **Example**

    `groundshift info motion.tif`
    """
    _start(verbose=verbose)
    from groundshift.cli import report

    for line in report.file(file, _band(band)):
        typer.echo(line)


@app.command()
def matchers(verbose: Verbose = False) -> None:  # noqa: FBT002 - typer's way of a flag
    """List the matchers, their parameters, and how to write them."""
    _start(verbose=verbose)
    from groundshift.cli import report

    for line in report.matchers():
        typer.echo(line)


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="Images, in subfolders too.")],
    out: Annotated[Path, typer.Argument(help="The bank, .npz.")],
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
    verbose: Verbose = False,
) -> None:
    """Pack a folder of imagery into one small file of texture to train on.

    A file SOURCE.txt beside or above images, with lines such as `licence: CC-BY-4.0`, says where
    they are from; it is kept. Images of one place on several dates become stacks, if they prove to
    lie on the same pixels.

    **Example**

    `groundshift pack imagery texture.npz --max-size 50MiB --band nir`
    """
    _start(verbose=verbose)
    from groundshift import config
    from groundshift.cli import texture
    from groundshift.io.pack import pack as pack_folder

    packed = pack_folder(
        folder,
        out,
        max_size=config.parse_size(max_size),
        bands=None if band is None else [int(each) if each.isdecimal() else each for each in band],
        kind=None if kind is None else kind.value,
    )
    for line in texture.contents(packed):
        typer.echo(line)
    typer.echo(f"wrote        {out}")


# -- what the commands share ---------------------------------------------------------------------


def _start(*, verbose: bool) -> None:
    """Send the log to stderr: warnings, and with ``verbose`` all that is done."""
    root = logging.getLogger("groundshift")
    for handler in list(root.handlers):
        if isinstance(handler, _Lines):
            root.removeHandler(handler)
    handler = _Lines()
    handler.setFormatter(logging.Formatter("groundshift: %(levelname)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)
    root.propagate = False


class _Lines(logging.Handler):
    """Writes to whatever stderr is at the time; what several tiles say, once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).replace("WARNING", "warning")
        if line not in self._said:
            self._said.add(line)
            typer.echo(line, err=True)


def _finish(result: Any, out: Path, reference: Any | None) -> Any:
    """Compute, write, draw and summarise; return what was written."""
    from groundshift import io, tile
    from groundshift.cli import report

    with tile.computing():
        io.save(result, out)
    written = io.open_field(out)
    wrote = [str(out)]
    if reference is not None:
        from groundshift import plot

        picture = out.with_suffix(".png")
        with tile.computing(progress=False):
            plot.quicklook(written, picture, reference=reference)
        wrote.append(str(picture))
    for line in report.summary(written):
        typer.echo(line)
    typer.echo(f"wrote       {', '.join(wrote)}")
    return written


def _check_out(out: Path, inputs: list[Any]) -> None:
    """Refuse an OUT that cannot be written, before the work begins and not after it."""
    for path in inputs:
        if path is not None and Path(path).exists() and _same(out, Path(path)):
            raise OutputError(f"OUT is the input {path}, which would be lost; choose another name")
    from groundshift.io.fields import WRITERS

    if out.suffix.lower() not in WRITERS:
        raise OutputError(f"{out} must end in one of {', '.join(WRITERS)}; the suffix says how")
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it, or choose another OUT")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write into {out.parent}: {error.strerror}; choose another OUT"
        ) from error


def _same(out: Path, path: Path) -> bool:
    names = {out.resolve(), out.with_suffix(".png").resolve()}
    return path.resolve() in names or (out.exists() and out.samefile(path))


def _band(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


def _labelled(pixels: Any) -> Any:
    import numpy as np
    import xarray as xr

    coords = {name: np.arange(size) for name, size in zip("yx", pixels.shape, strict=True)}
    return xr.DataArray(pixels, dims=("y", "x"), coords=coords, attrs={"radiometry": "amplitude"})


# -- the entry point -----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line: every error is one line on stderr and an exit code."""
    # Torch's large-page allocator: up to twice as fast on the CPU. Read when torch is imported.
    if sys.platform == "linux":
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    words = sys.argv[1:] if arguments is None else arguments
    verbose = bool({"-v", "--verbose"} & set(words))
    try:
        code = app(args=words, prog_name="groundshift", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except GroundshiftError as error:
        _trace(verbose=verbose)
        _complain(_as_options(str(error)))
        sys.exit(USAGE)
    except _ClickError as error:
        message = error.format_message().replace("Input should be", "it must be")
        _complain(f"{message.partition(', unable')[0]} (see groundshift --help)")
        sys.exit(USAGE)
    except Exception as error:  # the last resort before the user
        _trace(verbose=verbose)
        hint = "" if verbose else "; --verbose shows where, please report it"
        _complain(f"{type(error).__name__}: {error}{hint}", kind="unexpected error: ")
        sys.exit(FAILURE)
    if code == INTERRUPTED:  # typer turns KeyboardInterrupt into this, or into Abort
        _complain("interrupted; nothing was written", kind="")
        sys.stdout.flush()
        # Not sys.exit, which waits for the tiles that are still being computed.
        os._exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, kind: str = "error: ") -> None:
    typer.echo(f"groundshift: {kind}{' '.join(message.split())}", err=True)


def _as_options(message: str) -> str:
    """Turn the remedy "pass band=2", which is Python, into "pass --band 2"."""
    message = re.sub(r"time='([^']+)' for the (reference|secondary)", r"--\2-time \1", message)
    names = "|".join(
        ONLY_HERE | {"coregister", "device", "memory", "radiometry", "search", "stride"}
    )
    return re.sub(rf"\b(pass|or) ({names})='?([^\s;,']+)'?", r"\1 --\2 \3", message).replace(
        " to open_image", ""
    )


def _trace(*, verbose: bool) -> None:
    if verbose:
        traceback.print_exc()
