"""The verb `track`: images in, a labelled and documented field out."""

import logging
import re
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import fourier_shift, gaussian_filter, map_coordinates

import groundshift
from groundshift import field, matchers
from groundshift.api import track
from groundshift.errors import GridError, GroundshiftError, ImageError, MatcherError
from groundshift.filters import Wallis
from groundshift.matchers import NCC, Filtered, ForwardBackward
from groundshift.synth import Constant, speckle_sample

MATCHER = NCC(window=16, search=8, stride=8)
GRID = GeoBox((96, 128), Affine(10, 0, 5e5, 0, -10, 4e6), "EPSG:32633")


def texture(shape=(96, 128), seed=0, dy=0.0, dx=0.0):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2, mode="wrap")
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(noise), (dy, dx))).real
    return (100 + 40 * moved / noise.std()).astype(np.float32)


def image(pixels, geobox=GRID, time=None, **attrs):
    labelled = xr.DataArray(
        da.from_array(pixels, chunks=50),
        dims=("y", "x"),
        coords=field.coordinates(geobox),
        attrs={"source": "", "radiometry": "optical"} | attrs,
    )
    when = np.datetime64("NaT" if time is None else time, "ns")
    return labelled.assign_coords(time=when)


def middle(variable):
    """The median away from the border, where windows are whole."""
    return float(variable[3:-3, 3:-3].median())


def test_metres_east_and_north_with_provenance():
    first = image(texture(), time="2020-02-07", source="a.tif")
    second = image(texture(dy=2, dx=3), time="2020-02-27", source="b.tif")
    result = track(first, second, MATCHER)
    assert result["dx"].chunks is not None, "computed too early"
    result = result.compute()
    assert result["dx"].shape == (12, 16)
    assert middle(result["dx"]) == pytest.approx(30, abs=0.5)
    assert middle(result["dy"]) == pytest.approx(-20, abs=0.5)
    assert result["dx"].attrs["units"] == "m"
    assert result.attrs["matcher"] == repr(MATCHER)
    assert (result.attrs["reference"], result.attrs["secondary"]) == ("a.tif", "b.tif")
    assert "a.tif -> b.tif" in result.attrs["history"]
    assert result["secondary_time"].values == np.datetime64("2020-02-27")
    assert groundshift.velocity(result)["vx"].attrs["units"] == "m year-1"


def test_bare_arrays_of_any_number_type_stay_in_pixels():
    first, second = texture().astype(np.uint8), texture(dy=2, dx=3).astype(np.uint8)
    result = track(first, second, MATCHER, radiometry="optical").compute()
    assert middle(result["dx"]) == pytest.approx(3, abs=0.05)
    assert middle(result["dy"]) == pytest.approx(2, abs=0.05)
    assert result["dx"].attrs["units"] == "pixel"
    assert result.odc.geobox.crs is None


def test_images_on_shifted_grids_are_aligned():
    pixels = texture((160, 160))
    second = GeoBox((140, 140), Affine(10, 0, 5e5 + 120, 0, -10, 4e6 - 160), "EPSG:32633")
    first = GeoBox((160, 160), GRID.affine, "EPSG:32633")
    result = track(image(pixels, first), image(pixels[16:156, 12:152], second), MATCHER).compute()
    assert result.sizes["y"] <= 18
    assert abs(middle(result["dx"])) < 0.1


@pytest.mark.parametrize(("kind", "scale"), [("shift", 0.0), ("affine", 0.01)])
def test_coregistration_removes_the_global_motion(kind, scale):
    rows, columns = np.mgrid[:192, :192].astype(np.float32)
    base = texture((192, 192), seed=4)
    geobox = GeoBox((192, 192), GRID.affine, "EPSG:32633")
    # What is at (y, x) in the reference is at (y + 1.5 + scale * y, x - 2.25) in the secondary.
    places = [(rows - 1.5) / (1 + scale), columns + 2.25]
    moved = map_coordinates(base, places, order=5, mode="reflect").astype(np.float32)
    moving = slice(64, 128)
    moved[moving, moving] = np.roll(moved[moving, moving], 3, 1)
    still = np.ones((192, 192), bool)
    still[moving, moving] = False
    result = track(
        image(base, geobox), image(moved, geobox), MATCHER, coregister=kind, stable=still
    ).compute()
    assert float(abs(result["dx"][3:-3, 3:6]).median()) < 1.0
    assert float(abs(result["dy"][3:-3, 3:6]).median()) < 1.0
    assert float(result["dx"][10:14, 10:14].median()) == pytest.approx(30, abs=3)
    assert result.attrs["coregistration"].startswith(kind)
    assert "removed a global" in result.attrs["history"]


