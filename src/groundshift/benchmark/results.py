"""The folder of a benchmark: records as they come, in the end Markdown, JSON and pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from groundshift.benchmark.chosen import packages_of
from groundshift.benchmark.cost import Cost
from groundshift.benchmark.figures import figure
from groundshift.benchmark.report import Plot, Report, machine
from groundshift.benchmark.run import Record
from groundshift.benchmark.tables import cost_table, suite_tables
from groundshift.errors import OutputError

PARTIAL = "records.jsonl"
"""Records of a run that is not complete."""
PACKAGES = ("groundshift", "torch", "numpy", "scipy")
TEXT = """Every pair has exact truth and is made by the package from its number; those of this
split are used for nothing else. Errors are in pixels, over both components, at the centres of each
matcher's own cells, at least 64 px from the border of a synthetic pair; what cannot be measured
(hidden, moved out, in shadow) does not count. Statistics are means over the pairs that a matcher
has a value for: compare distances from faults and rises between matchers that measure alike. The
limit is that of incoherent tracking with a window of 32 px; larger windows can be below it, optical
pairs and pairs without speckle of one look have none. In brackets: share
of cells with a result, where below 0.995. "68 %" and "95 %": share of errors within those intervals
of the predicted sigma. "AUSE": area under the sparsification error, 0 if sigma ranks errors
perfectly. "outliers": vectors with a normalised median residual above 3, or wrong by more than
1 px. "off": MAE by distance from a fault. "rise": 10-90 % width of fault steps as the matcher
shows them."""


class Setting(NamedTuple):
    """What records depend on besides their key."""

    command: str
    version: str
    split: str


def resume(folder: Path, setting: Setting) -> list[Record]:
    """Return the records of an interrupted run in the folder, and make the folder.

    Raises
    ------
    OutputError
        If they are of another version or split, the folder holds the results of another command,
        or it cannot be made.
    """
    whole = folder / "benchmark.json"
    if whole.exists() and json.loads(whole.read_text())["command"] != setting.command:
        raise OutputError(
            f"{folder} holds the results of another command; choose another OUT, or delete {whole}"
        )
    if not folder.parent.is_dir():
        raise OutputError(
            f"the folder {folder.parent} does not exist; make it, or choose another OUT"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
    path = folder / PARTIAL
    if not path.exists():
        path.write_text(json.dumps(setting) + "\n")
        return []
    lines = path.read_text().splitlines()
    if not lines or json.loads(lines[0])[1:] != list(setting[1:]):
        raise OutputError(
            f"{folder} holds an unfinished benchmark of another version or split; delete "
            f"{path} or choose another OUT"
        )
    found = []
    for line in lines[1:]:
        try:
            found.append(Record(*json.loads(line)))
        except (json.JSONDecodeError, TypeError):  # the last line of a run that was killed
            break
    text = "".join(json.dumps(record) + "\n" for record in found)
    path.write_text(f"{lines[0]}\n{text}")
    return found


def keep(folder: Path, record: Record) -> None:
    """Add one record to those of the unfinished run; not a failure, which may be mended."""
    if record.failed:
        return
    with (folder / PARTIAL).open("a") as file:
        file.write(json.dumps(record) + "\n")


def write(
    folder: Path, setting: Setting, records: Sequence[Record], costs: Sequence[Cost]
) -> list[Path]:
    """Write ``benchmark.md``, ``benchmark.json`` and a picture of each suite."""
    tables = []
    for suite in dict.fromkeys(record.suite for record in records):
        own = [record for record in records if record.suite == suite]
        first, *others = suite_tables(suite, own)
        plot = Plot(suite, figure(suite, own), f"Mean absolute error, {suite}")
        tables += [first._replace(plot=plot), *others]
    if costs:
        tables.append(cost_table(costs))
    foreign = packages_of({record.matcher for record in records})
    facts = {"split": setting.split} | machine((*PACKAGES, *foreign))
    report = Report("benchmark", "Benchmark", TEXT, tables, setting.command, facts)
    written = report.write(
        folder,
        records=[record._asdict() for record in records],
        costs=[cost._asdict() for cost in costs],
    )
    (folder / PARTIAL).unlink(missing_ok=True)
    return written
