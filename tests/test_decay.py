"""The verb ``decay``, on arrays and on files."""

import numpy as np
import pytest
import torch
import xarray as xr

import groundshift
from groundshift import io, maps
from groundshift.errors import GroundshiftError
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.series import Decay, acquire_series
from test_cli import quiet_logger, run, write

__all__ = ["quiet_logger"]

SIZE, REST, TAU = 160, 0.5, 20.0
OPTIONS = {"estimator": "pearson", "window": 15, "radiometry": "amplitude"}


@pytest.fixture(scope="module")
def stack():
    generator = torch.Generator().manual_seed(4)
    days = tuple(12.0 * k for k in range(5))
    one = torch.tensor(1.0)
    decay = Decay(torch.tensor(REST), torch.tensor(TAU))
    motions = (Constant(),) * 5
    images = acquire_series(sentinel1.grd(), one, decay, days, motions, SIZE, generator)
    return [image.numpy() for image in images]


@pytest.fixture
def files(stack, tmp_path):
    dates = ("20200107", "20200119", "20200131", "20200212", "20200224")
    return [write(tmp_path / f"S1_{d}.tif", p) for d, p in zip(dates, stack, strict=True)]


def test_a_stack_tells_its_decay(files):
    images = [groundshift.open_image(file) for file in files]
    found = groundshift.decay(images[::-1], **OPTIONS).compute()
    assert list(found.data_vars) == list(maps.DECAY.attrs)
    assert found.attrs["pairs"] == 10
    assert float(found.rest.median()) == pytest.approx(REST, abs=0.1)
    assert float(found.tau.median()) == pytest.approx(TAU, rel=0.35)
    near = groundshift.decay(images, longest=36, **OPTIONS)
    assert near.attrs["pairs"] == 9
    assert str(found.secondary_time.values)[:10] == "2020-02-24"


def test_command(files, tmp_path, capsys):
    out = tmp_path / "decay.tif"
    options = ("--estimator", "pearson", "--window", "15", "--radiometry", "amplitude")
    assert run("decay", *files, out, *options) == 0
    assert "10 of 5 dates" in capsys.readouterr().out
    assert list(io.open_field(out).data_vars) == list(maps.DECAY.attrs)
    assert (tmp_path / "decay.png").stat().st_size > 10_000
    assert run("info", out) == 0
    assert "map of decay" in capsys.readouterr().out
    assert run("decay", *files[:2], tmp_path / "two.tif", *options) == 2
    assert "tell no decay" in capsys.readouterr().err


def test_images_without_dates_are_refused(stack):
    with pytest.raises(GroundshiftError, match="has no date"):
        groundshift.decay(stack, **OPTIONS)
    assert not np.isnan(stack[0]).any()


def test_texture_that_stays_is_divided_out():
    rng = np.random.default_rng(3)
    dates, looks, size = 8, 5, 128
    days = 12.0 * np.arange(dates)
    kept = np.linalg.cholesky(np.exp(-np.abs(days[:, None] - days) / TAU) + 1e-9 * np.eye(dates))
    parts = rng.standard_normal((looks, 2, dates, size, size))
    power = np.einsum("kj,lcjyx->klcyx", kept, parts)
    ground = np.exp(0.6 * rng.standard_normal((size // 2, size // 2))).repeat(2, 0).repeat(2, 1)
    amplitude = np.sqrt((power**2).mean((1, 2)) * ground).astype(np.float32)
    times = np.datetime64("2020-01-07", "ns") + days.astype("timedelta64[D]")
    at = np.arange(size) + 0.5
    images = [
        xr.DataArray(each, dims=("y", "x"), coords={"time": when, "y": at, "x": at})
        for each, when in zip(amplitude, times, strict=True)
    ]
    fooled = groundshift.decay(images, **OPTIONS).compute()
    found = groundshift.decay(images, temporal=True, **OPTIONS).compute()
    assert float(fooled.rest.median()) > 0.5
    assert float(found.rest.median()) < 0.15
    # The mean keeps something of what neighbouring dates have in common.
    assert 0.5 * TAU < float(found.tau.median()) < TAU
    with pytest.raises(GroundshiftError, match="needs 6 or more"):
        groundshift.decay(images[:5], temporal=True, **OPTIONS)
    with pytest.raises(GroundshiftError, match="in place of normalise="):
        groundshift.decay(images, "unet", temporal=True)
