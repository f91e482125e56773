"""The command ``benchmark``."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Verbose, clock, start
from groundshift.errors import GroundshiftError

REAL = "real"


class Split(StrEnum):
    """Pairs that are kept for one purpose."""

    VALIDATION = "validation"
    TEST = "test"


def benchmark(
    out: Annotated[Path, typer.Argument(help="Folder for the results; made if needed.")],
    *,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="speckle, optical, faults, glaciers, landslides, zero or real; repeatable. "
            "Default: all.",
        ),
    ] = None,
    matchers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A matcher, see `groundshift matchers`, or your own as package.module:Name(...); "
            "{reach} is the suite's search range. Repeatable.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Real pairs, for the suite real."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Tune on validation, report on test.")] = Split.TEST,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of one thread. Default: one for each core.")
    ] = None,
    cost: Annotated[bool, typer.Option(help="Measure time and memory as well.")] = True,
    verbose: Verbose = False,
) -> None:
    """Measure matchers on synthetic pairs with exact truth, and on real pairs.

    Writes benchmark.md, benchmark.json and a picture of each suite into OUT. A run that was
    interrupted goes on where it stopped. One pair is 512 px; each suite has a search range: 36 px
    for glaciers, 12 px for faults and landslides, 8 px otherwise.

    **Examples**

    `groundshift benchmark results --suite zero --suite faults`

    `groundshift benchmark results --matchers default --matchers "NCC(window=48, search={reach})"`

    `groundshift benchmark results --matchers "my_module:MyMatcher(window=32)"`
    """
    start(verbose=verbose)
    from importlib.metadata import version

    from groundshift.benchmark import STANDARD, SUITES, results
    from groundshift.benchmark.chosen import expression, matcher_of
    from groundshift.benchmark.cost import costs
    from groundshift.benchmark.real import real
    from groundshift.benchmark.run import AnyCase, ordered, run

    names = suite or [*SUITES, REAL]
    if unknown := set(names) - {*SUITES, REAL}:
        raise GroundshiftError(
            f"there is no suite {', '.join(sorted(unknown))}; use {', '.join([*SUITES, REAL])}"
        )
    chosen = list(dict.fromkeys(matchers or STANDARD))
    for text in chosen:
        matcher_of(expression(text, names[0]))
    cases: list[AnyCase] = [case for name in names if name != REAL for case in SUITES[name]()]
    if REAL in names:
        found = real(pairs) if pairs is not None else ()
        if not found:
            typer.echo("real         skipped: no known pairs (--pairs FOLDER)")
        cases += found
    if not cases:
        raise GroundshiftError("there is nothing to measure; name another --suite, or --pairs")
    command = shlex.join(["groundshift", *sys.argv[1:]])
    setting = results.Setting(command, version("groundshift"), split.value)
    records = results.resume(out, setting)
    at_a_time = workers or os.cpu_count() or 1
    total = sum(case.pairs for case in cases) * len(chosen)
    _measure(run(cases, chosen, split.value, workers=at_a_time, done=records), records, out, total)
    measured = costs(chosen, names[0] if names[0] != REAL else "zero") if cost else []
    for path in results.write(out, setting, ordered(records, cases, chosen), measured):
        typer.echo(f"wrote        {path}")


def _measure(found: Iterator[Any], records: list[Any], out: Path, total: int) -> None:
    """Take records as they come, keep each, and say how long it takes."""
    from groundshift.benchmark import results

    begun, before = time.monotonic(), len(records)
    try:
        for record in found:
            records.append(record)
            results.keep(out, record)
            if sys.stderr.isatty():
                rate = (time.monotonic() - begun) / (len(records) - before)
                left = clock(rate * (total - len(records)))
                typer.echo(f"\r{len(records)} of {total}, {left} left   ", nl=False, err=True)
    except KeyboardInterrupt:
        typer.echo("\ngroundshift: interrupted; the same command goes on from here", err=True)
        # Not sys.exit, which waits for the pairs that are being measured.
        os._exit(130)
    if sys.stderr.isatty():
        typer.echo("", err=True)
