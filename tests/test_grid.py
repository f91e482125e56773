import logging
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from groundshift.errors import GridError
from groundshift.grid import align, coordinates, fit_motion, geobox_of, move, output_geobox
from groundshift.grid.resample import PixelMap, resample, separable
from groundshift.interpolate import sample

UTM = "EPSG:32633"
ORIGIN = (500_000.0, 4_000_000.0)
PIXELS = Affine.translation(-0.5, -0.5)


def box(
    shape: tuple[int, int] = (80, 100), step: float = 10, offset: tuple[float, float] = (0, 0),
    crs: str | None = UTM, flip: bool = False,
) -> GeoBox:  # fmt: skip
    """A north-up grid whose corner lies `offset` metres right of and below the origin."""
    x, y = ORIGIN[0] + offset[0], ORIGIN[1] - offset[1]
    if flip:
        y -= shape[0] * step
    return GeoBox(shape, Affine(step, 0, x, 0, step if flip else -step, y), crs)


def wave(x: Any, y: Any) -> Any:
    """Smooth ground: wavelengths of 150 m and longer."""
    x, y = (x - ORIGIN[0]) / 150, (y - ORIGIN[1]) / 180
    return 10 + np.sin(2 * np.pi * (x + 0.3 * y)) + np.cos(2 * np.pi * (y - 0.2 * x))


def image(grid: GeoBox, values: Any = None, chunks: int | None = 37) -> xr.DataArray:
    """See the wave on a grid."""
    if values is None:
        row, column = np.mgrid[: grid.shape.y, : grid.shape.x] + 0.5
        a = grid.affine
        x, y = a.a * column + a.b * row + a.c, a.d * column + a.e * row + a.f
        if grid.crs is not None and grid.crs != UTM:
            x, y = Transformer.from_crs(grid.crs.proj, UTM, always_xy=True).transform(x, y)
        values = wave(x, y)
    values = np.asarray(values)
    values = values.astype("c8" if np.iscomplexobj(values) else "f4")
    return xr.DataArray(
        values if chunks is None else da.from_array(values, chunks=chunks),
        dims=("y", "x"),
        coords=coordinates(grid) | {"time": xr.DataArray(np.datetime64("2020-02-07", "ns"))},
        attrs={"source": "a.tif"},
    )


def noise(grid: GeoBox, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=grid.shape.yx).astype("f4")


def inner(array: Any, margin: int = 8) -> np.ndarray:
    return np.asarray(array)[margin:-margin, margin:-margin]


