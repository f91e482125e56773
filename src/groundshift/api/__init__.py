"""The verbs, on labelled arrays: files and text belong to :mod:`groundshift.cli`."""

from groundshift.api.choice import is_name
from groundshift.api.cleaning import Cleaning, clean, clean_stack
from groundshift.api.coherent import coherence
from groundshift.api.decaying import decay
from groundshift.api.exporting import export
from groundshift.api.fitting import fit
from groundshift.api.inverting import invert
from groundshift.api.labelling import labels
from groundshift.api.pairs import quality
from groundshift.api.simulation import simulate
from groundshift.api.stacking import stack
from groundshift.api.tracking import track

__all__ = [
    "Cleaning",
    "clean",
    "clean_stack",
    "coherence",
    "decay",
    "export",
    "fit",
    "invert",
    "is_name",
    "labels",
    "quality",
    "simulate",
    "stack",
    "track",
]
