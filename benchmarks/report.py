"""Tables and plots as Markdown, JSON and PNG, with what is needed to repeat them."""

import datetime
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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

Value = float | int | str | None


class Plot(NamedTuple):
    """A picture of a table."""

    name: str
    """What the file is called after the benchmark."""
    figure: Figure
    caption: str

    def file(self, benchmark: str) -> str:
        """Name the file."""
        return f"{benchmark}-{self.name}.png"

    def png(self) -> bytes:
        """Draw it."""
        FigureCanvasAgg(self.figure)
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        return buffer.getvalue()


class Table(NamedTuple):
    """Rows of values under column names."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    text: str = ""
    plot: Plot | None = None

    def markdown(self, benchmark: str) -> str:
        """Render with three significant digits."""
        lines = [self.columns, ["---"] * len(self.columns)]
        lines += [[_short(value) for value in row] for row in self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        picture = f"![{self.plot.caption}]({self.plot.file(benchmark)})" if self.plot else ""
        parts = (f"## {self.title}", self.text, body, picture)
        return "\n\n".join(part for part in parts if part)


def _short(value: Value) -> str:
    if value is None or value != value:
        return ""
    if not isinstance(value, float):
        return f"{value}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.3g}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4f}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def machine() -> dict[str, Value]:
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
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def _commit() -> str:
    here = Path(__file__).parent
    try:
        command = ("git", "describe", "--always", "--dirty", "--exclude=*")
        return subprocess.run(
            command, cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write(name: str, title: str, text: str, tables: Sequence[Table]) -> Path:
    """Write ``results/<name>.md``, ``.json`` and a ``<name>-<plot>.png`` of each plot."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine()
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    commit = _commit()
    head = f"`{command}` on {date}, commit {commit}; " + ", ".join(
        f"{key} {value}" for key, value in facts.items()
    )
    parts = [f"# {title}", head + ".", text, *(table.markdown(name) for table in tables)]
    target = RESULTS / f"{name}.md"
    _replace(target, ("\n\n".join(part.strip() for part in parts if part) + "\n").encode())
    record = {
        "command": command,
        "date": date,
        "commit": commit,
        "machine": facts,
        "tables": [
            {
                "title": table.title,
                "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
            }
            for table in tables
        ],
    }
    _replace(RESULTS / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    for plot in (table.plot for table in tables if table.plot):
        _replace(RESULTS / plot.file(name), plot.png())
    return target


def _replace(target: Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    part.replace(target)
