"""Results of the benchmarks of this folder, under ``benchmarks/results``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from groundshift.benchmark.report import Plot, Report, Table, Value, machine

__all__ = ["Plot", "Table", "Value", "write"]

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "groundshift",
    "torch",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "scikit-image",
    "OpenPIV",
    "al-dic",
    "cutde",
    "dislocs",
)


def write(name: str, title: str, text: str, tables: Sequence[Table]) -> list[Path]:
    """Write the Markdown, JSON and plots of one benchmark."""
    RESULTS.mkdir(exist_ok=True)
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    return Report(name, title, text, tables, command, machine(PACKAGES)).write(RESULTS)
