"""Relief and shadows against geometry and against a search along every ray."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from groundshift.synth.terrain import Sun, cast_shadow, gradient, lambert, relief

AZIMUTHS = [0.0, 0.4, 1.2, math.pi / 2, 2.3, math.pi, 4.0, 3 * math.pi / 2, 6.0]


def by_marching(height: np.ndarray, sun: Sun) -> np.ndarray:
    """How far the highest obstacle, a row or column away or more, stands above each point's ray."""
    y, x = np.mgrid[: height.shape[0], : height.shape[1]].astype(float)
    excess = np.full(height.shape, -np.inf)
    row = 1 / max(abs(math.cos(sun.azimuth)), abs(math.sin(sun.azimuth)))
    for distance in row * np.arange(1, 1.5 * max(height.shape), 0.25):
        at = (y - distance * math.cos(sun.azimuth), x + distance * math.sin(sun.azimuth))
        ground = map_coordinates(height, at, order=1, cval=-1e3)
        excess = np.maximum(excess, ground - height - distance * math.tan(sun.elevation))
        if distance * math.tan(sun.elevation) > np.ptp(height):
            break
    return excess


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_shadow_of_relief_is_that_of_a_search(azimuth: float) -> None:
    sun = Sun(azimuth, 0.4)
    generator = torch.Generator().manual_seed(3)
    height = relief((96, 120), 0.85, 40.0, 0.6, generator)
    inner = np.s_[1:-1, 1:-1]  # on the border, rounding decides whether there is ground
    shadow = cast_shadow(height, sun).numpy()[inner]
    excess = by_marching(height.double().numpy(), sun)[inner]
    assert 0.03 < shadow.mean() < 0.9
    assert (shadow == (excess > 0)).mean() > 0.99
    clear = np.abs(excess) > 0.5  # pixels, away from the edge of the shadow
    assert clear.mean() > 0.5
    assert (shadow == (excess > 0))[clear].mean() > 0.999


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_a_tower_casts_a_shadow_of_the_right_length(azimuth: float) -> None:
    height = torch.zeros(201, 201)
    height[100, 100] = 30.0
    sun = Sun(azimuth, math.atan(0.5))
    shadow = cast_shadow(height, sun)
    away = torch.tensor([math.cos(azimuth), -math.sin(azimuth)])
    steps = torch.arange(3, 80.0)
    points = (100 + steps[:, None] * away).round().long()
    seen = shadow[points[:, 0], points[:, 1]]
    # The tower is one pixel wide: between columns, its interpolated height is lower.
    assert seen[: 30 - 3].float().mean() > 0.9
    assert not seen[62 - 3 :].any()
    opposite = (100 - steps[:, None] * away).round().long()
    assert not shadow[opposite[:, 0], opposite[:, 1]].any()


@pytest.mark.parametrize(("azimuth", "axis", "flip"), [
    (0.0, 0, False), (math.pi, 0, True), (3 * math.pi / 2, 1, False), (math.pi / 2, 1, True),
])  # fmt: skip
def test_a_step_casts_height_over_tangent(azimuth: float, axis: int, *, flip: bool) -> None:
    height = torch.zeros(120, 120)
    height[:40] = 20.25
    height = height if axis == 0 else height.T
    height = height.flip(axis) if flip else height
    shadow = cast_shadow(height, Sun(azimuth, math.atan(0.5)))
    lengths = shadow.sum(dim=axis)
    # The edge stands at row 39; rows up to 20.25 / 0.5 = 40.5 pixels behind it are dark.
    assert lengths.unique().tolist() == [40]


def test_a_cone_casts_two_tangents() -> None:
    """A cone steeper than the sun: apex of the shadow at h / tan(e), sides tangent to the base."""
    n, top, radius, tangent = 301, 40.0, 40.0, 0.5
    y, x = torch.meshgrid(torch.arange(float(n)), torch.arange(float(n)), indexing="ij")
    height = (top - torch.hypot(y - 100, x - 150) * top / radius).clamp(min=0)
    shadow = cast_shadow(height, Sun(0.0, math.atan(tangent)))
    assert shadow[:, 150].nonzero().max() == pytest.approx(100 + top / tangent, abs=1)
    outside = torch.hypot(y - 100, x - 150) > radius
    found = int((shadow & outside).sum())
    # The two tangents from the apex, and the circle's sector between the points they touch.
    distance = top / tangent
    half = math.acos(radius / distance)
    expected = radius * math.sqrt(distance**2 - radius**2) - half * radius**2
    assert found == pytest.approx(expected, rel=0.03)


def test_periodic_shadow_is_that_of_the_repeated_terrain() -> None:
    generator = torch.Generator().manual_seed(5)
    height = relief((64, 80), 0.85, 20.0, 0.5, generator)
    for azimuth in AZIMUTHS:
        sun = Sun(azimuth, 0.35)
        one = cast_shadow(height, sun, periodic=True)
        tiled = cast_shadow(height.repeat(3, 3), sun)[64:128, 80:160]
        assert (one == tiled).float().mean() > 0.99


def test_lambert_on_a_plane() -> None:
    """A sawtooth has one slope but at its jump."""
    slope, sun = 0.3, Sun(math.pi / 2, 0.6)
    height = (slope * (63 - torch.arange(64.0))).expand(64, 64)  # falls towards the sun
    expected = (math.sin(0.6) + slope * math.cos(0.6)) / math.sqrt(1 + slope**2)
    torch.testing.assert_close(
        lambert(height, sun)[:, 1:-1], torch.full((64, 62), expected), atol=1e-5, rtol=0
    )


def test_relief_has_the_slope_asked_for() -> None:
    height = relief((128, 128), 0.8, 60.0, 0.25, torch.Generator().manual_seed(1))
    dy, dx = gradient(height)
    assert float((dy**2 + dx**2).mean().sqrt()) == pytest.approx(0.25, rel=1e-4)
    assert height.min() == 0


def test_the_sun_is_above_the_horizon() -> None:
    with pytest.raises(ValueError, match="between the horizon and the zenith"):
        Sun(1.0, 40.0)
