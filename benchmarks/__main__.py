"""Run benchmarks: ``python -m benchmarks [name ...]``; without names, those of `SHORT`."""

import sys
from importlib import import_module

from groundshift import process

# Before torch is imported: what the command line of the package does as well.
process.prepare()

SHORT = (
    "accuracy",
    "speckle",
    "physics",
    "simulation",
    "rates",
    "trust",
    "outliers",
    "coherence",
    "inversion",
    "histories",
    "kills",
    "speed",
    "unet",
)
LONG = (
    "ablations",
    "nets",
    "earthquakes",
    "stack",
    "multikernel",
    "extensometers",
    "memory",
    "cubes",
    "scenes",
    "kilauea",
    "moreno",
    "real",
    "real_coherence",
)
"""They need more than the package: hours, large images, a bank of texture, or real pairs."""
NAMES = (*SHORT, *LONG)


def main() -> None:
    """Run what was asked for and write the results."""
    from benchmarks.report import write

    names = sys.argv[1:] or SHORT
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; use {', '.join(NAMES)}")
    for name in names:
        module = import_module(f"benchmarks.{name}")
        for path in write(name, module.TITLE, module.TEXT, module.tables()):
            print(path)


if __name__ == "__main__":
    main()
