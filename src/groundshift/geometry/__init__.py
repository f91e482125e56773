"""From what images show to how the ground moved: directions of sight, slopes, strain, faults.

East, north and up are positive; angles are degrees, headings clockwise from north.
"""

from groundshift.geometry.combine import Motion, Observation, combine
from groundshift.geometry.faults import Offset, Profile, offset, profile
from groundshift.geometry.projection import to_ground
from groundshift.geometry.sight import azimuth_vector, flat, range_vector
from groundshift.geometry.strain import strain

__all__ = [
    "Motion",
    "Observation",
    "Offset",
    "Profile",
    "azimuth_vector",
    "combine",
    "flat",
    "offset",
    "profile",
    "range_vector",
    "strain",
    "to_ground",
]
