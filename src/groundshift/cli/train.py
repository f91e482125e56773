"""The command ``train``."""

import math
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Verbose, band_of, clock, start
from groundshift.cli.track import Radiometry
from groundshift.errors import GroundshiftError


def train(  # noqa: PLR0913 - one option for each decision that is the user's
    config: Annotated[
        str | None,
        typer.Argument(
            help="YAML of what to train, or a name: `small`, `medium`, `large`, or a net of the "
            "literature as published (`strainnet`) or small (`strainnet-compact`).",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Argument(help="Folder of the run; it can be used as a matcher.", show_default=False),
    ] = None,
    *,
    bank: Annotated[
        Path | None, typer.Option(help="Texture of real images, from `groundshift pack`.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Samples from `groundshift labels` or `simulate`, not those of a recipe."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of images, one folder for each place, to learn from without truth "
            "(`objective: alike`)."
        ),
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Number from 1, or name, of the band of --images.")
    ] = None,
    radiometry: Annotated[
        Radiometry | None, typer.Option(help="What pixels of --images mean; default: guessed.")
    ] = None,
    nodata: Annotated[
        float | None, typer.Option(help="Value that means no data, in all of --images.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for the best there is.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes that render; default: a third of the cores, or all beside a GPU."
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Stop after the first step beyond this time; the same command goes on. Samples "
            "for the first step take minutes.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of the whole run, instead of the config's.")
    ] = None,
    template: Annotated[
        bool,
        typer.Option("--template", help="Print CONFIG with all keys and comments, and stop."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Train a matcher on synthetic pairs with exact displacement.

    Stop at any time: the same command goes on where it was. With `start: RUN` or the name of
    weights in the YAML, and a bank of your own images, it fine-tunes. With --store it learns from
    what a tracker found in real pairs, with --images from images alone; `coherence` learns from
    co-registered complex ones. On several GPUs start it by torchrun.

    **Example**

    `groundshift train small run --bank texture.npz`, then
    `groundshift track A.tif B.tif OUT.tif --matcher run`
    """
    start(verbose=verbose)
    import torch

    from groundshift import train as training
    from groundshift.synth.bank import Bank
    from groundshift.tile import resolve_device
    from groundshift.tile.memory import cores
    from groundshift.train.configs import CONFIGS

    if template:
        typer.echo(CONFIGS.template(None if config is None else CONFIGS.read(config)), nl=False)
        return
    if config is None or run is None:
        raise GroundshiftError(
            "what to train and the folder of the run are both needed: "
            "groundshift train small run --bank texture.npz"
        )
    chosen = CONFIGS.read(config)
    if steps is not None:
        chosen = CONFIGS.changed(chosen, {"steps": steps})
    device = resolve_device(device)
    if workers is None:
        workers = max(1, cores() // 3) if device == "cpu" else cores()
    if device == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() - workers))
    pixels = {
        "band": band_of(band),
        "radiometry": None if radiometry is None else radiometry.value,
        "nodata": nodata,
    }
    stored = _samples(chosen, store, images, pixels)
    typer.echo(f"training    {chosen.steps:,} steps of {chosen.batch} on {device}")
    try:
        state = training.train(
            chosen,
            run,
            None if bank is None else Bank.open(bank),
            stored,
            device=device,
            workers=workers,
            seconds=math.inf if hours is None else 3600 * hours,
            report=_Reporter(chosen.steps),
        )
    except KeyboardInterrupt:
        typer.echo("\ngroundshift: interrupted; the same command goes on from here", err=True)
        # Not an exception, which would say that nothing was written.
        os._exit(130)
    if state.step < chosen.steps:
        typer.echo(f"stopped     at step {state.step:,}; the same command goes on")
    typer.echo(f"wrote       {run}")


def _samples(
    config: Any, store: Path | None, images: Path | None, pixels: dict[str, Any]
) -> Any | None:
    """Open what is learned from instead of samples of the recipe, if anything is."""
    from groundshift.train.coregistered import Coregistered
    from groundshift.train.folder import Folder
    from groundshift.train.stored import Stored

    if images is not None:
        if store is not None:
            raise GroundshiftError("--store and --images are two sources; pass one of them")
        source = Coregistered if config.objective == "coherence" else Folder
        return source(images, config.recipe, **pixels)
    if any(each is not None for each in pixels.values()):
        raise GroundshiftError("--band, --radiometry and --nodata are those of --images; pass it")
    return None if store is None else Stored(store)


class _Reporter:
    """One line for each checkpoint and validation, with the time that is left."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._last: tuple[float, float] | None = None

    def __call__(self, kind: str, line: dict[str, float]) -> None:
        values = {k: v for k, v in line.items() if k not in ("step", "seconds")}
        if kind == "calibration":
            typer.echo(f"calibrating its sigma, on {line['samples']:,.0f} samples")
            return
        if kind == "validation":
            shown = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
            typer.echo(f"validation  {shown}")
            return
        total = sum(v for k, v in values.items() if k not in ("pixels", "guess"))
        error = ""
        if "pixels" in values:
            error = f"  error {values['pixels']:.3f} px from {values['guess']:.3f}"
        left = ""
        now = time.monotonic()
        if self._last is not None:
            pace = (now - self._last[1]) / max(1, line["step"] - self._last[0])
            left = f"  {clock(pace * (self._steps - line['step']))} left"
        self._last = line["step"], now
        typer.echo(f"step        {line['step']:,.0f}  loss {total:.3f}{error}{left}")
