import logging

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from groundshift.errors import ImageError
from groundshift.grid import coordinates
from groundshift.io.radiometry import RADIOMETRIES, detect, guess, speckle_bandwidth
from groundshift.synth import Constant, speckle_sample

SHAPE = (300, 320)
GRID = GeoBox(SHAPE, Affine.translation(-0.5, -0.5), None)


def intensity(looks: int = 1, seed: int = 0) -> np.ndarray:
    """Speckle of a scene with hills, correlated as in a real product."""
    rng = np.random.default_rng(seed)
    band = [abs(np.fft.fftfreq(n)) < 0.4 for n in SHAPE]
    total = np.zeros(SHAPE)
    for _ in range(looks):
        white = np.fft.fft2(rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE))
        total += abs(np.fft.ifft2(white * band[0][:, None] * band[1])) ** 2
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return total * np.exp(np.sin(y / 25) + np.cos(x / 40))


def image(values: np.ndarray, source: str = "a.tif", **attrs: str) -> xr.DataArray:
    kind = "c8" if np.iscomplexobj(values) else "f4"
    return xr.DataArray(
        da.from_array(values.astype(kind), chunks=128), dims=("y", "x"), coords=coordinates(GRID),
        attrs={"source": source, **attrs},
    )  # fmt: skip


def photo() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.round(100 + 50 * np.sin(y / 9) * np.cos(x / 7))


@pytest.mark.parametrize("looks", [1, 2, 4, 16])
def test_speckle_tells_amplitude_from_intensity(looks: int) -> None:
    values = intensity(looks)
    assert guess(image(values, "S1A_gamma0_VV.tif")) == "intensity"
    assert guess(image(np.sqrt(values), "S1A_gamma0_VV.tif")) == "amplitude"
    assert guess(image(10 * np.log10(values / values.mean()), "S1A_VV.tif")) == "db"


def test_names() -> None:
    values = np.sqrt(intensity())
    for name in (
        "LC08_L1TP_020007_20150804_20170406_01_T1_B8.tif",
        "T32TQM_20200103T101321_B04.jp2",
        "LT51200382000124BJC00_Nanjing",
        "S2B_MSIL1C_x.tif",
        "m_3210_naip.tif",
    ):
        assert guess(image(values, name)) == "optical"
    for name in ("Sentinel1_VV_x.tiff", "TSX_scene.tif", "scene_HH.tif", "x.SAFE/slc_S1A.tif"):
        assert guess(image(values, name)) == "amplitude"


def test_whole_numbers_of_radar_are_amplitude() -> None:
    values = np.round(100 * intensity())
    assert guess(image(values, "S1A_GRD_VV.tif")) == "amplitude"


def test_nameless_images() -> None:
    assert guess(image(photo())) == "optical"
    assert guess(image(np.round(50 * np.sqrt(intensity())))) == "amplitude"
    assert guess(image(intensity())) == "intensity"
    assert guess(image(10 * np.log10(intensity() / 1e3))) == "db"
    assert guess(image(np.full(SHAPE, np.nan))) == "optical"
    assert guess(image(np.ones(SHAPE))) == "optical"


def test_type_and_the_users_word() -> None:
    assert guess(image(intensity() + 1j)) == "complex"
    for kind in RADIOMETRIES:
        assert guess(image(photo(), radiometry=kind)) == kind


def test_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        guess(image(intensity(), "S1A_x.tif"))
    assert "taken as intensity, from its name (S1A) and its speckle (" in caplog.text
    assert "pass radiometry= if that is wrong" in caplog.text


def test_guessing_reads_a_sample_only() -> None:
    read: list[int] = []

    def look(block: np.ndarray) -> np.ndarray:
        read.append(block.size)
        return block

    shape = (4000, 4000)
    values = da.ones(shape, chunks=200, dtype="f4").map_blocks(
        look, dtype="f4", meta=np.empty((0, 0), "f4")
    )
    grid = GeoBox(shape, GRID.affine, None)
    guess(xr.DataArray(values, dims=("y", "x"), coords=coordinates(grid)))
    assert sum(read) <= 5 * 4 * 200 * 200


@pytest.mark.parametrize("kind", ["intensity", "db", "amplitude"])
def test_detect_gives_amplitude(kind: str) -> None:
    values = intensity()
    values[5, 5] = np.nan
    forms = {"intensity": values, "db": 10 * np.log10(values), "amplitude": np.sqrt(values)}
    result = detect(image(forms[kind], radiometry=kind))
    assert result.attrs["radiometry"] == "amplitude"
    assert result.dtype == "f4"
    assert isinstance(result.data, da.Array)
    assert result.odc.geobox == GRID
    np.testing.assert_allclose(result, np.sqrt(values), rtol=1e-5)
    assert guess(result) == "amplitude"


def test_negative_intensity_is_dark() -> None:
    values = intensity()
    values[3, 4] = -0.1
    result = detect(image(values, radiometry="intensity"))
    assert result[3, 4] == 0


def test_complex_is_oversampled() -> None:
    result = detect(image(intensity() + 1j))
    assert result.shape == (2 * SHAPE[0] - 1, 2 * SHAPE[1] - 1)
    assert result.attrs["radiometry"] == "amplitude"
    assert result.attrs["history"] == "oversampled x2 and detected"


def test_optical_passes() -> None:
    source = image(photo())
    result = detect(source)
    assert result.attrs["radiometry"] == "optical"
    assert result.data is source.data


def test_contradictions() -> None:
    with pytest.raises(ImageError, match="is real, so its radiometry cannot be complex"):
        detect(image(photo(), radiometry="complex"))
    with pytest.raises(ImageError, match="is complex, so its radiometry cannot be intensity"):
        detect(image(photo() * 1j, radiometry="intensity"))


def amplitude_of(bandwidth: float) -> np.ndarray:
    pair = speckle_sample(Constant(0, 0), size=320, coherence=1, seed=1, bandwidth=bandwidth)
    return pair.reference.numpy()[: SHAPE[0]]


@pytest.mark.parametrize("bandwidth", [0.3, 0.4, 0.5, 0.6, 0.8])
def test_the_bandwidth_of_speckle_whatever_the_radiometry(bandwidth: float) -> None:
    values = amplitude_of(bandwidth)
    kinds = {"amplitude": values, "intensity": values**2, "db": 20 * np.log10(values)}
    for kind, pixels in kinds.items():
        assert speckle_bandwidth(image(pixels), kind) == pytest.approx(bandwidth, abs=0.04)


def test_hills_do_not_hide_the_bandwidth_of_speckle() -> None:
    assert speckle_bandwidth(image(intensity()), "intensity") == pytest.approx(0.76, abs=0.04)


def test_other_images_have_no_single_look_speckle() -> None:
    assert speckle_bandwidth(image(intensity(looks=4)), "intensity") == 0
    assert speckle_bandwidth(image(photo()), "optical") == 0
    assert speckle_bandwidth(image(np.full(SHAPE, np.nan)), "amplitude") == 0
    assert speckle_bandwidth(image(np.zeros(SHAPE)), "amplitude") == 0
