"""Tables of records: who erred by how much, where, and whether it knew."""

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from groundshift.benchmark.cost import Cost
from groundshift.benchmark.report import Table, Value
from groundshift.benchmark.run import Record
from groundshift.benchmark.suites import LEAST_REACH, REACH

COLUMNS = {
    "MAE": "mae",
    "median": "median",
    "P95": "p95",
    "RMSE y": "rmse_dy",
    "RMSE x": "rmse_dx",
    "> 0.5 px": "over_half",
    "> 1 px": "over_one",
    "bias y": "bias_dy",
    "bias x": "bias_dx",
    "slope y": "slope_dy",
    "slope x": "slope_dx",
    "density": "density",
    "outliers": "outliers",
    "68 %": "within_68",
    "95 %": "within_95",
    "AUSE": "ause",
    "0-2 px off": "near_2",
    "2-6 px": "near_6",
    "6-20 px": "near_20",
    "rise": "rise",
}
"""Titles of the statistics of :class:`groundshift.metrics.Score`."""


def suite_tables(suite: str, records: Sequence[Record]) -> list[Table]:
    """Errors case by case, and all statistics over the suite."""
    matchers = _unique(record.matcher for record in records)
    tables = []
    for name in _unique(record.table for record in records):
        own = [record for record in records if record.table == name]
        tables.append(_by_case(f"{suite}: {name}", own, matchers, _error))
        if any(record.ratio is not None for record in own):
            title = f"{suite}: {name}, in units of the limit of a 32-px window"
            tables.append(_by_case(title, own, matchers, _ratio))
    rows: list[list[Value]] = []
    for matcher in matchers:
        own = [record for record in records if record.matcher == matcher]
        values = (_mean(record.score[field] for record in own) for field in COLUMNS.values())
        rows.append([shown(matcher, suite), *values])
    tables.append(Table(f"{suite}: all statistics", ("matcher", *COLUMNS), rows))
    return tables


def cost_table(costs: Sequence[Cost]) -> Table:
    """Show what each matcher costs."""
    columns = ("matcher", "s/Mpx", "CPU s/Mpx", "GB/Mpx", "nodes/s")
    rows = [[shown(cost.matcher, ""), *cost[1:]] for cost in costs]
    text = "One pair of 1024 x 1024 px in one thread and a process of its own."
    return Table("Cost", columns, rows, text)


def shown(matcher: str, suite: str) -> str:
    """Write a matcher as it was run, without the modules of foreign ones."""
    name = matcher.replace("{reach}", str(REACH.get(suite, LEAST_REACH)))
    module, colon, rest = name.partition(":")
    return rest if colon and "(" not in module else name


def mean_errors(records: Sequence[Record], matcher: str, columns: Sequence[str]) -> list[float]:
    """Mean absolute error of a matcher in each column, NaN where it found nothing."""
    found = []
    for column in columns:
        own = [r for r in records if (r.matcher, r.column) == (matcher, column)]
        found.append(_mean(record.score["mae"] for record in own))
    return found


def _by_case(
    title: str,
    records: Sequence[Record],
    matchers: Sequence[str],
    cell: Callable[[Sequence[Record]], str],
) -> Table:
    columns = _unique(record.column for record in records)
    rows: list[list[Value]] = [
        [
            shown(matcher, records[0].suite),
            *(cell([r for r in records if (r.matcher, r.column) == (matcher, c)]) for c in columns),
        ]
        for matcher in matchers
    ]
    return Table(title, ("matcher", *columns), rows)


def _error(records: Sequence[Record]) -> str:
    failed = sum(record.failed for record in records)
    if failed == len(records):
        return "failed"
    error = _mean(record.score["mae"] for record in records)
    density = _mean(record.score["density"] for record in records)
    shown = f"{error:.3f}" + (f" ({density:.2f})" if density < 0.995 else "")
    return shown + (f", {failed} failed" if failed else "")


def _ratio(records: Sequence[Record]) -> str:
    ratio = _mean(record.ratio for record in records)
    return "" if math.isnan(ratio) else f"{ratio:.2f}"


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else math.nan


def _unique(names: Iterable[str]) -> list[str]:
    """Keep the order."""
    return list(dict.fromkeys(names))
