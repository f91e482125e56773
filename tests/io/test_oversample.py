import logging

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from groundshift.grid import coordinates, geobox_of
from groundshift.io.oversample import SAMPLE, amplitude, carrier, fine_geobox

SHAPE = (96, 120)
BANDWIDTH = 0.8
GRID = GeoBox(SHAPE, Affine(10, 0, 500_000, 0, -10, 4_000_000), "EPSG:32633")


def spectrum(shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """White in the band, circular: every oracle below is exact, without edges."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, *shape))
    inside = [abs(np.fft.fftfreq(n)) < BANDWIDTH / 2 for n in shape]
    return (noise[0] + 1j * noise[1]) * inside[0][:, None] * inside[1]


def signal(y: float = 0, x: float = 0, shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Speckle whose spectrum is centred on ``(y, x)`` cycles per pixel."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    base = np.fft.ifft2(spectrum(shape, seed))
    return (base * np.exp(2j * np.pi * (y * row + x * column))).astype("c8")


def oracle(shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Oversampled by zero padding of the spectrum."""
    padded = np.zeros((2 * shape[0], 2 * shape[1]), complex)
    top, left = shape[0] // 2, shape[1] // 2
    padded[top : top + shape[0], left : left + shape[1]] = np.fft.fftshift(spectrum(shape, seed))
    return 4 * abs(np.fft.ifft2(np.fft.ifftshift(padded)))[:-1, :-1]


def image(values: np.ndarray, grid: GeoBox = GRID, chunks: int = 50) -> xr.DataArray:
    return xr.DataArray(
        da.from_array(values, chunks=chunks), dims=("y", "x"), coords=coordinates(grid),
        attrs={"source": "a.slc"},
    )  # fmt: skip


@pytest.mark.parametrize("centre", [(0, 0), (0.4, 0), (-0.4, 0.3), (0.13, 0.5)])
def test_equals_zero_padding(centre: tuple[float, float]) -> None:
    fine = amplitude(image(signal(*centre))).values
    expected = oracle()
    assert fine.shape == expected.shape == (2 * SHAPE[0] - 1, 2 * SHAPE[1] - 1)
    # Away from the edges, where zero padding wraps round.
    error = (fine - expected)[40:-40, 40:-40]
    assert np.sqrt((error**2).mean()) < 1e-3 * expected.std()
    assert abs(error).max() < 1e-3 * expected.max()


def test_given_samples_stay() -> None:
    values = signal(0.4, -0.2)
    np.testing.assert_allclose(amplitude(image(values))[::2, ::2], abs(values), rtol=1e-5)


def test_the_geobox_keeps_the_centres() -> None:
    fine = fine_geobox(GRID)
    for i, j in ((0, 0), (5, 9), (95, 119)):
        coarse = GRID.affine * (j + 0.5, i + 0.5)
        assert fine.affine * (2 * j + 0.5, 2 * i + 0.5) == pytest.approx(coarse)
    result = amplitude(image(signal()))
    assert geobox_of(result) == fine
    np.testing.assert_allclose(result.x[::2], coordinates(GRID)["x"])
    np.testing.assert_allclose(result.y[::2], coordinates(GRID)["y"])


def test_rotated_and_plain_grids_keep_the_centres() -> None:
    turned = GeoBox(SHAPE, GRID.affine * Affine.rotation(30), GRID.crs)
    assert fine_geobox(turned).affine * (8.5, 4.5) == pytest.approx(turned.affine * (4.5, 2.5))
    plain = GeoBox(SHAPE, Affine.translation(-0.5, -0.5), None)
    result = amplitude(image(signal(), plain))
    assert result.x.values[:4].tolist() == [0, 0.5, 1, 1.5]


@given(st.integers(15, 130), st.booleans())
@settings(max_examples=10, deadline=None)
def test_chunks_do_not_show(chunks: int, holes: bool) -> None:
    values = signal(0.3, 0.1)
    if holes:
        values[30:50, 60:90] = np.nan
    whole = amplitude(image(values, chunks=1000)).values
    np.testing.assert_allclose(amplitude(image(values, chunks=chunks)), whole, rtol=1e-4, atol=1e-6)


def test_holes_stay_holes_and_do_not_bleed() -> None:
    values = signal()
    values[40:44, 60:70] = np.nan
    fine = amplitude(image(values)).values
    missing = np.zeros(fine.shape, bool)
    missing[79:88, 119:140] = True
    np.testing.assert_array_equal(np.isnan(fine), missing)
    assert np.nanmax(fine) < 2 * oracle().max()


@pytest.mark.parametrize("centre", [(0, 0), (0.4, -0.3), (-0.25, 0.1)])
def test_carrier(centre: tuple[float, float]) -> None:
    shape = (4 * SAMPLE, 3 * SAMPLE)
    found = carrier(image(signal(*centre, shape), GeoBox(shape, GRID.affine, GRID.crs), 200))
    assert found == pytest.approx(centre, abs=0.01)


def test_a_wandering_carrier_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """TOPS: the Doppler centroid sweeps along azimuth."""
    shape = (8 * SAMPLE, 2 * SAMPLE)
    row = np.arange(shape[0])[:, None]
    sweep = np.exp(1j * np.pi * 0.6 * (row - shape[0] / 2) ** 2 / shape[0])
    grid = GeoBox(shape, GRID.affine, GRID.crs)
    with caplog.at_level(logging.WARNING):
        carrier(image(signal(shape=shape), grid))
        assert not caplog.records
        carrier(image((signal(shape=shape) * sweep).astype("c8"), grid))
    assert "carrier varies along the rows (azimuth)" in caplog.text
    assert "must be deramped first" in caplog.text


def test_lazy() -> None:
    seen: list[int] = []

    def look(block: np.ndarray) -> np.ndarray:
        seen.append(block.size)
        return block

    shape = (1000, 1000)
    lazy = image(signal(shape=shape), GeoBox(shape, GRID.affine, GRID.crs), 100)
    lazy = lazy.copy(data=lazy.data.map_blocks(look, dtype="c8", meta=np.empty((0, 0), "c8")))
    result = amplitude(lazy)
    seen.clear()
    result[:50, :50].compute()
    assert sum(seen) <= 4 * 100 * 100


def test_empty_images_give_nothing() -> None:
    assert np.isnan(amplitude(image(np.full(SHAPE, np.nan, "c8")))).all()
