"""The verb ``coherence``, on arrays and on files: what it gives, and what it refuses."""

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

import groundshift
from groundshift import io, maps
from groundshift.errors import GroundshiftError
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Radar, Surface, acquire, acquire_looks
from test_cli import quiet_logger, run, write

__all__ = ["quiet_logger"]

SIZE = 192


def halves(n):
    """Coherence of 0.9 on the left, none on the right."""
    gamma = torch.full((n, n), 0.9)
    gamma[:, n // 2 :] = 0.0
    return gamma


def surface(radar):
    one = torch.tensor(1.0)
    return Surface(halves(SIZE * radar.fine + 64), one, one, one * 0j)


@pytest.fixture(scope="module")
def pair():
    radar = sentinel1.grd()
    found = acquire(radar, surface(radar), Constant(), SIZE, torch.Generator().manual_seed(1))
    return found.reference.numpy(), found.secondary.numpy()


@pytest.fixture(scope="module")
def slc():
    radar = Radar(0.7, fine=2)
    looks = acquire_looks(radar, surface(radar), Constant(), SIZE, torch.Generator().manual_seed(2))
    return tuple(image[0, ::2, ::2].numpy() for image in looks[:2])


LEFT, RIGHT = (slice(20, -20), slice(20, 76)), (slice(20, -20), slice(116, -20))


@pytest.mark.parametrize("estimator", [None, "amplitude", "log", "logratio", "gp97", "likelihood"])
def test_detected_images(pair, estimator):
    found = groundshift.coherence(*pair, estimator, window=15, radiometry="amplitude").compute()
    assert list(found.data_vars) == ["coherence", "sigma", "valid"]
    values, sigma, valid = (found[name].values for name in maps.COHERENCE.attrs)
    assert np.mean(values[LEFT]) == pytest.approx(0.9, abs=0.06)
    assert np.mean(values[RIGHT]) < 0.35
    assert np.mean(valid[LEFT]) > 0.98
    assert np.mean(valid[RIGHT]) < 0.2
    assert np.mean(sigma[LEFT]) < 0.08
    assert np.mean(sigma[RIGHT]) > 0.1
    assert 3.5 < found.attrs["looks"] < 6.5


def test_complex_images(slc):
    found = groundshift.coherence(*slc).compute()
    assert found.attrs["radiometry"] == "complex"
    assert np.mean(found.coherence.values[LEFT]) == pytest.approx(0.9, abs=0.03)
    assert np.mean(found.coherence.values[RIGHT]) < 0.3
    detected = groundshift.coherence(*slc, "pearson", window=15).compute()
    assert detected.sizes["x"] == 2 * SIZE - 1  # oversampled before detection
    twice = tuple(slice(2 * s.start, 2 * s.stop) for s in LEFT)
    assert np.mean(detected.coherence.values[twice]) == pytest.approx(0.9, abs=0.06)


def test_what_is_wrong_is_refused(pair, slc, caplog):
    with pytest.raises(GroundshiftError, match="looks=1 contradicts the images"):
        groundshift.coherence(*pair, "gp97", looks=1.0, radiometry="amplitude")
    with pytest.raises(GroundshiftError, match="needs the phase"):
        groundshift.coherence(*pair, "complex", radiometry="amplitude")
    with pytest.raises(GroundshiftError, match="choose one of unet, pearson"):
        groundshift.coherence(*pair, "best", radiometry="amplitude")
    with pytest.raises(GroundshiftError, match="look optical"):
        groundshift.coherence(*pair, radiometry="optical")
    with pytest.raises(GroundshiftError, match="use an odd window"):
        groundshift.coherence(*pair, window=8, radiometry="amplitude")
    with pytest.raises(GroundshiftError, match="they may be intensities"):
        groundshift.coherence(*(abs(each) ** 2 for each in slc), radiometry="amplitude")
    flat = np.ones((200, 200), np.float32)
    with pytest.raises(GroundshiftError, match="pass looks="):
        groundshift.coherence(flat, flat, radiometry="amplitude")


def test_the_net_is_the_default(pair, slc, caplog):
    found = groundshift.coherence(*pair, radiometry="amplitude").compute()
    assert found.attrs["estimator"].startswith("Learned")
    assert "window" not in found.attrs
    assert caplog.text == ""  # it knows such images
    assert np.mean(found.coherence.values[LEFT]) == pytest.approx(0.9, abs=0.06)
    assert np.mean(found.coherence.values[RIGHT]) < 0.3
    other = groundshift.coherence(*slc, "unet").compute()
    assert np.mean(other.coherence.values[40:-40, 40:152]) == pytest.approx(0.9, abs=0.06)
    with pytest.raises(GroundshiftError, match="window: only estimators in windows"):
        groundshift.coherence(*pair, "unet", window=9, radiometry="amplitude")
    with pytest.raises(GroundshiftError, match="stride and looks: only"):
        groundshift.coherence(*pair, "unet", stride=4, looks=5.0, radiometry="amplitude")


def test_misregistration_is_no_matter():
    radar = sentinel1.grd()
    generator = torch.Generator().manual_seed(5)
    found = acquire(radar, surface(radar), Constant(1.5, -1.5), SIZE, generator)
    images = found.reference.numpy(), found.secondary.numpy()
    told, lost = (
        groundshift.coherence(*images, name, radiometry="amplitude").compute().coherence.values
        for name in ("unet", "pearson")
    )
    assert np.mean(told[LEFT]) == pytest.approx(0.9, abs=0.08)
    assert np.mean(told[RIGHT]) < 0.35
    assert np.mean(lost[LEFT]) < 0.6


def test_images_of_different_looks_are_warned_of(pair, caplog):
    smooth = pair[1].copy()
    smooth[:-1, :-1] = np.sqrt(
        (smooth[1:, 1:] ** 2 + smooth[:-1, 1:] ** 2 + smooth[1:, :-1] ** 2 + smooth[:-1, :-1] ** 2)
        / 4
    )
    groundshift.coherence(pair[0], smooth, radiometry="amplitude")
    assert "differ in their number of looks" in caplog.text


class TestCommand:
    @pytest.fixture
    def files(self, pair, tmp_path):
        names = ("S1A_VV_20200207.tif", "S1A_VV_20200219.tif")
        return [write(tmp_path / n, p) for n, p in zip(names, pair, strict=True)]

    @pytest.mark.parametrize("suffix", [".tif", ".nc", ".zarr"])
    def test_writes_a_map_and_a_picture(self, files, pair, tmp_path, capsys, suffix):
        out = tmp_path / f"coherence{suffix}"
        options = ("--radiometry", "amplitude", "--window", "15")
        assert run("coherence", *files, out, *options) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert "told        from none" in printed.out
        written = io.open_field(out)
        direct = groundshift.coherence(*pair, window=15, radiometry="amplitude").compute()
        for name in maps.COHERENCE.attrs:
            np.testing.assert_array_equal(written[name].values, direct[name].values)
        assert written.coherence.odc.crs.epsg == 32633
        assert str(written.secondary_time.values)[:10] == "2020-02-19"
        picture = tmp_path / ("coherence.png" if suffix == ".tif" else f"coherence{suffix}.png")
        assert picture.stat().st_size > 10_000
        assert run("info", out) == 0
        assert "map of coherence" in capsys.readouterr().out

    def test_polarisations_are_compared(self, pair, tmp_path, capsys):
        names = ("S1A_VV_20200207.tif", "S1A_VH_20200219.tif")
        files = [write(tmp_path / n, p) for n, p in zip(names, pair, strict=True)]
        options = ("--radiometry", "amplitude", "--no-quicklook")
        assert run("coherence", *files, tmp_path / "out.tif", *options) == 0
        assert "VV and the secondary VH" in capsys.readouterr().err

    def test_tags_tell_the_polarisation(self, pair, tmp_path, capsys):
        files = [write(tmp_path / f"{k}.tif", p) for k, p in enumerate(pair)]
        for file, name in zip(files, ("HH", "VV"), strict=True):
            with rasterio.open(file, "r+") as opened:
                opened.update_tags(POLARISATION=name)
        assert run("coherence", *files, tmp_path / "out.tif", "--no-quicklook") == 0
        said = capsys.readouterr().err
        assert "HH and the secondary VV" in said
        # Nothing says that these are radar images: with five looks speckle alone does not.
        assert "taken as amplitude" in said
        assert "--radiometry" in said

    def test_numbers_that_are_not_what_they_are_said_to_be(self, pair, tmp_path, capsys):
        decibels = [20 * np.log10(each) + 25 for each in pair]
        files = [write(tmp_path / f"S1_{k}.tif", p) for k, p in enumerate(decibels)]
        options = ("--radiometry", "amplitude", "--window", "9", "--no-quicklook")
        assert run("coherence", *files, tmp_path / "out.tif", *options) == 0
        said = capsys.readouterr().err
        assert "reference and the secondary is as skewed as that of decibels" in said
        assert run("coherence", *files, tmp_path / "out.tif", "--looks", "0") == 2
        assert "--looks 0 is not positive" in capsys.readouterr().err
        options = ("--estimator", "unet", "--normalise", "0")
        assert run("coherence", *files, tmp_path / "out.tif", *options) == 2
        assert "only estimators in windows" in capsys.readouterr().err

    def test_errors_name_options(self, files, tmp_path, capsys):
        options = ("--radiometry", "amplitude", "--estimator", "gp97", "--looks", "1")
        assert run("coherence", *files, tmp_path / "out.tif", *options) == 2
        assert "contradicts the images" in capsys.readouterr().err
        assert not (tmp_path / "out.tif").exists()
        assert run("coherence", *files, files[0], "--radiometry", "amplitude") == 2
        assert "would be lost" in capsys.readouterr().err


def test_a_map_keeps_its_grid(pair, tmp_path):
    files = [
        write(tmp_path / f"{k}.tif", p, transform=Affine(10, 0, 5e5, 0, -10, 4e6))
        for k, p in enumerate(pair)
    ]
    images = [groundshift.open_image(file) for file in files]
    found = groundshift.coherence(*images, window=16, stride=4, radiometry="amplitude")
    assert found.sizes["x"] == SIZE // 4
    assert float(found.x[0]) == 5e5 + 20
    assert float(found.y[0]) == 4e6 - 20
    with pytest.raises(GroundshiftError, match="not a map of coherence"):
        maps.check(found.drop_vars("sigma"), maps.COHERENCE)
