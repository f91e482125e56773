"""Areas of exact zeros that are not data, told block by block.

Scenes without a declared nodata value usually have a zero border, along slanted edges of the
swath too; and an edge of such a border, matched, looks like ground that does not move. A zero alone
is a measurement, however: dark water in 8 bits, radar shadow. Following each zero area to the
image's edge would need the whole image, so the rule is local:

    A zero is no data when it lies in a square of at least 8 x 8 zeros. Beyond the image, all is
    zero.

In other words, the zeros opened by that square. Slanted borders and narrow wedges against the
image's edge are found completely; holes smaller than 8 px stay data; a larger area of exact zeros
has nothing to match anyway. The result depends on 7 pixels around each pixel only and hence not on
how the image is cut.
"""

import numpy as np
from scipy import ndimage

SIDE = 8
"""Side of the smallest square of zeros that is no data, pixels."""
REACH = SIDE - 1
"""Pixels around a pixel that decide on it."""


def zero_areas(
    values: np.ndarray, window: tuple[int, int, int, int], shape: tuple[int, int], *, smear: int = 0
) -> np.ndarray:
    """Mark areas of zeros in a window of an image.

    Parameters
    ----------
    values
        The window's pixels. Right only ``REACH + smear`` pixels away from those of its sides that
        are not sides of the image.
    window
        Rows ``top:bottom`` and columns ``left:right`` of the image.
    shape
        The image's.
    smear
        Pixels by which to grow the areas: JPEG smears their edge over one of its blocks.

    Examples
    --------
    >>> image = np.ones((20, 20))
    >>> image[:, :3] = image[10, 10] = 0
    >>> int(zero_areas(image, (0, 20, 0, 20), (20, 20)).sum())
    60
    """
    zero = values == 0
    if not zero.any():
        return zero
    top, bottom, left, right = window
    outside = (
        (REACH * (top == 0), REACH * (bottom == shape[0])),
        (REACH * (left == 0), REACH * (right == shape[1])),
    )
    padded = np.pad(zero, outside, constant_values=True)
    areas = _dilate(_erode(padded))
    if smear:
        # Only what lies in the image grows: its own edge is no area.
        inside = np.pad(np.ones_like(zero), outside, constant_values=False)
        areas = ndimage.maximum_filter(areas & inside, 2 * smear + 1, mode="constant")
    rows, columns = (slice(before, -after or None) for before, after in outside)
    return areas[rows, columns]


def _erode(mask: np.ndarray) -> np.ndarray:
    """Corners of squares: true where the SIDE x SIDE pixels right of and below are all true."""
    origin = -(SIDE // 2)
    return ndimage.minimum_filter(mask, SIDE, mode="constant", cval=0, origin=origin)


def _dilate(corners: np.ndarray) -> np.ndarray:
    return ndimage.maximum_filter(corners, SIDE, mode="constant", cval=0, origin=SIDE // 2 - 1)
