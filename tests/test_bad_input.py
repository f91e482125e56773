"""Bad input through the command line: exit code 2, one clear line, nothing written.

And input that only looks bad, which has to work.
"""

import errno
import resource
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from groundshift import io
from test_api import texture
from test_cli import MATCHER, quiet_logger, run, write

__all__ = ["quiet_logger"]


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.tif", texture())


def track(reference, secondary, out, *options):
    return run("track", reference, secondary, out, "--matcher", MATCHER, *options)


def refused(capsys, tmp_path, reference, secondary, *options, out=None):
    """Check that a pair is refused in one line and nothing is left; return the line."""
    before = sorted(tmp_path.rglob("*"))
    assert track(reference, secondary, out or tmp_path / "out.tif", *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if "warning" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("groundshift: error: ")
    assert "Traceback" not in printed.err
    assert sorted(tmp_path.rglob("*")) == before
    return lines[0]


class TestImages:
    def test_missing_file(self, capsys, tmp_path, good):
        line = refused(capsys, tmp_path, tmp_path / "none.tif", good)
        assert "none.tif does not exist" in line

    @pytest.mark.parametrize("name", ["notes.txt", "notes.tif"])
    def test_not_an_image(self, capsys, tmp_path, good, name):
        (tmp_path / name).write_text("These are notes.\n" * 100)
        assert name in refused(capsys, tmp_path, good, tmp_path / name)

    def test_a_folder(self, capsys, tmp_path, good):
        (tmp_path / "folder").mkdir()
        assert "folder" in refused(capsys, tmp_path, good, tmp_path / "folder")

    def test_empty_file(self, capsys, tmp_path, good):
        (tmp_path / "empty.tif").touch()
        assert "empty.tif" in refused(capsys, tmp_path, good, tmp_path / "empty.tif")

    @pytest.mark.parametrize("share", [0.3, 0.7])
    def test_truncated(self, capsys, tmp_path, good, share):
        whole = good.read_bytes()
        (tmp_path / "cut.tif").write_bytes(whole[: int(share * len(whole))])
        assert "truncated or damaged" in refused(capsys, tmp_path, good, tmp_path / "cut.tif")

    def test_one_pixel(self, capsys, tmp_path, good):
        write(tmp_path / "one.tif", np.ones((1, 1), np.float32))
        assert "1 x 1" in refused(capsys, tmp_path, tmp_path / "one.tif", tmp_path / "one.tif")

    def test_no_overlap(self, capsys, tmp_path, good):
        far = Affine(10, 0, 7e5, 0, -10, 4e6)
        write(tmp_path / "far.tif", texture(), transform=far)
        assert "do not overlap" in refused(capsys, tmp_path, good, tmp_path / "far.tif")

    def test_less_overlap_than_a_window(self, capsys, tmp_path, good):
        aside = Affine(10, 0, 5e5 + 1200, 0, -10, 4e6)
        write(tmp_path / "aside.tif", texture(), transform=aside)
        assert "overlap in" in refused(capsys, tmp_path, good, tmp_path / "aside.tif")

    def test_complex_and_real(self, capsys, tmp_path, good):
        write(tmp_path / "slc.tif", (texture() * 1j).astype(np.complex64))
        line = refused(capsys, tmp_path, tmp_path / "slc.tif", good)
        assert "reference is complex and the secondary is real" in line

    def test_bands_without_a_choice(self, capsys, tmp_path, good):
        write(tmp_path / "rgb.tif", np.stack([texture(seed=seed) for seed in range(3)]))
        line = refused(capsys, tmp_path, good, tmp_path / "rgb.tif")
        assert "3 different bands; pass --band NUMBER" in line

    def test_a_band_that_is_not_there(self, capsys, tmp_path, good):
        assert "band" in refused(capsys, tmp_path, good, good, "--band", "4")

    def test_a_date_that_is_none(self, capsys, tmp_path, good):
        line = refused(capsys, tmp_path, good, good, "--reference-time", "yesterday")
        assert "yesterday" in line

    def test_velocity_without_dates(self, capsys, tmp_path, good):
        assert "dates" in refused(capsys, tmp_path, good, good, "--velocity")

    def test_a_prior_that_is_no_field(self, capsys, tmp_path, good):
        line = refused(capsys, tmp_path, good, good, "--prior", good)
        assert "not a displacement field" in line

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--matcher", "NCC(wndow=3)"), ("--memory", "lots"), ("--device", "abacus"),
         ("--memory", "1k")],
    )  # fmt: skip
    def test_options(self, capsys, tmp_path, good, option, value):
        refused(capsys, tmp_path, good, good, option, value)


