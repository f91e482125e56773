"""What the commands share: the log, checks before the work, writing and telling after it."""

import logging
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.remedies import as_options
from groundshift.errors import OutputError

Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is done, and show where an error arose.")
]

Bands = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="What the bands of GeoTIFFs of other programs are, in order, where they do not say "
        "so: dx,dy,- of metres along x and y and one that is not used; vx,vy of metres per year.",
    ),
]
Memory = Annotated[str | None, typer.Option(metavar="SIZE", help="Working memory, such as 4GiB.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda, or auto.")]
Quicklook = Annotated[bool, typer.Option(help="Draw a picture beside OUT.")]
"""Options that are the same everywhere."""

ANOTHER_PICTURE = "choose another OUT, or pass --no-quicklook"


def start(*, verbose: bool) -> None:
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
        from groundshift.cli.coherence import coherence  # which import this module
        from groundshift.cli.track import track

        line = as_options(self.format(record).replace("WARNING", "warning"), track, coherence)
        if line not in self._said:
            self._said.add(line)
            typer.echo(line, err=True)


def finish(result: Any, out: Path, reference: Any | None, *, draw: bool) -> Any:
    """Compute, write, draw over the reference and summarise; return what was written."""
    from groundshift import io
    from groundshift.cli import report

    def drawing(written: Any, picture: Path) -> None:
        from groundshift import plot

        plot.quicklook(written, picture, reference=reference)

    _finished(result, out, picture_of(out) if draw else None, drawing, report.summary)
    return io.open_field(out)


def finish_map(
    result: Any,
    out: Path,
    picture: Path | None,
    name: str,
    resume: dict[str, Any] | None = None,
) -> None:
    """Do the same with a map of `name`: of coherence, of its decay, or of a history."""
    from groundshift.cli import report

    def drawing(written: Any, picture: Path) -> None:
        from groundshift import plot

        getattr(plot, f"{name}_quicklook")(written, picture)

    _finished(result, out, picture, drawing, getattr(report, name), resume)


def _finished(
    result: Any,
    out: Path,
    picture: Path | None,
    draw: Callable[[Any, Path], None],
    tell: Callable[[Any], list[str]],
    resume: dict[str, Any] | None = None,
) -> None:
    """Compute and write; draw and tell what is in the output."""
    from groundshift import io, tile

    lines: list[str] = []

    def look(written: Any) -> None:
        with tile.computing(progress=False):
            if picture is not None:
                draw(written, picture)
            lines.extend(tell(written))

    with tile.computing():
        io.save(result, out, resume=resume, look=look)
    for line in lines:
        typer.echo(line)
    wrote = [out] if picture is None else [out, picture]
    typer.echo(f"wrote       {', '.join(map(str, wrote))}")


def matcher_of(text: str) -> Any:
    """Return the matcher of an expression, or its name where the verbs know it."""
    from groundshift import api, config

    return text if api.is_name(text) else config.matcher_from(text, also=("auto",))


def picture_of(out: Path) -> Path:
    """Return where the quicklook of a result goes: beside it, and each result has its own.

    Examples
    --------
    >>> [picture_of(Path(name)).name for name in ("motion.tif", "motion.nc", "motion.zarr")]
    ['motion.png', 'motion.nc.png', 'motion.zarr.png']
    """
    if out.suffix.lower() == ".tif":
        return out.with_suffix(".png")
    return out.with_name(f"{out.name}.png")


def check_out(
    out: Path,
    inputs: list[Any],
    picture: Path | None = None,
    suffixes: Collection[str] | None = None,
) -> None:
    """Refuse an OUT that cannot be written, before the work begins and not after it.

    The picture, where one is drawn, replaces nothing but an earlier quicklook. Suffixes are those
    that results are saved with, unless others are given.
    """
    for path in (Path(each) for each in inputs if each is not None and Path(each).exists()):
        if _same(out, path):
            raise OutputError(f"OUT is the input {path}, which would be lost; choose another name")
        if picture is not None and _same(picture, path):
            raise OutputError(
                f"the quicklook would replace the input {path}, which would be lost; "
                f"{ANOTHER_PICTURE}"
            )
    from groundshift.io.fields import WRITERS

    ends = suffixes or WRITERS
    if out.suffix.lower() not in ends:
        raise OutputError(f"{out} must end in one of {', '.join(ends)}; the suffix says how")
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it, or choose another OUT")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write into {out.parent}: {error.strerror}; choose another OUT"
        ) from error
    if picture is not None:
        check_picture(picture)


def check_picture(picture: Path) -> None:
    """Refuse to draw over anything but an earlier quicklook."""
    if picture.exists() or picture.is_symlink():
        from groundshift import plot

        if not plot.is_quicklook(picture):
            raise OutputError(
                f"{picture} exists and is no quicklook of groundshift; {ANOTHER_PICTURE}"
            )


def _same(target: Path, path: Path) -> bool:
    return path.resolve() == target.resolve() or (target.exists() and target.samefile(path))


def open_pairs(paths: list[str], bands: str | None = None) -> Any:
    """Open a stack of pairs, or a history, or the displacement fields of several pairs."""
    from groundshift import io, timeseries

    opened = [io.open_field(path, bands=bands) for path in paths]
    stacked = len(opened) == 1 and opened[0].attrs.get("schema") in timeseries.CHECKS
    return opened[0] if stacked else opened


def band_of(text: str | None) -> int | str | None:
    """Read a band: a number from 1, or a name."""
    return int(text) if text is not None and text.isdecimal() else text


def clock(seconds: float) -> str:
    """Write a duration as people read it."""
    if seconds >= 36e3:
        return f"{seconds / 3600:.3g} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
