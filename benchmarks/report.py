"""Tables as Markdown and JSON, with what is needed to repeat them."""

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

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
)

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


def _short(value: Value) -> str:
    if value is None or value != value:
        return ""
    if not isinstance(value, float):
        return f"{value}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"


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
    """Write ``results/<name>.md`` and ``.json``."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine()
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    commit = _commit()
    head = f"`{command}` on {date}, commit {commit}; " + ", ".join(
        f"{key} {value}" for key, value in facts.items()
    )
    parts = [f"# {title}", head + ".", text, *(table.markdown() for table in tables)]
    target = RESULTS / f"{name}.md"
    target.write_text("\n\n".join(part.strip() for part in parts if part) + "\n")
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
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    return target
