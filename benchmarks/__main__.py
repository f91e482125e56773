"""Run benchmarks: ``python -m benchmarks [name ...]``; without names, all but the last ten.

They need more than the package: time for large images, and real pairs.
"""

import sys
from importlib import import_module

from groundshift import process

# Before torch is imported: what the command line of the package does as well.
process.prepare()

NAMES = (
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


def main() -> None:
    """Run what was asked for and write the results."""
    from benchmarks.report import write

    names = sys.argv[1:] or NAMES[:-13]
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; use {', '.join(NAMES)}")
    for name in names:
        module = import_module(f"benchmarks.{name}")
        for path in write(name, module.TITLE, module.TEXT, module.tables()):
            print(path)


if __name__ == "__main__":
    main()
