"""Land cover, and the scenes made of it."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth.backscatter import (
    FLOOR,
    MEAN,
    Backscatter,
    from_decibels,
    slant,
)
from groundshift.synth.landscape import (
    BUILT,
    CLASSES,
    CROPS,
    FOREST,
    WATER,
    Landscape,
    cells,
    fields,
)
from groundshift.synth.sunlit import ALBEDO, Sunlit
from groundshift.synth.terrain import Sun

ONLY_FOREST = Landscape(fractions=(0, 0, 0, 1, 0), river=0)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(float(rows)), torch.arange(float(columns)), indexing="ij")
    return y, x


def test_mosaic_has_the_fractions_asked_for() -> None:
    fractions = (0.1, 0.2, 0.3, 0.25, 0.15)
    landscape = Landscape(fractions=fractions, region=8, parcel=4, road=0, river=0)
    label = landscape((512, 512), generator()).label
    found = torch.bincount(label.flatten(), minlength=len(CLASSES)) / label.numel()
    # 4,096 regions: a share's deviation is at most sqrt(0.25 / 4096) and a bit.
    np.testing.assert_allclose(found, fractions, atol=0.03)


def test_regions_are_those_of_the_nearest_site() -> None:
    """Against all sites, with sites redrawn from the same seed."""
    y, x = grid(60, 70)
    number, count = cells(y, x, 15.0, generator(3))
    rows, columns = 59 // 15 + 3, 69 // 15 + 3
    assert count == rows * columns
    jitter = torch.rand((2, count), generator=generator(3))
    site = torch.arange(count)
    site_y = (site // columns - 1 + jitter[0]) * 15
    site_x = (site % columns - 1 + jitter[1]) * 15
    nearest = torch.hypot(y[..., None] - site_y, x[..., None] - site_x).argmin(-1)
    assert (number == nearest).float().mean() > 0.99


def test_parcels_are_rectangles_and_know_their_border() -> None:
    y, x = grid(200, 200)
    number, count, border = fields(y, x, 20.0, 0.0, generator())
    assert 0 <= number.min() <= number.max() < count
    sizes = []
    for parcel in number.unique():
        here = (number == parcel).nonzero()
        high, wide = (here.max(0).values - here.min(0).values + 1).tolist()
        assert len(here) == high * wide
        sizes.append(len(here))
        if here.min() > 0 and here.max() < 199:
            inside = border[number == parcel].max()
            assert abs(float(inside) - min(high, wide) / 2) <= 1
    assert 10**2 < np.mean(sizes) < 30**2


def test_a_river_of_the_right_width_crosses_the_image() -> None:
    landscape = Landscape(fractions=(0, 1, 0, 0, 0), river=10, roughness=0.0)
    for seed in range(5):
        wet = landscape((256, 256), generator(seed)).label == WATER
        length = wet.float().sum() / 10
        assert 0.2 * 256 < length < 2.5 * 256


def test_finer_pixels_show_land_of_the_same_size() -> None:
    landscape = Landscape(fractions=(0, 0, 1, 0, 0), parcel=30, road=2, river=0)
    coarse = landscape((256, 256), generator()).road.float().mean()
    fine = landscape((512, 512), generator(), oversample=2).road.float().mean()
    assert float(fine) == pytest.approx(float(coarse), rel=0.2)


def test_patches_are_uniform_in_cover() -> None:
    cover = Landscape()((128, 128), generator())
    for patch in cover.patch.unique():
        assert cover.label[cover.patch == patch].unique().numel() == 1
    assert int(cover.patch.max()) < cover.patches
    assert set(cover.label[cover.road].unique().tolist()) <= {CROPS, BUILT}


def test_backscatter_of_level_forest() -> None:
    recipe = Backscatter(ONLY_FOREST, scatter=0, slope=0, drift=0, change=0, points=0)
    scene = recipe((256, 256), generator())
    mean = 10 ** (MEAN[FOREST] / 10)
    assert float(scene.reference.mean()) == pytest.approx(mean, rel=0.05)
    relative = scene.reference / mean
    assert float(relative.var()) == pytest.approx(1 / 5, rel=0.1)
    torch.testing.assert_close(scene.secondary, scene.reference)
    assert scene.points.y.numel() == 0


def test_drift_is_lognormal() -> None:
    recipe = Backscatter(
        Landscape(fractions=(0, 0, 0, 1, 0), river=0, region=10),
        slope=0, drift=1.5, change=0,
    )  # fmt: skip
    scene = recipe((512, 512), generator())
    change = 10 * torch.log10(scene.secondary / scene.reference)
    assert float(change.mean()) == pytest.approx(0, abs=0.1)
    assert float(change.std()) == pytest.approx(1.5, abs=0.1)


def test_patches_change_as_a_whole() -> None:
    land = Landscape(fractions=(0, 0, 1, 0, 0), river=0, parcel=16)
    scene = Backscatter(land, slope=0, drift=0, change=0.25)((256, 256), generator())
    inside = (scene.reference > 1.01e-3) & (scene.secondary > 1.01e-3)
    change = torch.where(inside, (scene.secondary / scene.reference).log(), 0)
    share = (change.abs() > 1e-3).float().mean()
    assert float(share) == pytest.approx(0.25, abs=0.1)
    for patch in scene.cover.patch.unique()[:50]:
        here = (scene.cover.patch == patch) & inside
        if here.any():
            assert float(change[here].max() - change[here].min()) < 1e-3


def test_points_have_the_density_and_contrast_asked_for() -> None:
    recipe = Backscatter(ONLY_FOREST, points=2e-3, contrast=(5.0, 25.0), slope=0)
    scene = recipe((512, 512), generator())
    expected = 2e-3 * 512**2
    assert abs(len(scene.points.y) - expected) < 4 * math.sqrt(expected)
    rows, columns = scene.points.y.round().long(), scene.points.x.round().long()
    inside = (rows < 512) & (columns < 512) & (rows >= 0) & (columns >= 0)
    ground = scene.reference[rows[inside], columns[inside]]
    ratio = 10 * torch.log10(scene.points.amplitude[inside].abs() ** 2 / ground)
    assert 4.99 < float(ratio.min()) < 7
    assert 23 < float(ratio.max()) < 25.01
    assert abs(scene.points.amplitude.angle().mean()) < 0.3


def test_slant_of_a_constant_slope() -> None:
    """tan(incidence) / tan(incidence - slope), positive towards the radar at low columns."""
    rise = 0.1
    height = (rise * torch.arange(64.0)).expand(64, 64)
    expected = math.tan(0.6) / math.tan(0.6 - math.atan(rise))
    factor = slant(height.contiguous(), 0.6)[:, 12:-1]  # behind the shadow of the jump
    lit = factor > 0
    torch.testing.assert_close(factor[lit], torch.full_like(factor[lit], expected))
    assert float(lit.float().mean()) > 0.8


def test_backscatter_has_a_floor_and_a_range() -> None:
    scene = Backscatter(slope=0.8)((256, 256), generator())
    floor = 10 ** (FLOOR / 10)
    assert float(scene.reference.min()) == pytest.approx(floor)
    decibels = 10 * torch.log10(scene.reference)
    low, high = np.percentile(decibels.numpy(), (2, 98))
    assert 10 < high - low < 40


def test_level_ground_shows_its_reflectance() -> None:
    recipe = Sunlit(landscape=ONLY_FOREST, scatter=0, texture=0, slope=1e-6, change=0)
    scene = recipe((64, 64), generator())
    torch.testing.assert_close(
        scene.reference, torch.full((64, 64), ALBEDO[FOREST]), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(scene.secondary, scene.reference, rtol=1e-4, atol=0)
    assert not scene.reference_shadow.any()


def test_two_suns_cast_different_shadows_on_the_same_ground() -> None:
    recipe = Sunlit(suns=(Sun(1.5, 0.5), Sun(4.6, 0.5)), landscape=ONLY_FOREST, slope=0.6, change=0)
    scene = recipe((256, 256), generator())
    first, second = scene.reference_shadow, scene.secondary_shadow
    assert 0.05 < float(first.float().mean()) < 0.6
    assert 0.05 < float(second.float().mean()) < 0.6
    assert not (first & second).any() or float((first & second).float().mean()) < 0.05
    # Shadow is darker, but never black: the sky lights it.
    assert scene.reference[first].mean() < 0.5 * scene.reference[~first].mean()
    assert float(scene.reference.min()) > 0


def test_water_is_level_and_mountains_stand_in_their_shadow() -> None:
    lake = Landscape(fractions=(1, 0, 0, 0, 0), river=0)
    scene = Sunlit(landscape=lake, scatter=0, texture=0, slope=0.5, change=0)(
        (128, 128), generator()
    )
    lit = scene.reference[~scene.reference_shadow]
    torch.testing.assert_close(lit.max(), torch.tensor(ALBEDO[WATER]), rtol=1e-4, atol=0)
    recipes = [Sunlit.draw(np.random.default_rng(seed)) for seed in range(24)]
    shares = [float(r((96, 96), generator()).reference_shadow.float().mean()) for r in recipes]
    assert sum(share > 0.02 for share in shares) >= 4
    assert max(shares) < 0.8


def test_one_sun_gives_one_image() -> None:
    sun = Sun(2.0, 0.6)
    scene = Sunlit(suns=(sun, sun), change=0)((128, 128), generator())
    assert torch.equal(scene.reference, scene.secondary)


def test_optical_planes_can_be_interpolated() -> None:
    """Hardly any power lies beyond 0.4 cycles per pixel, for all the sharp edges."""
    scene = Sunlit()((256, 256), generator(), oversample=2)
    window = torch.hann_window(256, periodic=False)
    plane = (scene.reference - scene.reference.mean()) * window[:, None] * window
    power = torch.fft.fft2(plane).abs() ** 2
    k = torch.fft.fftfreq(256).abs()
    beyond = torch.maximum(k[:, None], k[None, :]) > 0.4
    assert float(power[beyond].sum() / power.sum()) < 1e-5


@pytest.mark.parametrize("kind", [Backscatter, Sunlit])
def test_recipes_are_drawn_and_repeatable(kind: type) -> None:
    recipes = [kind.draw(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert recipes[0] == recipes[1]
    assert recipes[0] != recipes[2]
    for seed in range(4):
        recipe = kind.draw(np.random.default_rng(seed))
        scenes = [recipe((96, 80), generator(seed)) for _ in range(2)]
        for plane in (scenes[0].reference, scenes[0].secondary):
            assert plane.shape == (96, 80)
            assert plane.dtype == torch.float32
            assert torch.isfinite(plane).all()
            assert float(plane.min()) > 0
        assert torch.equal(scenes[0].reference, scenes[1].reference)


def test_decibels() -> None:
    assert from_decibels(torch.tensor(20.0)) == pytest.approx(100, rel=1e-5)
