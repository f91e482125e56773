"""Tables as Markdown, with what is needed to repeat them."""

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

Value = float | int | str | None


class Table(NamedTuple):
    """Rows of values under column names."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    text: str = ""

    def markdown(self) -> str:
        """Render with three significant digits."""
        lines = [self.columns, ["---"] * len(self.columns)]
        lines += [[_short(value) for value in row] for row in self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join(part for part in (f"## {self.title}", self.text, body) if part)


def machine(packages: Sequence[str]) -> dict[str, Value]:
    """Describe processor, cores and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    facts: dict[str, Value] = {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    for package in packages:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _short(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, float):
        return f"{value}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"
