"""Pictures of a benchmark: the error of each matcher, case by case."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from groundshift.benchmark.run import Record
from groundshift.benchmark.tables import mean_errors, shown

MARKERS = "osD^v<>PX*h"


def figure(suite: str, records: Sequence[Record]) -> Figure:
    """Draw mean absolute errors, one panel for each table."""
    tables = list(dict.fromkeys(record.table for record in records))
    matchers = list(dict.fromkeys(record.matcher for record in records))
    columns = {t: list(dict.fromkeys(r.column for r in records if r.table == t)) for t in tables}
    height = sum(0.28 * len(names) + 0.9 for names in columns.values())
    drawn = Figure(figsize=(8.5, height + 0.3 * len(matchers) + 0.4), layout="constrained")
    panels = drawn.subplots(
        len(tables), 1, squeeze=False, sharex=True, height_ratios=[len(columns[t]) for t in tables]
    )[:, 0]
    for panel, table in zip(panels, tables, strict=True):
        own = [record for record in records if record.table == table]
        places, some = np.arange(len(columns[table])), False
        for index, matcher in enumerate(matchers):
            errors = np.array(mean_errors(own, matcher, columns[table]))
            some |= bool((errors > 0).any())
            panel.plot(
                np.where(errors > 0, errors, np.nan),
                places,
                MARKERS[index % len(MARKERS)],
                color=f"C{index % 10}",
                label=shown(matcher, suite),
                alpha=0.8,
            )
        panel.set_yticks(places, columns[table])
        panel.set_ylim(len(places) - 0.5, -0.5)
        if some:  # else there is nothing to scale
            panel.set_xscale("log")
        panel.grid(visible=True, which="both", axis="both", alpha=0.25)
        panel.set_title(f"{suite}: {table}", fontsize=10, loc="left")
    panels[-1].set_xlabel("mean absolute error, px")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=2)
    return drawn
