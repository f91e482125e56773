"""One grid for two images."""

from math import ceil

from odc.geo.geobox import GeoBox


def output_geobox(geobox: GeoBox, stride: int) -> GeoBox:
    """Grid whose cells are `stride` pixels wide and begin at the corner of `geobox`.

    The last row and column may reach beyond the image.
    """
    rows, columns = (ceil(n / stride) for n in geobox.shape.yx)
    return GeoBox((rows, columns), geobox.affine * geobox.affine.scale(stride), geobox.crs)
