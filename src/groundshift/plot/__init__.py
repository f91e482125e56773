"""Pictures of results."""

from groundshift.plot.drawing import is_quicklook, write_png
from groundshift.plot.fields import quicklook
from groundshift.plot.maps import (
    coherence_quicklook,
    decay_quicklook,
    fit_quicklook,
    series_quicklook,
)
from groundshift.plot.stations import stations_quicklook

__all__ = [
    "coherence_quicklook",
    "decay_quicklook",
    "fit_quicklook",
    "is_quicklook",
    "quicklook",
    "series_quicklook",
    "stations_quicklook",
    "write_png",
]
