"""The command line: the verbs on paths."""

import inspect
import json
import logging
import re
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from groundshift import api, cli, io
from groundshift.cli import track
from groundshift.errors import GroundshiftError
from groundshift.matchers.presets import STRIDES, default
from test_api import texture

MATCHER = "NCC(window=16, search=8, stride=8)"


def write(path, pixels, *, crs="EPSG:32633", transform=None, **options):
    """Write a GeoTIFF of one or several bands."""
    bands = pixels if pixels.ndim == 3 else pixels[None]
    profile = {
        "driver": "GTiff",
        "height": bands.shape[1],
        "width": bands.shape[2],
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "crs": crs,
        "transform": transform or Affine(10, 0, 5e5, 0, -10, 4e6),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **(profile | options)) as file:
            file.write(bands)
    return path


def run(*arguments):
    """Run the command line in this process; return its exit code."""
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(argument) for argument in arguments])
    return exit_.value.code


@pytest.fixture
def pair(tmp_path):
    return (
        write(tmp_path / "20200207.tif", texture()),
        write(tmp_path / "20200227.tif", texture(dy=2, dx=3)),
    )


@pytest.fixture(autouse=True)
def quiet_logger():
    """Undo what a command sets up for its own process."""
    yield
    root = logging.getLogger("groundshift")
    root.handlers.clear()
    root.setLevel(logging.NOTSET)
    root.propagate = True


