"""Relief: heights, slopes, and what the sun (or a radar) does not reach.

Heights are in pixels, like distances, so that slopes are plain ratios. A direction is that where
the light comes from: azimuth clockwise from the top of the image, elevation above the horizon.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.synth.fields import random_field


@dataclass(frozen=True)
class Sun:
    """Where parallel light comes from, radians."""

    azimuth: float
    """Clockwise from the top of the image (north, on a north-up map)."""
    elevation: float
    """Above the horizon."""

    def __post_init__(self) -> None:
        if not 0 < self.elevation < math.pi / 2:
            raise ValueError(
                f"elevation={self.elevation} rad is not between the horizon and the zenith; "
                "give radians above 0 and below pi / 2"
            )


def relief(
    size: tuple[int, int], hurst: float, length: float, slope: float, generator: torch.Generator
) -> Tensor:
    """Make fractal, periodic terrain, smooth below the scale at which soil creeps.

    Real hillslopes are smoother than a fractal at wavelengths below some hundred metres (Perron
    et al. 2008); without that the roughest pixels would cast all the shadows. Here the scale is a
    fortieth of the mountains'.

    Parameters
    ----------
    size
        Rows and columns.
    hurst, length
        Roughness, and the size of the largest mountains in pixels; as in `random_field`.
    slope
        Root mean square of the gradient's magnitude, pixels per pixel.

    Returns
    -------
    Tensor
        Heights, pixels, float32, lowest point zero.
    """
    height = random_field(size, hurst, length, generator, smoothness=length / 40)
    dy, dx = gradient(height)
    height = height * (slope / (dy**2 + dx**2).mean().sqrt())
    return height - height.min()


def gradient(height: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of periodic terrain along rows and columns: central differences."""
    dy, dx = ((height.roll(-1, axis) - height.roll(1, axis)) / 2 for axis in (0, 1))
    return dy, dx


def lambert(height: Tensor, sun: Sun) -> Tensor:
    """Cosine of the angle of incidence on periodic terrain, 0 where a slope turns away."""
    dy, dx = gradient(height)
    towards_y = -math.cos(sun.azimuth) * math.cos(sun.elevation)
    towards_x = math.sin(sun.azimuth) * math.cos(sun.elevation)
    facing = math.sin(sun.elevation) - dy * towards_y - dx * towards_x
    return facing.clamp(min=0) / (1 + dy**2 + dx**2).sqrt()


def cast_shadow(height: Tensor, sun: Sun, *, periodic: bool = False) -> Tensor:
    """Mark what lies in the shadow of something else.

    Along a ray from the sun the edge of the shadow sinks by ``tan(elevation)`` per pixel, so that
    its height over a point is the running maximum of ``height + distance * tan(elevation)`` over
    all that is nearer to the sun, less the point's own share: one scan instead of a search for the
    horizon of every point, and exact for heights that are linear between pixels along the rays.

    Parameters
    ----------
    height
        Shape ``(H, W)``, pixels.
    sun
        Direction of the light.
    periodic
        Whether the terrain repeats beyond the image, once; otherwise nothing stands there.

    Returns
    -------
    Tensor
        bool, ``(H, W)``; slopes that turn away from the sun but that nothing overshadows are not
        marked: `lambert` is zero there.
    """
    towards_y, towards_x = -math.cos(sun.azimuth), math.sin(sun.azimuth)
    if abs(towards_x) > abs(towards_y):
        turned = Sun(math.atan2(towards_y, -towards_x), sun.elevation)
        return cast_shadow(height.T, turned, periodic=periodic).T
    if towards_y > 0:  # let the sun stand behind the first row
        turned = Sun(math.atan2(towards_x, towards_y), sun.elevation)
        return cast_shadow(height.flip(0), turned, periodic=periodic).flip(0)
    rows, columns = height.shape
    drift = -towards_x / abs(towards_y)  # columns that a ray moves per row
    fall = math.hypot(1, drift) * math.tan(sun.elevation)  # pixels that it sinks per row
    low = height.min() - 1
    before, room = 0, 0
    if periodic:  # the rows from which a shadow can reach into the image
        before = min(rows, math.ceil(float(height.max() - low) / fall))
        terrain = torch.cat([height[rows - before :], height])
    else:  # room for the rays that leave on either side
        room = math.ceil(rows * abs(drift)) + 2
        terrain = torch.cat([low.expand(rows, room), height, low.expand(rows, room)], dim=1)
    row = torch.arange(terrain.shape[0], device=height.device)
    shift = row * drift
    rise = (row * fall)[:, None]
    rays = _sheared(terrain, shift)
    highest = torch.cummax(rays + rise, dim=0).values
    edge = torch.cat([low.expand(1, terrain.shape[1]), highest[:-1] - rise[1:]])
    edge = _sheared(edge[before:], -shift[before:])
    return edge[:, room : room + columns] > height


def _sheared(plane: Tensor, shift: Tensor) -> Tensor:
    """Move each row to the left by a fractional number of columns, around the border."""
    rows, columns = plane.shape
    whole = torch.floor(shift)
    # Twice the plane, and a column: what leaves on one side is there on the other.
    wide = torch.cat([plane, plane, plane[:, :1]], dim=1)
    start = torch.remainder(whole, columns).long()
    start += wide.shape[1] * torch.arange(rows, device=plane.device)
    index = (start[:, None] + torch.arange(columns, device=plane.device)).flatten()
    first, second = (wide.flatten().index_select(0, at).view_as(plane) for at in (index, index + 1))
    return torch.lerp(first, second, (shift - whole)[:, None].to(plane.dtype))