def coregistration_of(geobox, kind, scale=1.0):
    pixels = texture((160, 160), seed=2)
    i, j = np.mgrid[:160, :160]
    moved = map_coordinates(pixels, [(i - 2) / scale, j - 3], order=5, mode="reflect")
    result = track(image(pixels, geobox), image(moved, geobox), MATCHER, coregister=kind)
    return result.attrs["coregistration"]


@pytest.mark.parametrize(
    ("affine", "crs", "said"),
    [
        (Affine(10, 0, 5e5, 0, -10, 4e6), "EPSG:32633", (30, -20, "m (east, north)")),
        (Affine(10, 0, 5e5, 0, 10, 4e6), "EPSG:32633", (30, 20, "m (east, north)")),
        (Affine(1e-4, 0, 15, 0, -1e-4, 60), "EPSG:4326", (16.74, -22.28, "m (east, north)")),
        (Affine(1, 0, -0.5, 0, 1, -0.5), None, (3, 2, "px (right, down)")),
    ],
)
def test_coregistration_is_told_in_the_field_s_convention(affine, crs, said):
    text = coregistration_of(GeoBox((160, 160), affine, crs), "shift")
    dx, dy, unit = re.match(r"shift: dx=(\S+), dy=(\S+) (.*\)), from", text).groups()
    assert (float(dx), float(dy)) == pytest.approx(said[:2], rel=0.01)
    assert unit == said[2]


def test_an_affine_is_told_at_the_centre():
    text = coregistration_of(GeoBox((160, 160), GRID.affine, GRID.crs), "affine", 1.01)
    dx, dy, xx, yx, xy, yy = (float(number) for number in re.findall(r"[+-]\d[-.\de]*", text))
    assert (dx, dy) == pytest.approx((30, -20 - 0.1 * 79.5), rel=0.02)
    assert (xx, yx, xy, yy) == pytest.approx((0, 0, 0, 0.01), abs=5e-4)


def test_stable_ground_must_exist_and_fit():
    first, second = image(texture()), image(texture(dx=1))
    with pytest.raises(GroundshiftError, match="stable"):
        track(first, second, MATCHER, coregister="shift", stable=np.zeros((96, 128)))
    with pytest.raises(GridError, match="one value per pixel"):
        track(first, second, MATCHER, coregister="shift", stable=np.ones((9, 9)))
    with pytest.raises(GroundshiftError, match="'shift' or 'affine'"):
        track(first, second, MATCHER, coregister="rotate")


@pytest.mark.parametrize("wrap", [lambda m: m, ForwardBackward, lambda m: Filtered(Wallis(15), m)])
def test_a_prior_extends_the_reach(wrap):
    """A coarse field leads a small search to a motion it would not find."""
    first, second = image(texture()), image(texture(dy=-6, dx=9))
    coarse = track(first, second, NCC(window=32, search=14, stride=16)).compute()
    small = wrap(NCC(window=16, search=6, stride=8))
    alone = track(first, second, small).compute()
    assert not abs(middle(alone["dx"]) - 90) < 5
    led = track(first, second, small, prior=coarse).compute()
    assert middle(led["dx"]) == pytest.approx(90, abs=1)
    assert middle(led["dy"]) == pytest.approx(60, abs=1)


def test_a_prior_on_another_map_is_refused():
    first = image(texture())
    prior = track(first, first, MATCHER).compute()
    elsewhere = GeoBox((96, 128), GRID.affine, "EPSG:32634")
    other = image(texture(), elsewhere)
    with pytest.raises(GridError, match="reproject one of them"):
        track(other, other, MATCHER, prior=prior)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"reference": "a.tif"}, ImageError, r"open_image\('a.tif'\)"),
        ({"reference": np.ones((3, 4, 5))}, ImageError, "one 2-D band"),
        ({"reference": np.full((4, 5), "a")}, ImageError, "not numbers"),
        ({"secondary": texture().astype(complex)}, ImageError, "secondary is complex and the ref"),
        ({"radiometry": "loud"}, ImageError, "choose one of amplitude"),
        ({"matcher": "NCC"}, MatcherError, "or an object such as"),
        ({"matcher": 7}, MatcherError, r"groundshift.matchers.NCC\(\)"),
        ({"matcher": MATCHER, "search": 3}, MatcherError, r"NCC\(search=3\)"),
        ({"prior": texture()}, GroundshiftError, "open_field"),
        ({"device": "tpu"}, GroundshiftError, "'cpu', 'cuda' or 'auto'"),
        ({"memory": 1000}, GroundshiftError, "too small"),
    ],
)
def test_what_is_refused(changes, error, message):
    arguments = {"reference": texture(), "secondary": texture()} | changes
    with pytest.raises(error, match=message):
        track(**arguments)


