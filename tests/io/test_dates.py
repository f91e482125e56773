import numpy as np
import pytest

from groundshift.errors import ImageError
from groundshift.io.dates import image_time, name_time

NAMES = {
    "LC08_L1TP_020007_20150804_20170406_01_T1_B2_Subset.png": "2015-08-04",
    "LE07_L1GS_021006_20010727_20170204_01_T1_B2.TIF": "2001-07-27",
    "LC08_CU_003008_20200101_20210503_C01_V01_B4.tif": "2020-01-01",
    "LT51200382000124BJC00_Nanjing": "2000-05-03",
    "LT51200382002193BJC00": "2002-07-12",
    "S1A_IW_GRDH_1SDV_20200102T054321_20200102T054346_030609_0381C8_1234.tif": (
        "2020-01-02T05:43:21"
    ),
    "s1b-iw1-slc-vv-20200102t054321-20200102t054346-030609-0381c8-004.tiff": "2020-01-02T05:43:21",
    "S2A_MSIL1C_20200103T101321_N0208_R022_T32TQM_20200104T000000.jp2": "2020-01-03T10:13:21",
    "T32TQM_20200103T101321_B04.jp2": "2020-01-03T10:13:21",
    "ALOS2014410740-140829.tif": "2014-08-29",
    "20200207.jpg": "2020-02-07",
    "ice_2020-02-07_v2.tif": "2020-02-07",
    "Sentinel1_VV_-55.20_-4.39_2019_05_27.tiff": "2019-05-27",
    "20200207_143000_planet.tif": "2020-02-07T14:30:00",
    "crop_20209999_20200207.tif": "2020-02-07",
    "/data/S1A_IW_SLC__1SDV_20200102T054321_x.SAFE/measurement/vv.tif": "2020-01-02T05:43:21",
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert name_time(name) == np.datetime64(NAMES[name])


@pytest.mark.parametrize(
    "name",
    [
        "dem.tif",
        "18990101.tif",
        "29990101.tif",
        "20201301.tif",
        "1234567890123.tif",
        "20200207/a.tif",
    ],
)
def test_names_without_a_date(name: str) -> None:
    assert name_time(name) is None


def test_the_users_word_comes_first() -> None:
    tags = {"ACQUISITION_DATE": "2001-01-01"}
    assert image_time("2020-02-07", tags, "19990101.tif") == np.datetime64("2020-02-07")
    assert image_time("2020-02-07T10:00:00Z", {}, "") == np.datetime64("2020-02-07T10:00")
    assert image_time("2020-02-07T10:00+02:00", {}, "") == np.datetime64("2020-02-07T08:00")
    assert image_time(np.datetime64("2020-02-07"), tags, "").dtype == "M8[ns]"


def test_acquisition_tags_beat_names_and_names_beat_the_tiff_date() -> None:
    tags = {"DATE_ACQUIRED": "2001-01-02", "TIFFTAG_DATETIME": "2005:01:01 00:00:00"}
    assert image_time(None, tags, "19990101.tif") == np.datetime64("2001-01-02")
    del tags["DATE_ACQUIRED"]
    assert image_time(None, tags, "19990101.tif") == np.datetime64("1999-01-01")
    assert image_time(None, tags, "a.tif") == np.datetime64("2005-01-01")
    assert np.isnat(image_time(None, {"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, "a.tif"))


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("days since 2020-01-01", "37", "2020-02-07"),
        ("seconds since 1970-01-01T00:00:00", "{1581033600}", "2020-02-07"),
        ("hours since 2020-02-06 12:00:00", "12.5", "2020-02-07T00:30"),
    ],
)
def test_netcdf_time(unit: str, value: str, expected: str) -> None:
    tags = {"time#units": unit, "NETCDF_DIM_time": value}
    assert image_time(None, tags, "a.nc") == np.datetime64(expected)


@pytest.mark.parametrize("tags", [{"time#units": "days since yesterday"}, {"time#units": "months"}])
def test_odd_netcdf_time_is_unknown(tags: dict[str, str]) -> None:
    assert np.isnat(image_time(None, tags | {"NETCDF_DIM_time": "1"}, "a.nc"))


@pytest.mark.parametrize("given", ["yesterday", "2020-02-30", object()])
def test_not_a_time(given: object) -> None:
    with pytest.raises(ImageError, match="not a time; give one such as"):
        image_time(given, {}, "")