class TestTrack:
    @pytest.mark.parametrize("suffix", [".tif", ".nc", ".zarr"])
    def test_writes_a_field_and_a_picture(self, pair, tmp_path, capsys, suffix):
        out = tmp_path / f"motion{suffix}"
        assert run("track", *pair, out, "--matcher", MATCHER, "--velocity") == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        lines = printed.out.splitlines()
        assert 3 <= len(lines) <= 8
        assert lines[0].startswith("matcher     NCC(")
        assert any("median 36" in line for line in lines)
        picture = tmp_path / ("motion.png" if suffix == ".tif" else f"motion{suffix}.png")
        assert lines[-1] == f"wrote       {out}, {picture}"
        result = io.open_field(out)
        assert float(result["dx"].compute().median()) == pytest.approx(30, abs=0.5)
        assert float(result["dy"].compute().median()) == pytest.approx(-20, abs=0.5)
        assert "vx" in result
        assert str(result["reference_time"].values).startswith("2020-02-07")
        assert picture.stat().st_size > 10_000

    def test_options_reach_the_verb(self, pair, tmp_path, monkeypatch):
        given = {}

        def spy(*images, **options):
            given.update(options, images=images)
            raise GroundshiftError("enough")

        monkeypatch.setattr(api, "track", spy)
        stable = write(tmp_path / "stable.tif", np.ones((96, 128), np.uint8))
        code = run(
            "track", *pair, tmp_path / "o.tif", "--search", 99, "--stride", 8, "--memory", "2GiB",
            "--coregister", "affine", "--stable", stable, "--radiometry", "db", "--device", "auto",
            "--reference-time", "2001-02-03", "--secondary-time", "2001-02-04",
        )  # fmt: skip
        assert code == 2
        assert given["search"] == 99
        assert given["stride"] == 8
        assert given["memory"] == 2 * 1024**3
        assert given["coregister"] == "affine"
        assert given["radiometry"] == "db"
        assert given["device"] == "auto"
        assert given["stable"].shape == (96, 128)
        assert str(given["images"][0]["time"].values).startswith("2001-02-03")

    def test_a_field_serves_as_prior(self, pair, tmp_path):
        prior = tmp_path / "prior.tif"
        assert run("track", *pair, prior, "--matcher", MATCHER, "--no-quicklook") == 0
        assert not prior.with_suffix(".png").exists()
        out = tmp_path / "again.tif"
        small = "NCC(window=16, search=5, stride=8)"
        assert run("track", *pair, out, "--matcher", small, "--prior", prior) == 0
        assert float(io.open_field(out)["dx"].compute().median()) == pytest.approx(30, abs=0.5)

    def test_the_global_motion_is_told(self, pair, tmp_path, capsys):
        out = tmp_path / "o.tif"
        options = ("--matcher", MATCHER, "--coregister", "shift", "--no-quicklook")
        assert run("track", *pair, out, *options) == 0
        told = [line for line in capsys.readouterr().out.splitlines() if "removed " in line]
        found = re.match(r"removed     shift: dx=([+-][\d.]+), dy=([+-][\d.]+) m", told[0])
        assert [float(each) for each in found.groups()] == pytest.approx([30, -20], abs=0.1)
        assert run("info", out) == 0
        assert f"\n{told[0]}" in capsys.readouterr().out

    def test_velocity_without_dates_is_refused_before_the_work(
        self, pair, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setattr(api, "track", lambda *_, **__: pytest.fail("computed"))
        nameless = write(tmp_path / "b.tif", texture())
        for images, remedy in (
            ((nameless, nameless), "pass --reference-time YYYY-MM-DD and --secondary-time YYYY"),
            ((pair[0], nameless), "the secondary is unknown; pass --secondary-time YYYY-MM-DD\n"),
            ((pair[0], pair[0]), "both images are of 2020-02-07T00:00:00; pass --reference-time"),
        ):
            assert run("track", *images, tmp_path / "o.tif", "--velocity") == 2
            assert remedy in capsys.readouterr().err
        assert not (tmp_path / "o.tif").exists()

    def test_the_signature_is_that_of_the_verb(self):
        verb = set(inspect.signature(api.track).parameters)
        command = set(inspect.signature(track.track).parameters)
        assert verb <= command
        assert command - verb == track.ONLY_HERE

    def test_defaults_are_those_of_the_verb(self):
        verb, command = (inspect.signature(f).parameters for f in (api.track, track.track))
        for name, parameter in verb.items():
            assert command[name].default == parameter.default, name


class TestOthers:
    def test_info_on_a_field(self, pair, tmp_path, capsys):
        run("track", *pair, tmp_path / "m.nc", "--matcher", MATCHER, "--no-quicklook")
        capsys.readouterr()
        assert run("info", tmp_path / "m.nc") == 0
        text = capsys.readouterr().out
        for part in (
            "displacement field",
            "16 columns x 12 rows of 80 x 80",
            "EPSG:32633",
            "2020-02-07T00:00:00 -> 2020-02-27",
            "+dx is east",
            "sigma_dx",
            "window=16, search=8",
        ):
            assert part in text

    def test_info_on_a_band_of_a_field(self, pair, tmp_path, capsys):
        run("track", *pair, tmp_path / "m.tif", "--matcher", MATCHER, "--no-quicklook")
        capsys.readouterr()
        assert run("info", tmp_path / "m.tif", "--band", "3") == 0
        text = capsys.readouterr().out
        assert "m.tif: image" in text
        assert "displacement field" not in text

    def test_info_on_images(self, pair, tmp_path, capsys):
        assert run("info", pair[0]) == 0
        text = capsys.readouterr().out
        assert "image" in text
        assert "128 columns x 96 rows of 10 x 10 metre" in text
        assert "pixels      real, taken as optical\n" in text
        assert "100.0 % known" in text
        rng = np.random.default_rng(1)
        radar = rng.normal(size=(2, 50, 60)).astype(np.float32)
        slc = write(tmp_path / "slc.tif", (radar[0] + 1j * radar[1]).astype(np.complex64), crs=None,
                    transform=Affine.identity())  # fmt: skip
        assert run("info", slc) == 0
        text = capsys.readouterr().out
        assert "pixels      complex, taken as complex\nmagnitude   100.0 % known" in text
        assert "not georeferenced" in text
        assert "date        unknown" in text

    def test_info_on_several_bands(self, tmp_path, capsys):
        pixels = np.stack([texture(seed=seed) for seed in range(3)])
        path = write(tmp_path / "rgb.tif", pixels, photometric="RGB")
        assert run("info", path) == 0
        text = capsys.readouterr().out
        assert "128 columns x 96 rows" in text
        assert "band 2      green, float32\n" in text
        assert "pass --band NUMBER" in text
        assert "median" not in text
        assert run("info", path, "--band", "3") == 0
        assert f"max {pixels[2].max():.4g}" in capsys.readouterr().out

    def test_matchers(self, capsys):
        assert run("matchers") == 0
        text = capsys.readouterr().out
        assert "  NCC  Normalised" in text
        assert "window=32" in text
        assert "  Filtered(\n" in text
        assert (
            "    search=64  Largest displacement looked for in each direction, pixels; 4 are"
            in text
        )
        assert "raises it to what its prior needs" in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 100

    def test_demo(self, tmp_path, capsys):
        folder = tmp_path / "new" / "demo"
        assert run("demo", "--out", folder, "--size", 128) == 0
        text = capsys.readouterr().out
        assert "true error  mean 0." in text
        assert "the limit   mean 0." in text
        assert {p.name for p in folder.iterdir()} == {"demo.tif", "demo.png"}
        before = (folder / "demo.tif").read_bytes()
        (folder / "demo.png").write_text("not a picture")
        assert run("demo", "--out", folder, "--size", 128) == 2
        assert "demo.png exists and is no quicklook" in capsys.readouterr().err
        assert (folder / "demo.tif").read_bytes() == before

    def test_version_and_help(self, capsys):
        assert run("--version") == 0
        assert capsys.readouterr().out.startswith("groundshift ")
        for arguments in ((), ("--help",), ("track", "--help")):
            assert run(*arguments) == 0
            assert "Usage" in capsys.readouterr().out

    def test_help_shows_how(self, capsys):
        run("track", "--help")
        text = capsys.readouterr().out
        assert "groundshift track 20200207.tif 20200227.tif motion.tif" in text
        assert "east" in text

    def test_help_knows_the_default(self, capsys, monkeypatch):
        """Written there once more: importing it takes longer than help may."""
        monkeypatch.setenv("COLUMNS", "250")
        run("track", "--help")
        text = capsys.readouterr().out
        *others, largest = map(str, STRIDES)
        search, stride = (p.default for p in inspect.signature(default).parameters.values())
        choices = f"{', '.join(others)} or {largest}. Default: {stride}."
        assert f"Pixels between their results: {choices}" in text
        assert f"never less than 4. Default: {search}." in text

    def test_help_counts_the_bands(self, pair, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "250")
        run("track", "--help")
        assert (
            "five bands, two more with --coherence, four more with --velocity"
            in capsys.readouterr().out
        )
        for options, count in (((), 5), (("--velocity",), 9)):
            out = tmp_path / "o.tif"
            assert run("track", *pair, out, "--matcher", MATCHER, "--no-quicklook", *options) == 0
            with rasterio.open(out) as file:
                assert file.count == count

    def test_info_fits_the_terminal(self, pair, tmp_path, capsys, monkeypatch):
        run("track", *pair, tmp_path / "m.tif", "--matcher", MATCHER, "--no-quicklook")
        capsys.readouterr()
        monkeypatch.setenv("COLUMNS", "60")
        run("info", tmp_path / "m.tif")
        lines = capsys.readouterr().out.splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith("matcher"))
        assert len(lines[first]) <= 60
        assert lines[first : first + 4] == [
            "matcher     NCC(",
            "              window=16, search=8, stride=8,",
            "              peak=Sinc(taps=12, iterations=4), reach=0,",
            "              false_alarm=0.001, unguided=1.0)",
        ]
        assert "radiometry  optical" in lines

    def test_info_names_the_default(self, pair, tmp_path, capsys):
        """And the file keeps every parameter."""
        out = tmp_path / "m.tif"
        options = ("--matcher", "default", "--search", 4, "--stride", 16)
        assert run("track", *pair, out, *options, "--no-quicklook") == 0
        capsys.readouterr()
        assert run("info", out) == 0
        assert "\nmatcher     default(search=4, stride=16)\n" in capsys.readouterr().out
        assert io.open_field(out).attrs["matcher"] == repr(default(search=4, stride=16))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("trak",), "No such command 'trak'"),
            (("track", "a.tif"), "Missing argument 'SECONDARY' (see groundshift track --help)\n"),
            (("track", "a", "b", "c.tif", "--searhc", "3"), "No such option: --searhc"),
            (("track", "a", "b", "c.tif", "--search", "far"), "--search"),
            (("track", "a", "b", "c.tif", "--search"), "argument (see groundshift track --help)\n"),
            (("track", "a", "b", "c.tif", "--coregister", "all"), "shift"),
            (("track", "a", "b", "c.tif", "--radiometry", "foo"),
             "Invalid value for '--radiometry': 'foo' is not one of 'amplitude', 'intensity', "
             "'db', 'complex', 'optical' (see groundshift track --help)\n"),
            (("--nothing",), "--nothing (see groundshift --help)\n"),
            (("info",), "Missing argument 'FILE' (see groundshift info --help)\n"),
            (("demo", "--size", "5"),
             "'--size': it must be greater than or equal to 128 (see groundshift demo --help)\n"),
            (("demo", "--seed", "x"), "'--seed': it must be a valid integer (see"),
        ],
    )  # fmt: skip
    def test_usage(self, capsys, arguments, message):
        assert run(*arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("groundshift: error: ")
        assert len(printed.err.splitlines()) == 1
        assert message in printed.err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--stride", 3), "--stride 3 is not offered; pass --stride 1, 2, 4, 8 or 16\n"),
            (("--search", 0), "--search 0 finds nothing; pass --search 1 or more"),
            (("--memory", "1MiB"), "1MiB is too small: CoarseToFine needs at least "),
        ],
    )
    def test_settings_of_the_default(self, pair, tmp_path, capsys, options, message):
        assert run("track", *pair, tmp_path / "o.tif", *options) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error) < 200

    def test_the_unexpected_is_one_line_too(self, pair, tmp_path, monkeypatch, capsys):
        def broken(*_, **__):
            raise RuntimeError("no\nway")

        monkeypatch.setattr(api, "track", broken)
        assert run("track", *pair, tmp_path / "o.tif") == 1
        error = capsys.readouterr().err
        assert error == (
            "groundshift: unexpected error: RuntimeError: no way; --verbose shows where, "
            "please report it\n"
        )
        assert run("track", *pair, tmp_path / "o.tif", "--verbose") == 1
        assert "Traceback" in capsys.readouterr().err

    def test_verbose_says_what_is_done(self, pair, tmp_path, capsys):
        assert run("track", *pair, tmp_path / "o.tif", "-v", "--matcher", MATCHER) == 0
        assert "groundshift: INFO: wrote" in capsys.readouterr().err

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_who_ends_it_ends_it_quickly_and_nothing_is_left(self, tmp_path, how):
        for name in ("a.tif", "b.tif"):
            write(tmp_path / name, texture((1500, 1500)))
        code = (
            "import dask, groundshift.tile, groundshift.io\nfrom groundshift import cli\ncli.main()"
        )
        # Long enough never to be over in time: 400 million correlations.
        arguments = ["track", "a.tif", "b.tif", "o.tif", "--matcher",
                     "NCC(window=64, search=100, stride=4)"]  # fmt: skip
        command = [sys.executable, "-c", code, *arguments]

        def heed():
            """Where tests run in the background, SIGINT is ignored, and children inherit that."""
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        with subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed
        ) as process:
            while process.poll() is None and not list(tmp_path.glob(".o.tif*/scratch")):
                time.sleep(0.1)
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(how)
            error = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert time.monotonic() - began < 10
        assert error == "groundshift: interrupted; nothing was written\n"
        assert {p.name for p in tmp_path.iterdir()} == {"a.tif", "b.tif"}

    def test_help_is_immediate(self):
        """Nothing heavy is imported for it."""
        code = (
            "import json, sys\n"
            "from groundshift import cli\n"
            "try: cli.main(['track', '--help'])\n"
            "except SystemExit: pass\n"
            "print(json.dumps(sorted({'torch', 'xarray', 'dask', 'rasterio', 'matplotlib'}"
            " & set(sys.modules))))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert json.loads(done.stdout.splitlines()[-1]) == []