def test_reversed_dates_work_and_are_mentioned(caplog):
    first = image(texture(), time="2020-03-01")
    second = image(texture(dx=1), time="2020-02-01")
    with caplog.at_level(logging.WARNING, "groundshift"):
        result = track(first, second, MATCHER)
    assert "later than the secondary" in caplog.text
    assert middle(result["dx"].compute()) == pytest.approx(10, abs=0.5)


def test_the_default_matcher_takes_search_and_stride(monkeypatch):
    given = {}

    def spy(search: int = 64, stride: int = 4):
        given.update(search=search, stride=stride)
        return MATCHER

    monkeypatch.setattr(matchers, "default", spy)
    track(texture(), texture(), "default", search=99, stride=8, radiometry="optical")
    assert given == {"search": 99, "stride": 8}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": 0}, "pass search=1 or more"),
        ({"stride": 3}, "stride=3 is not offered; pass stride=1, 2, 4, 8 or 16"),
    ],
)
def test_what_the_default_matcher_does_not_offer(options, message):
    with pytest.raises(MatcherError, match=message):
        track(texture(), texture(), radiometry="optical", **options)


def test_complex_images_have_their_own_strides():
    images = texture() + 1j * texture(seed=3), texture() + 1j * texture(seed=4)
    with pytest.raises(MatcherError, match="offered for complex images; pass stride=1, 2, 4 or 8"):
        track(*images, stride=16)


def test_blank_images_give_nothing():
    pixels = np.full((64, 64), 7, np.float32)
    result = track(pixels, pixels, MATCHER, radiometry="optical").compute()
    assert np.isnan(result["dx"]).all()


@pytest.mark.parametrize("lazy", [False, True])
def test_what_float32_cannot_hold_is_no_data(caplog, lazy):
    pixels = texture((64, 64)).astype(np.float64)
    pixels[20:30, 20:30] = 1e300
    result = track(da.from_array(pixels) if lazy else pixels, texture((64, 64)), MATCHER,
                   radiometry="optical").compute()  # fmt: skip
    assert "the reference: values that float32 cannot hold" in caplog.text
    assert 0.2 < float(np.isfinite(result["dx"]).mean()) < 1


@pytest.mark.parametrize(("bandwidth", "warned"), [(0.8, True), (0.4, False)])
def test_undersampled_speckle_is_warned_of(caplog, bandwidth, warned):
    pair = speckle_sample(Constant(0, 0), size=192, coherence=1, seed=1, bandwidth=bandwidth)
    result = track(pair.reference.numpy(), pair.secondary.numpy(), MATCHER, radiometry="amplitude")
    assert ("give the complex images" in caplog.text) == warned
    assert ("aliased beyond 0.5" in result.attrs.get("aliasing", "")) == warned


def test_images_without_data_are_refused():
    nothing = np.full((64, 64), np.nan, np.float32)
    with pytest.raises(ImageError, match=r"the secondary .* holds no data at all"):
        track(texture((64, 64)), nothing, MATCHER, radiometry="optical")


def test_complex_images_keep_the_pixels_of_the_input(monkeypatch):
    asked = []

    def spy(search: int = 64, stride: int = 4):
        asked.append((search, stride))
        return MATCHER

    monkeypatch.setattr(matchers, "default", spy)
    track(texture() + 1j * texture(seed=3), texture() + 1j * texture(seed=4), "default", search=16)
    assert asked == [(32, 8)]


def test_stable_ground_without_use_is_refused():
    with pytest.raises(GroundshiftError, match="co-registration only"):
        track(texture(), texture(), MATCHER, stable=np.ones((64, 64)), radiometry="optical")


def test_the_package_exports_the_verbs():
    assert groundshift.track is track
    assert groundshift.__version__
    assert set(groundshift.__all__) <= set(dir(groundshift))
    with pytest.raises(AttributeError, match="no attribute 'trak'"):
        groundshift.trak  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, groundshift\n"
        "assert not {'torch', 'xarray', 'dask', 'rasterio', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
