"""The pages of ``examples/`` run, and print what they promise."""

import runpy
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_pages():
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_fits_a_screen(page, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(page)])
    runpy.run_path(str(page), run_name="__main__")
    assert capsys.readouterr().out
    assert len(page.read_text().splitlines()) < 80