class TestOut:
    def test_is_an_input(self, capsys, tmp_path, good):
        before = good.read_bytes()
        assert "which would be lost" in refused(capsys, tmp_path, good, good, out=good)
        (tmp_path / "link.tif").symlink_to(good)
        refused(capsys, tmp_path, good, good, out=tmp_path / "link.tif")
        assert good.read_bytes() == before

    def test_picture_would_be_an_input(self, capsys, tmp_path):
        Image.fromarray(texture().astype(np.uint8)).save(tmp_path / "a.png")
        line = refused(
            capsys, tmp_path, tmp_path / "a.png", tmp_path / "a.png", out=tmp_path / "a.tif"
        )
        assert "a.png, which would be lost" in line
        assert "--no-quicklook" in line

    def test_no_picture_no_refusal(self, tmp_path):
        Image.fromarray(texture().astype(np.uint8)).save(tmp_path / "a.png")
        before = (tmp_path / "a.png").read_bytes()
        out = tmp_path / "a.tif"
        assert track(tmp_path / "a.png", tmp_path / "a.png", out, "--no-quicklook") == 0
        assert (tmp_path / "a.png").read_bytes() == before

    @pytest.mark.parametrize("kind", ["picture", "text", "folder", "link"])
    def test_picture_would_replace_something_else(self, capsys, tmp_path, good, kind):
        there = tmp_path / "out.png"
        match kind:
            case "picture":
                Image.fromarray(texture().astype(np.uint8)).save(there)
            case "text":
                there.write_text("notes")
            case "folder":
                there.mkdir()
            case "link":
                there.symlink_to(tmp_path / "nothing")
        line = refused(capsys, tmp_path, good, good)
        assert "out.png exists and is no quicklook of groundshift; choose another OUT" in line
        assert line.endswith("or pass --no-quicklook")
        refused(capsys, tmp_path, good, good, out=tmp_path / "missing" / "out.tif")

    def test_an_earlier_quicklook_is_replaced(self, tmp_path, good):
        earlier = PngInfo()
        earlier.add_text("Software", "groundshift")
        Image.new("L", (2, 2)).save(tmp_path / "out.png", pnginfo=earlier)
        assert track(good, good, tmp_path / "out.tif") == 0
        with Image.open(tmp_path / "out.png") as picture:
            assert picture.width > 1000
            assert picture.info["Software"] == "groundshift"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("out.jpg", "must end in one of .tif"),
            ("out", "must end in one of .tif"),
            ("missing/out.tif", "does not exist"),
            ("good.tif/out.tif", "does not exist"),
        ],
    )
    def test_name(self, capsys, tmp_path, good, name, message):
        assert message in refused(capsys, tmp_path, good, good, out=tmp_path / name)

    def test_not_writable(self, capsys, good, tmp_path, monkeypatch):
        def no_temporary_file(**_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("groundshift.cli.common.tempfile.TemporaryFile", no_temporary_file)
        line = refused(capsys, tmp_path, good, good)
        assert "cannot write into" in line
        assert "Permission denied" in line

    def test_disk_is_full_from_the_start(self, capsys, good, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=100)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        assert "kB are needed and 100 bytes are free" in refused(capsys, tmp_path, good, good)

    def test_disk_fills_up_while_computing(self, tmp_path):
        """For real: in a process that may not write files of more than a few kB."""
        write(tmp_path / "a.tif", texture((192, 192)))
        code = "from groundshift import cli; cli.main()"
        arguments = ["track", "a.tif", "a.tif", "out.tif", "--matcher", MATCHER]
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert "cannot write to" in done.stderr
        assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_data_at_all(capsys, tmp_path, value):
    path = write(tmp_path / "empty.tif", np.full((96, 128), value, np.float32))
    refused(capsys, tmp_path, path, path)


class TestWhatWorks:
    def result(self, tmp_path, reference, secondary, *options):
        assert track(reference, secondary, tmp_path / "out.tif", *options) == 0
        return io.open_field(tmp_path / "out.tif").compute()

    def test_nothing_to_see_is_not_zero(self, capsys, tmp_path):
        path = write(tmp_path / "blank.tif", np.full((96, 128), 7, np.float32))
        result = self.result(tmp_path, path, path)
        assert np.isnan(result["dx"]).all()
        assert "nothing could be measured" in capsys.readouterr().out

    def test_another_map(self, tmp_path):
        """The same ground in the next UTM zone."""
        from rasterio.warp import Resampling, calculate_default_transform, reproject

        large = texture((300, 300), seed=7)
        here = Affine(10, 0, 7.3e5, 0, -10, 4e6)
        write(tmp_path / "here.tif", large, transform=here)
        there, width, height = calculate_default_transform(
            "EPSG:32633", "EPSG:32634", 300, 300, *(7.3e5, 4e6 - 3000, 7.3e5 + 3000, 4e6)
        )
        moved = np.full((height, width), np.nan, np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reproject(
                large, moved, src_transform=here, src_crs="EPSG:32633", dst_transform=there,
                dst_crs="EPSG:32634", dst_nodata=np.nan, resampling=Resampling.lanczos,
            )  # fmt: skip
        write(tmp_path / "there.tif", moved, crs="EPSG:32634", transform=there, nodata=np.nan)
        result = self.result(tmp_path, tmp_path / "here.tif", tmp_path / "there.tif")
        assert result.odc.geobox.crs == "EPSG:32633"
        assert abs(float(result["dx"].median())) < 1.0
        assert abs(float(result["dy"].median())) < 1.0

    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
    def test_numbers_of_any_type(self, tmp_path, kind):
        """Differences of unsigned numbers must not wrap around."""
        top = 250.0 if kind is np.uint8 else 30_000.0
        images = []
        for name, dx in (("a.tif", 0), ("b.tif", 3)):
            pixels = texture(dx=dx)
            images.append(write(tmp_path / name, (pixels * top / 300).astype(kind)))
        result = self.result(tmp_path, *images)
        assert float(result["dx"].median()) == pytest.approx(30, abs=0.5)

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    def test_grey_saved_as_colours(self, tmp_path, mode):
        for name, dx in (("a.png", 0), ("b.png", 3)):
            pixels = texture(dx=dx).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        result = self.result(tmp_path, tmp_path / "a.png", tmp_path / "b.png")
        assert float(result["dx"].median()) == pytest.approx(3, abs=0.05)
        assert result["dx"].attrs["units"] == "pixel"

    def test_a_band_that_is_chosen(self, tmp_path):
        for name, dx in (("a.tif", 0), ("b.tif", 3)):
            bands = [texture(seed=1), texture(dx=dx), texture(seed=2)]
            write(tmp_path / name, np.stack(bands))
        result = self.result(tmp_path, tmp_path / "a.tif", tmp_path / "b.tif", "--band", "2")
        assert float(result["dx"].median()) == pytest.approx(30, abs=0.5)

    def test_dates_reversed(self, capsys, tmp_path):
        later = write(tmp_path / "20200301.tif", texture())
        earlier = write(tmp_path / "20200201.tif", texture(dx=3))
        result = self.result(tmp_path, later, earlier, "--velocity")
        assert float(result["dx"].median()) == pytest.approx(30, abs=0.5)
        assert float(result["vx"].median()) < 0
        lines = capsys.readouterr().err.splitlines()
        assert ["later than the secondary" in line for line in lines] == [True]

    def test_an_old_result_is_replaced_whole(self, tmp_path, good):
        Path(tmp_path / "out.tif").write_text("old")
        assert np.isfinite(self.result(tmp_path, good, good)["dx"]).any()
