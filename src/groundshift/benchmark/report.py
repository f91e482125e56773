"""Tables and plots as Markdown, JSON and PNG, with what is needed to repeat them."""

import datetime
import io
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
    if value is None or (isinstance(value, float) and math.isnan(value)):
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


def machine(packages: Sequence[str]) -> dict[str, Value]:
    """Describe processor, cores and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    facts: dict[str, Value] = {"commit": commit} if (commit := _commit()) else {}
    facts |= {
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


def _commit() -> str:
    """Return the commit of the package, where it is used from a checkout.

    Earlier results, which a benchmark replaces, make no difference to it.
    """
    try:
        if not _git("ls-files", Path(__file__).name):
            return ""
        changed = _git("status", "--porcelain", "--untracked-files=no", ":/", ":!/**/results/**")
        return _git("describe", "--always", "--exclude=*") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", *arguments), cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Report(NamedTuple):
    """What a benchmark found."""

    name: str
    """Of its files."""
    title: str
    text: str
    tables: Sequence[Table]
    command: str
    """That repeats it."""
    facts: Mapping[str, Value]
    """Version, machine, settings."""

    def write(self, folder: Path, **record: Any) -> list[Path]:
        """Write ``<name>.md``, ``<name>.json`` and a ``<name>-<plot>.png`` of each plot.

        `record` goes into the JSON instead of the tables.
        """
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        facts = ", ".join(f"{key} {value}" for key, value in self.facts.items())
        parts = [f"# {self.title}", f"`{self.command}` on {date}; {facts}.", self.text]
        parts += [table.markdown(self.name) for table in self.tables]
        text = "\n\n".join(part.strip() for part in parts if part) + "\n"
        tables = [
            {"title": t.title, "rows": [dict(zip(t.columns, row, strict=True)) for row in t.rows]}
            for t in self.tables
        ]
        head = {"command": self.command, "date": date, "facts": dict(self.facts)}
        data = json.dumps(head | (record or {"tables": tables}), indent=1) + "\n"
        files = {f"{self.name}.md": text.encode(), f"{self.name}.json": data.encode()}
        plots = (table.plot for table in self.tables if table.plot)
        files |= {plot.file(self.name): plot.png() for plot in plots}
        for name, content in files.items():
            _replace(folder / name, content)
        return [folder / name for name in files]


def _replace(target: Path, content: bytes) -> None:
    """Write a file that is never seen half-written."""
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    part.replace(target)
