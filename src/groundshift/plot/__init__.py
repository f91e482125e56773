"""Pictures of results."""

from groundshift.plot.drawing import is_quicklook, write_png
from groundshift.plot.fields import quicklook
from groundshift.plot.maps import coherence_quicklook, decay_quicklook, series_quicklook

__all__ = [
    "coherence_quicklook",
    "decay_quicklook",
    "is_quicklook",
    "quicklook",
    "series_quicklook",
    "write_png",
]
