"""One reproducible benchmark for every matcher, ours and others'.

``groundshift benchmark OUT`` runs it; :func:`groundshift.benchmark.run.run` is the same from
Python. Pairs are made from their numbers, so that whoever has the package has the benchmark.
"""

from groundshift.benchmark.chosen import STANDARD
from groundshift.benchmark.run import Record, run
from groundshift.benchmark.suites import SUITES

__all__ = ["STANDARD", "SUITES", "Record", "run"]
