"""The quicklook: written whole, read sparingly, and the right way up."""

import logging

import dask.array as da
import matplotlib
import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from groundshift import field, plot
from groundshift.errors import OutputError
from groundshift.plot import fields

NORTH_UP = GeoBox((60, 80), Affine(10, 0, 5e5, 0, -10, 4e6), "EPSG:32633")
SOUTH_UP = GeoBox((60, 80), Affine(10, 0, 5e5, 0, 10, 4e6 - 600), "EPSG:32633")
PIXELS = GeoBox((60, 80), Affine(1, 0, -0.5, 0, 1, -0.5), None)


def make(geobox, *, rows=30, columns=40, stride=2, **changes):
    i, j = np.mgrid[:rows, :columns].astype(np.float32)
    planes = {"dy": np.sin(i / 9), "dx": j / columns, "sigma_dy": 0.1 + 0 * i, "score": 0 * i + 1}
    planes["sigma_dx"] = planes["sigma_dy"]
    planes |= changes
    return field.build(planes, geobox, stride=stride)


def reference(geobox):
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.random(geobox.shape.yx, np.float32), dims=("y", "x"), coords=field.coordinates(geobox)
    )


@pytest.mark.parametrize("geobox", [NORTH_UP, SOUTH_UP, PIXELS])
def test_a_picture_is_written(tmp_path, geobox):
    path = plot.quicklook(make(geobox), tmp_path / "a.png", reference=reference(geobox))
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] == 1680
    assert pixels[..., :3].std() > 0.1
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_quicklook_can_be_told_from_other_files(tmp_path):
    ours = plot.quicklook(make(PIXELS), tmp_path / "ours.png")
    assert plot.is_quicklook(ours)
    with Image.open(ours) as picture:
        picture.save(tmp_path / "edited.png")
    (tmp_path / "cut.png").write_bytes(ours.read_bytes()[:30])
    (tmp_path / "notes.png").write_text("Software groundshift")
    (tmp_path / "empty.png").touch()
    for name in ("edited.png", "cut.png", "notes.png", "empty.png", "missing.png", "."):
        assert not plot.is_quicklook(tmp_path / name)


def test_a_huge_picture_of_someone_else(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    assert not plot.is_quicklook(tmp_path / "huge.png")


def test_degrees(tmp_path):
    geobox = GeoBox((60, 80), Affine(0.01, 0, 11, 0, -0.01, 47), "EPSG:4326")
    assert plot.quicklook(make(geobox), tmp_path / "a.png", title="Alps").exists()


def test_the_map_is_the_right_way_up():
    """North-up and south-up rows of one map give one picture."""
    up = make(NORTH_UP)
    turned = make(SOUTH_UP, **{n: np.flipud(p) for n, p in _planes(up).items()})
    one, other = fields._view(up), fields._view(turned)
    np.testing.assert_allclose(one.dx, other.dx)
    np.testing.assert_allclose(one.dy, other.dy, rtol=1e-5)
    assert one.extent == other.extent


def _planes(dataset):
    back = field.pixels(dataset)._asdict()
    return back | {"dy": -back["dy"]}


def test_the_reference_lies_where_the_field_is():
    dataset, image = make(NORTH_UP), reference(NORTH_UP)
    pixels, extent = fields._backdrop(image, dataset)
    assert extent == fields._view(dataset).extent
    np.testing.assert_array_equal(pixels, image.values)
    larger = reference(NORTH_UP.pad(50))
    pixels, extent = fields._backdrop(larger, dataset)
    assert pixels.shape == (60, 80)
    assert extent == pytest.approx(fields._view(dataset).extent)


def test_a_reference_on_another_map_is_left_out(tmp_path):
    image = reference(PIXELS)
    assert fields._backdrop(image, make(NORTH_UP)) is None
    plot.quicklook(make(NORTH_UP), tmp_path / "a.png", reference=image)


@pytest.mark.parametrize("name", ["all", "sigma_dx"])
def test_nothing_measured(tmp_path, name):
    blank = np.full((30, 40), np.nan, np.float32)
    names = ("dy", "dx", "sigma_dy", "sigma_dx", "score") if name == "all" else (name, "sigma_dy")
    plot.quicklook(make(PIXELS, **dict.fromkeys(names, blank)), tmp_path / "a.png")


def test_the_share_is_that_of_all_cells():
    """Of more cells than are drawn."""
    dx = np.zeros((2500, 4), np.float32)
    dx[1] = np.nan
    names = ("dy", "sigma_dy", "sigma_dx", "score")
    planes = dict.fromkeys(names, np.zeros_like(dx)) | {"dx": dx}
    view = fields._view(field.build(planes, PIXELS.zoom_to((2500, 4)), stride=1))
    assert np.isfinite(view.dx).all()
    assert view.share == pytest.approx(1 - 1 / 2500)


def test_a_constant_field_and_four_cells(tmp_path):
    zero = np.zeros((30, 40), np.float32)
    plot.quicklook(make(PIXELS, dx=zero, dy=zero), tmp_path / "a.png")
    plot.quicklook(make(PIXELS[:4, :4], rows=2, columns=2), tmp_path / "b.png")


def test_only_a_sample_is_read(tmp_path):
    most = 0

    def block(chunk):
        nonlocal most
        most = max(most, chunk.size)
        return chunk

    plane = da.zeros((5000, 6000), chunks=500, dtype=np.float32).map_blocks(block, dtype="f4")
    geobox = GeoBox((5000, 6000), Affine(10, 0, 5e5, 0, -10, 4e6), "EPSG:32633")
    names = ("dy", "dx", "sigma_dy", "sigma_dx", "score")
    dataset = field.build(dict.fromkeys(names, plane), geobox, stride=1)
    view = fields._view(dataset)
    assert view.dx.shape == (1000, 1000)
    assert most <= 500 * 500


def test_no_global_state_is_touched(tmp_path, caplog):
    before = dict(matplotlib.rcParams)
    with caplog.at_level(logging.WARNING):
        plot.quicklook(make(PIXELS), tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
    assert caplog.records == []


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(OutputError, match="choose another folder"):
        plot.quicklook(make(PIXELS), tmp_path / "missing" / "a.png")


@pytest.mark.parametrize(
    ("value", "nice"), [(0.13, 0.1), (0.34, 0.5), (7, 5), (8.1, 10), (1800, 2000)]
)
def test_arrows_have_round_lengths(value, nice):
    assert fields._nice(value) == pytest.approx(nice)