class TestAlign:
    def test_equal_grids_are_left_alone(self) -> None:
        reference, secondary = image(box()), image(box(), noise(box()))
        a, b = align(reference, secondary)
        assert a is reference
        assert b is secondary

    def test_whole_pixels_are_slices(self) -> None:
        there = box(offset=(-200, 300))
        secondary = image(there, noise(there))
        a, b = align(image(box()), secondary)
        assert geobox_of(a) == geobox_of(b) == box()[30:80, 0:80]
        np.testing.assert_array_equal(b, secondary.values[:50, 20:])
        np.testing.assert_array_equal(a, image(box()).values[30:, :80])
        assert b.attrs["source"] == "a.tif"
        assert "cut" in b.attrs["history"]
        assert b.time.values == np.datetime64("2020-02-07")

    def test_order_of_rows_is_a_slice_too(self) -> None:
        there = box((90, 90), flip=True)
        secondary = image(there, noise(there))
        _, b = align(image(box()), secondary)
        np.testing.assert_array_equal(b, secondary.values[::-1][:80])
        _, c = align(secondary, image(box()))
        assert geobox_of(c).affine.e > 0
        np.testing.assert_allclose(c, image(geobox_of(c)), rtol=1e-6)

    @pytest.mark.parametrize(
        "there",
        [
            box(offset=(3.7, -14.2)),
            box((100, 120), step=9.1, offset=(-13, 5)),
            box((200, 260), step=4, offset=(-20, 7), flip=True),
            GeoBox((150, 150), Affine.translation(ORIGIN[0] - 300, ORIGIN[1] + 300)
                   * Affine.rotation(17) * Affine.scale(10, -10), UTM),
            GeoBox((130, 150), Affine(1e-4, 0, 14.998, 0, -8e-5, 36.1462), "EPSG:4326"),
        ],
        ids=["sub-pixel", "scale", "finer", "rotated", "geographic"],
    )  # fmt: skip
    def test_smooth_ground_stays_in_place(self, there: GeoBox) -> None:
        a, b = align(image(box()), image(there))
        assert geobox_of(a) == geobox_of(b)
        known = np.isfinite(b.values)
        assert known.mean() > 0.4
        assert abs(b - a).where(inner_of(known)).max() < 1e-3 * 2
        assert "resampled from" in b.attrs["history"]

    def test_is_lazy_and_numpy_stays_numpy(self) -> None:
        there = box(offset=(3.7, -14.2))
        lazy = align(image(box()), image(there))[1]
        assert isinstance(lazy.data, da.Array)
        eager = align(image(box(), chunks=None), image(there, chunks=None))[1]
        assert isinstance(eager.data, np.ndarray)
        np.testing.assert_allclose(lazy, eager, rtol=2e-6)

    @pytest.mark.parametrize("chunks", [11, 64, 1000])
    def test_chunks_do_not_show(self, chunks: int) -> None:
        there = box((95, 110), step=9, offset=(3.7, -14.2))
        values = noise(there)
        values[40:50, 30:60] = np.nan
        turned = GeoBox(there.shape, there.affine * Affine.rotation(3), UTM)
        for grid in (there, turned):
            whole = align(image(box(), chunks=None), image(grid, values, None))[1].values
            parts = align(image(box(), chunks=chunks), image(grid, values, 23))[1].values
            np.testing.assert_allclose(parts, whole, atol=2e-5)

    def test_computes_only_what_it_needs(self) -> None:
        there = box((80, 4000), offset=(3.7, 0))
        seen: list[int] = []

        def look(block: np.ndarray) -> np.ndarray:
            seen.append(block.shape[1])
            return block

        secondary = image(there, chunks=50)
        secondary = secondary.copy(
            data=secondary.data.map_blocks(look, dtype="f4", meta=np.empty((0, 0), "f4"))
        )
        align(image(box()), secondary)[1].compute()
        assert sum(seen) <= 2 * 3 * 50

    def test_finer_images_are_low_passed(self) -> None:
        there = box((400, 500), step=2)
        _, b = align(image(box()), image(there, noise(there)))
        assert "low-passed by 5.00" in b.attrs["history"]
        # White noise of which 1/25 of the spectrum is left.
        assert inner(b).std() == pytest.approx(1 / 5, rel=0.1)
        turned = GeoBox(there.shape, there.affine * Affine.rotation(2), UTM)
        _, c = align(image(box()), image(turned, noise(there)))
        assert np.nanstd(inner(c)) == pytest.approx(1 / 5, rel=0.1)

    def test_coarser_images_are_said_to_be(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            align(image(box()), image(box((20, 20), step=40)))
        assert "4.0 times coarser" in caplog.text

    def test_complex_images(self) -> None:
        there = box(offset=(3.7, -14.2))
        values = image(there).values * np.exp(1j)
        _, b = align(image(box()), image(there, values))
        assert b.dtype == "c8"
        expected = align(image(box()), image(there))[1].values * np.exp(1j)
        np.testing.assert_allclose(inner(b, 16), inner(expected, 16), rtol=1e-5)

    def test_missing_pixels_do_not_bleed(self) -> None:
        there = box(offset=(5, 5))
        values = image(there).values
        values[40, 50] = np.nan
        _, b = align(image(box()), image(there, values))
        missing = np.argwhere(np.isnan(b.values[5:-5, 5:-5])) + 5
        assert len(missing) == 4

    def test_without_georeferencing(self, caplog: pytest.LogCaptureFixture) -> None:
        small, large = GeoBox((30, 60), PIXELS, None), GeoBox((50, 40), PIXELS, None)
        values = noise(large)
        with caplog.at_level(logging.WARNING):
            a, b = align(image(small, noise(small)), image(large, values))
        assert a.shape == b.shape == (30, 40)
        np.testing.assert_array_equal(b, values[:30])
        assert "30 x 60 and 50 x 40 pixels and no georeferencing: aligned at" in caplog.text

    def test_oversampled_pixels_keep_their_place(self) -> None:
        coarse = GeoBox((40, 50), PIXELS, None)
        fine = GeoBox((80, 100), PIXELS * Affine.translation(0.25, 0.25) * Affine.scale(0.5), None)
        column = np.arange(100) * 0.5 + np.zeros((80, 1))
        _, b = align(image(coarse, noise(coarse)), image(fine, column))
        np.testing.assert_allclose(inner(b), inner(np.arange(50) + np.zeros((40, 1))), rtol=1e-4)

    def test_no_overlap(self) -> None:
        with pytest.raises(GridError, match=r"do not overlap: the reference covers x 500000 to"):
            align(image(box()), image(box(offset=(5000, 0))))
        with pytest.raises(GridError, match="pass images of one place, or correct the coordinate"):
            align(image(box()), image(GeoBox((9, 9), Affine(1, 0, -60, 0, -1, 10), "EPSG:4326")))

    def test_too_little_overlap(self) -> None:
        with pytest.raises(GridError, match=r"overlap in 80 x 10 pixels only and .* needs 32"):
            align(image(box()), image(box(offset=(900, 0))), window=32)

    def test_only_one_is_georeferenced(self) -> None:
        plain = image(GeoBox((80, 100), PIXELS, None), noise(box()))
        with pytest.raises(GridError, match="reference is georeferenced and the secondary is not"):
            align(image(box()), plain)
        with pytest.raises(GridError, match="secondary is georeferenced and the reference is not"):
            align(plain, image(box()))

    def test_irregular_coordinates(self) -> None:
        with pytest.raises(GridError, match="not regularly spaced"):
            align(image(box()).isel(x=[0, 1, 3, 4]), image(box()))


def inner_of(known: np.ndarray, margin: int = 8) -> np.ndarray:
    """Pixels whose neighbourhood is known."""
    view = np.lib.stride_tricks.sliding_window_view(np.pad(known, margin), (2 * margin + 1,) * 2)
    return view.all(axis=(2, 3))


def test_separable_equals_sample() -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(50, 60)).astype("f4"))
    values[20:24, 30] = torch.nan
    y, x = rng.uniform(-3, 53, 40), np.append(rng.uniform(-3, 63, 40), [5.0, 31.0])
    grid = torch.meshgrid(torch.from_numpy(y), torch.from_numpy(x), indexing="ij")
    np.testing.assert_allclose(separable(values, y, x), sample(values, *grid), atol=2e-5)


