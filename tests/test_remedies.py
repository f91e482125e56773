"""Messages say options on the command line, whatever Python calls them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

import groundshift
from groundshift.cli.remedies import as_options
from groundshift.cli.track import track
from test_api import texture
from test_cli import MATCHER, pair, quiet_logger, run, write

__all__ = ["pair", "quiet_logger"]

SOURCE = Path(groundshift.__file__).parent
OPTIONS = set(signature(track).parameters) - {"reference", "secondary", "out"}
PYTHON = re.compile(rf"(?<![-\w])({'|'.join(OPTIONS)})=")


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings, with X for what is filled in."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(
                    part.value if isinstance(part, ast.Constant)
                    else "'X'" if part.conversion == ord("r") else "X"
                    for part in parts
                )  # fmt: skip
            case _:
                yield from texts(node)


@cache
def messages() -> list[str]:
    """Every message of the layers below the commands that has a parameter of `track` in it."""
    modules = [path for path in SOURCE.rglob("*.py") if "cli" not in path.parts]
    found = {text for path in modules for text in texts(ast.parse(path.read_text()))}
    return sorted(text for text in found if PYTHON.search(text))


def test_messages_are_found():
    assert len(messages()) >= 10
    assert any("pass band=NUMBER" in text for text in messages())


@pytest.mark.parametrize("text", messages())
def test_no_python_is_left(text):
    said = as_options(text, track)
    assert "open_image" not in said
    calls = re.compile(r"\w+\((?:[^()]|\([^()]*\))*\)")
    assert not PYTHON.search(calls.sub("", said))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pass radiometry='optical'", "pass --radiometry optical"),
        ("is real; leave radiometry= out, or", "is real; leave --radiometry out, or"),
        ("(say which with radiometry=)", "(say which with --radiometry)"),
        ("and its mask (nodata=, mask=)", "and its mask (--nodata, --mask)"),
        ("declare them with nodata=, or", "declare them with --nodata, or"),
        ("with nodata=0 or nodata=-9999;", "with --nodata 0 or --nodata -9999;"),
        ("pass band=NUMBER of 1 (red)", "pass --band NUMBER of 1 (red)"),
        ("search=0 finds nothing", "--search 0 finds nothing"),
        ("pass stride=1, 2 or 4", "pass --stride 1, 2 or 4"),
        ("pass time='2020-01-31' for the secondary to open_image",
         "pass --secondary-time 2020-01-31"),
        ("write it there, as in NCC(search=7)", "write it there, as in NCC(search=7)"),
        ("F(matcher=NCC(), search=7) is new; pass search=8",
         "F(matcher=NCC(), search=7) is new; pass --search 8"),
        ("/data/band=3/a.tif has no band 7", "/data/band=3/a.tif has no band 7"),
        ("band=3/a.tif has no band 7", "band=3/a.tif has no band 7"),
        ("window=8 holds too few", "window=8 holds too few"),
        ("5 = 5", "5 = 5"),
    ],
)  # fmt: skip
def test_translation(text, said):
    assert as_options(text, track) == said


def test_options_of_another_command_are_not_known():
    def verb(*, max_size: str) -> None: ...

    text = "pass max_size=5 or band=2"
    assert as_options(text, track) == "pass max_size=5 or --band 2"
    assert as_options(text, track, verb) == "pass --max-size 5 or --band 2"


class TestOnTheCommandLine:
    """What is said in the end, by each error and warning that can be brought about quickly."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--stride", "3"), "--stride 3 is not offered; pass --stride 1, 2, 4, 8 or 16"),
            (("--search", "0"), "--search 0 finds nothing; pass --search 1 or more pixels"),
            (("--search", "7", "--matcher", MATCHER),
             "--search 7 belongs to 'auto', 'default' and trained nets; with a matcher of your "
             "own, write it there, as in NCC(search=7)"),
            (("--matcher", "default(stride=3)"),
             "default(stride=3) is not offered; use one of (1, 2, 4, 8, 16)"),
            (("--matcher", "PhaseCorrelation(window=4)"),
             "window=4 holds too few frequencies; use 16 or more"),
            (("--radiometry", "complex"),
             "20200207.tif is real, so its radiometry cannot be complex; leave --radiometry out, "
             "or pass the right one"),
            (("--device", "abacus"), "--device abacus is not known; pass 'cpu', 'cuda' or 'auto'"),
            (("--band", "4"), "20200207.tif has no band 4; pass --band NUMBER of 1 (gray)"),
            (("--memory", "1MB"), "a memory budget of 1MB is too small: "),
            (("--memory", "1MiB"), "a memory budget of 1MiB is too small: "),
            (("--memory", "1.5M"), "a memory budget of 1.5MiB is too small: "),
        ],
    )  # fmt: skip
    def test_errors(self, pair, tmp_path, capsys, monkeypatch, options, said):
        monkeypatch.chdir(tmp_path)
        names = [path.name for path in pair]
        assert run("track", *names, "o.tif", *options) == 2
        assert capsys.readouterr().err.startswith(f"groundshift: error: {said}")

    def test_stable_ground(self, pair, tmp_path, capsys):
        assert run("track", *pair, tmp_path / "o.tif", "--stable", pair[0]) == 2
        assert "only; pass --coregister shift with it\n" in capsys.readouterr().err

    def test_no_data(self, pair, tmp_path, capsys):
        blank = write(tmp_path / "blank.tif", np.full((96, 128), np.nan, np.float32))
        assert run("track", pair[0], blank, tmp_path / "o.tif") == 2
        assert "its mask (--nodata, --mask)\n" in capsys.readouterr().err

    def test_complex_taken_for_detected(self, tmp_path, capsys):
        slc = write(tmp_path / "slc.tif", (texture() * 1j).astype(np.complex64), crs=None,
                    transform=Affine.identity())  # fmt: skip
        assert run("track", slc, slc, tmp_path / "o.tif", "--radiometry", "db") == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert "leave --radiometry out" in error

    def test_warnings(self, pair, tmp_path, capsys):
        rng = np.random.default_rng(0)
        power = np.float32(-20) + 3 * rng.normal(size=(96, 128)).astype(np.float32)
        db = write(tmp_path / "db.tif", power)
        large = np.where(rng.random((96, 128)) < 0.01, 1e300, texture().astype(np.float64))
        huge = write(tmp_path / "huge.tif", large)
        for image in (db, huge):
            assert run("track", pair[0], image, tmp_path / "o.tif", "--no-quicklook",
                       "--matcher", "NCC(window=16, search=2, stride=16)") == 0  # fmt: skip
        first, second = capsys.readouterr().err.splitlines()
        assert first.endswith("taking both as optical (say which with --radiometry)")
        assert second.endswith("as no data; declare them with --nodata, or rescale the image")

    def test_the_log(self, pair, tmp_path, capsys):
        matcher = "NCC(window=16, search=2, stride=16)"
        out = tmp_path / "o.tif"
        assert run("track", *pair, out, "-v", "--no-quicklook", "--matcher", matcher) == 0
        assert "pass --radiometry if that is wrong" in capsys.readouterr().err
