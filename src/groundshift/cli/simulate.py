"""The command ``simulate``."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Verbose, clock, start
from groundshift.errors import OutputError

SHOWN = 12
"""Samples in the gallery."""
AMONG = 2000
"""First samples of a store from which they are chosen."""


def _template(asked: bool) -> None:  # noqa: FBT001 - typer's callbacks get it so
    if asked:
        from groundshift.settings import RECIPES

        typer.echo(RECIPES.template(), nl=False)
        raise typer.Exit


def simulate(  # noqa: PLR0913 - one option for each decision that is the user's
    recipe: Annotated[str, typer.Argument(help="YAML of what to draw, or `default`.")],
    out: Annotated[Path, typer.Argument(help="The store, .zarr.")],
    *,
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, help="How many.")],
    bank: Annotated[
        Path | None, typer.Option(help="Texture of real images, from `groundshift pack`.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, help="Pixels per side, instead of the recipe's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all random numbers, instead of the recipe's.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, validation or test, instead of the recipe's.")
    ] = None,
    first: Annotated[int, typer.Option("--start", min=0, help="Number of the first sample.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at a time; default: one per core.")
    ] = None,
    shard: Annotated[
        int | None, typer.Option(min=1, help="Samples in a file; default: 8 of 1024 px.")
    ] = None,
    gallery: Annotated[bool, typer.Option(help="Draw OUT.zarr.png with some samples.")] = True,
    template: Annotated[
        bool,
        typer.Option(
            "--template", callback=_template, is_eager=True, help="Print a commented recipe."
        ),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Render synthetic pairs with exact displacement, as many as wanted.

    A sample follows from the recipe and its number alone. Stop at any time: the same command goes
    on where it was.

    **Example**

    `groundshift simulate default train.zarr -n 1000 --size 256 --bank texture.npz`
    """
    start(verbose=verbose)
    if out.suffix != ".zarr":
        raise OutputError(f"{out} must end in .zarr")
    from groundshift.api import simulation
    from groundshift.settings import RECIPES

    given = {"size": size, "seed": seed, "split": split}
    chosen = RECIPES.changed(
        RECIPES.read(recipe), {k: v for k, v in given.items() if v is not None}
    )
    said = _Reporter(out, chosen.size)
    try:
        found = simulation.simulate(
            chosen,
            out,
            samples,
            bank=bank,
            start=first,
            shard=shard,
            workers=workers,
            report=said,
        )
    except KeyboardInterrupt:
        typer.echo("\ngroundshift: interrupted; the same command goes on from here", err=True)
        # Not sys.exit, which waits for the shards that are being rendered.
        os._exit(130)
    wrote = [str(out)]
    if gallery:
        wrote.append(str(_draw(found, out.with_name(f"{out.name}.png"))))
    typer.echo(f"wrote       {', '.join(wrote)}")


def _draw(found: Any, path: Path) -> Path:
    from groundshift.gallery import gallery, varied

    family, sensor = (found.table(name)[:AMONG].tolist() for name in ("family", "sensor"))
    chosen = varied(family, sensor, SHOWN)
    return gallery(
        [found[k] for k in chosen],
        path,
        families=found.families,
        sensors=found.sensors,
        title=f"{len(chosen)} of {len(found):,} synthetic samples",
    )


class _Reporter:
    """Says once what is to be expected, draws a bar on a terminal, and says what came of it."""

    def __init__(self, out: Path, size: int) -> None:
        self._out, self._size = out, size
        self._began = self._projected = self._finished = False

    def __call__(self, progress: Any) -> None:
        if not self._began:
            self._began = True
            there = f", {progress.before:,} are there already" if progress.before else ""
            typer.echo(f"samples     {progress.total:,} of {self._size} x {self._size}{there}")
        if not self._projected and progress.shards >= progress.workers:
            self._projected = True
            self._project(progress)
        if sys.stderr.isatty():
            self._bar(progress)
        if progress.done == progress.total and not self._finished:
            self._finished = True
            typer.echo(
                f"rendered    {progress.done - progress.before:,} in {clock(progress.seconds)}, "
                f"{progress.rate:.3g} per second"
            )

    def _project(self, progress: Any) -> None:
        """Say what the whole store will take, from the first shards."""
        free = shutil.disk_usage(self._out.parent).free
        left = progress.total - progress.before
        workers = f"{progress.workers} worker{'s' if progress.workers > 1 else ''}"
        typer.echo(
            f"measured    {progress.rate:.3g} samples per second with {workers}, "
            f"{_size(progress.bytes_each)} per sample"
        )
        typer.echo(
            f"projected   {progress.total:,} samples of {self._size} x {self._size}: "
            f"{_size(progress.total * progress.bytes_each)}, {clock(left / progress.rate)} "
            f"{'for the rest' if progress.before else 'in all'} ({_size(free)} are free)"
        )

    def _bar(self, progress: Any) -> None:
        share = progress.done / progress.total
        bar = ("#" * round(30 * share)).ljust(30, "-")
        left = "starting"
        if progress.done > progress.before:
            left = f"{clock((progress.total - progress.done) / progress.rate)} left"
        if progress.done == progress.total:
            left = f"done in {clock(progress.seconds)}\n"
        sys.stderr.write(f"\r[{bar}] {progress.done:,}/{progress.total:,}  {left:<16}")
        sys.stderr.flush()


def _size(size: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
