"""Displacements of pairs of dates to displacements of dates; torch alone, no dates and no files.

A pair ``(i, j)`` measures ``u[j] - u[i]``, where ``u`` is where the ground is at each date.
"""

from groundshift.inversion.agreement import agree
from groundshift.inversion.closure import closing, ways_around
from groundshift.inversion.expected import expectation
from groundshift.inversion.images import image_noise, with_images
from groundshift.inversion.network import Network
from groundshift.inversion.robust import LOSSES
from groundshift.inversion.solve import History, Inversion, invert
from groundshift.inversion.together import TOGETHER, Closing

__all__ = [
    "LOSSES",
    "TOGETHER",
    "Closing",
    "History",
    "Inversion",
    "Network",
    "agree",
    "closing",
    "expectation",
    "image_noise",
    "invert",
    "ways_around",
    "with_images",
]