def test_whole_pixels_are_exact_when_resampled() -> None:
    values = noise(box())
    result = resample(values, PixelMap((1, 0, 2, 0, 1, -3)), values.shape, None)
    np.testing.assert_array_equal(result[:-2, 3:], values[2:, :-3])
    assert np.isnan(result[:, :3]).all()


def test_move_undoes_a_motion() -> None:
    grid = box()
    theta = np.radians(0.4)
    matrix = np.array([[np.cos(theta), np.sin(theta), 2.3], [-np.sin(theta), np.cos(theta), -1.6]])
    row, column = np.mgrid[:80, :100]

    def ground(y: Any, x: Any) -> Any:
        return wave(ORIGIN[0] + 10 * x, ORIGIN[1] - 10 * y)

    moved = move(image(grid, ground(row, column)), matrix)
    expected = ground(*(m[0] * row + m[1] * column + m[2] for m in matrix))
    np.testing.assert_allclose(inner(moved), inner(expected), rtol=1e-3)
    assert geobox_of(moved) == grid
    assert "moved by" in moved.attrs["history"]
    assert isinstance(moved.data, da.Array)
    with pytest.raises(GridError, match=r"shape \(2, 3\)"):
        move(image(grid), np.eye(2))


class TestFitMotion:
    TRUTH = np.array([[1.001, -0.002, 3.0], [0.0015, 0.999, -7.0]])

    def points(self, outliers: float, seed: int = 0) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(seed)
        y, x = rng.uniform(0, 1000, (2, 600))
        dy, dx = (m[0] * y + m[1] * x + m[2] - v for m, v in zip(self.TRUTH, (y, x), strict=True))
        dy, dx = dy + rng.normal(0, 0.05, 600), dx + rng.normal(0, 0.05, 600)
        # A glacier: many points that move together.
        bad = x < np.quantile(x, outliers) if outliers else np.zeros(600, bool)
        return np.where(bad, dy + 15, dy), np.where(bad, dx + rng.normal(0, 5, 600), dx), y, x

    @pytest.mark.parametrize("outliers", [0, 0.2, 0.35])
    def test_affine(self, outliers: float) -> None:
        dy, dx, y, x = self.points(0)
        bad = np.random.default_rng(1).random(600) < outliers
        motion = fit_motion(
            np.where(bad, dy + 15, dy), np.where(bad, dx - 9, dx), y, x, kind="affine"
        )
        corners = np.array([[0, 0, 1], [0, 1000, 1], [1000, 0, 1], [1000, 1000, 1.0]]).T
        np.testing.assert_allclose(motion.transform @ corners, self.TRUTH @ corners, atol=0.04)
        assert motion.inliers == pytest.approx(1 - outliers, abs=0.06)
        assert motion.points == 600
        if not outliers:
            assert motion.sigma == pytest.approx(0.05, rel=0.1)

    def test_a_glacier_at_one_side_does_not_tilt_it(self) -> None:
        motion = fit_motion(*self.points(0.25), kind="affine")
        np.testing.assert_allclose(motion.transform[:, :2], self.TRUTH[:, :2], atol=1e-4)

    def test_shift(self) -> None:
        rng = np.random.default_rng(0)
        dy, dx = rng.normal(2.5, 0.1, 500), rng.normal(-4, 0.1, 500)
        dy[:180] += rng.uniform(3, 60, 180)
        dx[10] = np.nan
        motion = fit_motion(dy, dx, np.zeros(500), np.zeros(500))
        np.testing.assert_array_equal(motion.transform[:, :2], np.eye(2))
        np.testing.assert_allclose(motion.transform[:, 2], [2.5, -4], atol=0.03)
        assert motion.points == 499

    def test_weights(self) -> None:
        dy = np.r_[np.zeros(50), np.ones(50)]
        zero = np.zeros(100)
        weights = np.r_[np.ones(50), np.full(50, 100.0)]
        assert fit_motion(dy, zero, zero, zero, weights).transform[0, 2] == pytest.approx(
            1, abs=0.02
        )
        weights[50:] = np.nan
        assert fit_motion(dy, zero, zero, zero, weights).transform[0, 2] == pytest.approx(0)

    def test_round_trip_with_move(self) -> None:
        """The fitted transform, given to `move`, takes the motion out of the secondary."""
        grid = box()
        row, column = np.mgrid[:80, :100].astype(float)
        fitted = fit_motion(np.full((80, 100), 2.25), np.full((80, 100), -1.5), row, column)
        secondary = image(
            grid, wave(ORIGIN[0] + 10 * (column + 1.5), ORIGIN[1] - 10 * (row - 2.25))
        )
        back = move(secondary, fitted.transform)
        expected = wave(ORIGIN[0] + 10 * column, ORIGIN[1] - 10 * row)
        np.testing.assert_allclose(inner(back), inner(expected), rtol=1e-3)

    def test_too_few_points(self) -> None:
        with pytest.raises(
            GridError, match="needs at least 12 points on stable ground and found 5"
        ):
            fit_motion(np.r_[np.zeros(5), np.nan], *np.zeros((3, 6)), kind="affine")
        with pytest.raises(GridError, match="choose one of"):
            fit_motion(*np.zeros((4, 20)), kind="spline")


def test_output_geobox() -> None:
    result = output_geobox(box((81, 100)), 4)
    assert result.shape == (21, 25)
    assert result.affine == box().affine * Affine.scale(4)
    plain = coordinates(output_geobox(GeoBox((8, 8), PIXELS, None), 4))
    assert plain["x"].values.tolist() == [1.5, 5.5]
