"""The verb and the command ``fit``."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import groundshift
from groundshift import field, maps, timeseries
from groundshift.cli import report
from groundshift.errors import GroundshiftError
from test_cli import quiet_logger, run
from test_timeseries import GRID

__all__ = ["quiet_logger"]

DAYS = np.array([0, 24, 60, 90, 130, 170, 200, 240, 290, 330, 370, 420], "timedelta64[D]")
TIMES = np.datetime64("2020-01-05T05:00", "ns") + DAYS
EVENT = np.datetime64("2020-06-01", "ns")
NOISE = 0.05


def motion(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.normal(0, 2, (2, *GRID.shape)) for name in ("velocity", "sine", "step")}


def cube(truth: dict[str, np.ndarray]) -> xr.Dataset:
    """All pairs of a motion of known numbers."""
    rng = np.random.default_rng(2)
    years = (DAYS / np.timedelta64(1, "D")) / 365.2422
    after = TIMES >= EVENT
    found = []
    for i, j in combinations(range(len(TIMES)), 2):
        metres = (
            truth["velocity"] * (years[j] - years[i])
            + truth["sine"] * (np.sin(2 * np.pi * years[j]) - np.sin(2 * np.pi * years[i]))
            + truth["step"] * (float(after[j]) - float(after[i]))
            + rng.normal(0, NOISE, truth["velocity"].shape)
        )
        east, north = metres / 20
        sigma = np.full(GRID.shape, NOISE / 20)
        planes = field.Planes(-north, east, sigma, sigma, np.ones(GRID.shape))
        found.append(
            field.build(planes, GRID, stride=1, reference_time=TIMES[i], secondary_time=TIMES[j])
        )
    return timeseries.stack(found)


@pytest.fixture(scope="module")
def truth() -> dict[str, np.ndarray]:
    return motion(np.random.default_rng(1))


@pytest.fixture(scope="module")
def pairs(truth: dict[str, np.ndarray]) -> xr.Dataset:
    return cube(truth)


def test_numbers_and_their_sigma(truth: dict[str, np.ndarray], pairs: xr.Dataset) -> None:
    found = groundshift.fit(pairs, seasonal=True, steps=["2020-06-01"]).compute()
    assert found.attrs["schema"] == maps.FIT.schema
    ratios = []
    for name, exact in truth.items():
        for axis, plane in zip("xy", exact, strict=True):
            error = found[f"{name}_{axis}"].values - plane
            ratios.append(error / found[f"sigma_{name}_{axis}"].values)
    # Pairs without an error in common: the noise is of each pair.
    assert np.std(ratios) == pytest.approx(1, abs=0.1)
    assert float(np.abs(found.cosine_x).max()) < 0.5
    assert found.velocity_x.attrs["units"] == "m year-1"
    assert float(found.misfit.median()) == pytest.approx(1, abs=0.1)


def test_cells_of_several_pixels_stay_what_they_are(pairs: xr.Dataset) -> None:
    coarse = pairs.assign_attrs(stride=4)
    found = groundshift.fit(coarse)
    assert found.attrs["stride"] == 4
    assert field.geobox_of(found) == field.geobox_of(pairs)


def test_noise_of_images_adds_to_sigma(pairs: xr.Dataset) -> None:
    alone, more = (
        groundshift.fit(pairs, seasonal=True, steps=["2020-06-01"], image_noise=noise)
        for noise in (0, 0.5)
    )
    assert set(more.attrs["image_noise_y"]) == {0.5}
    assert float((more.sigma_velocity_x / alone.sigma_velocity_x).min()) > 3


def test_the_date_of_a_jump_is_found(
    truth: dict[str, np.ndarray], pairs: xr.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    found = groundshift.fit(pairs, seasonal=True, find=True).compute()
    assert found.attrs["found_step"] == "2020-05-14T05:00:00 to 2020-06-23T05:00:00"
    assert np.abs(found.step_y.values - truth["step"][1]).mean() < 0.05
    still = cube(truth | {"step": 0 * truth["step"]})
    groundshift.fit(still, seasonal=True, find=True)
    assert "no jump stands out" in caplog.text


def test_stable_ground_ties_the_pairs(pairs: xr.Dataset, truth: dict[str, np.ndarray]) -> None:
    shift = xr.DataArray(np.random.default_rng(4).normal(0, 3, pairs.sizes["pair"]), dims="pair")
    loose = pairs.assign(dx=(pairs.dx + shift).astype("float32"))
    found = groundshift.fit(loose, seasonal=True, steps=[EVENT], stable=np.ones(GRID.shape))
    middle = np.median(truth["velocity"][0])
    error = found.velocity_x.values - (truth["velocity"][0] - middle)
    assert np.abs(error - np.median(error)).mean() < 0.4


def test_pairs_without_sigma_count_alike(
    truth: dict[str, np.ndarray], pairs: xr.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    blind = pairs.assign({name: pairs[name] * np.nan for name in ("sigma_dx", "sigma_dy")})
    found = groundshift.fit(blind, seasonal=True, steps=[EVENT]).compute()
    assert "no pair knows its sigma" in caplog.text
    ratios = [
        (found[f"{name}_{axis}"].values - plane) / found[f"sigma_{name}_{axis}"].values
        for name, exact in truth.items()
        for axis, plane in zip("xy", exact, strict=True)
    ]
    assert np.std(ratios) == pytest.approx(1, abs=0.15)
    assert bool(found.misfit.isnull().all())
    assert not any("misfit" in line for line in report.fit(found))
    again = groundshift.fit(blind, seasonal=True, find=True)
    assert again.attrs["found_step"].startswith("2020-05-14")


def test_a_sigma_that_is_none_is_said(pairs: xr.Dataset, caplog: pytest.LogCaptureFixture) -> None:
    none = pairs.assign(sigma_dx=pairs.sigma_dx * (pairs.x > pairs.x[10]))
    found = groundshift.fit(none).compute()
    assert "sigma of some pairs is 0 or less" in caplog.text
    assert bool(found.velocity_x.isel(x=slice(None, 10)).isnull().all())


def test_what_follows_an_earthquake_before_the_first_image(pairs: xr.Dataset) -> None:
    years = (pairs.secondary_time - np.datetime64("2019-12-01")) / np.timedelta64(1, "D")
    first = (pairs.reference_time - np.datetime64("2019-12-01")) / np.timedelta64(1, "D")
    grown = np.log1p(years / 20) - np.log1p(first / 20)
    moved = pairs.assign(dx=(0 * pairs.dx + 2 * grown).astype("float32"))
    found = groundshift.fit(moved, afterslips=[("2019-12-01", 20)]).compute()
    assert np.allclose(found.afterslip_x, 2, atol=0.01)
    with pytest.raises(GroundshiftError, match="give days above 0"):
        groundshift.fit(pairs, relaxations=[("2020-02-01", 0)])


def test_dates_that_do_not_tell(pairs: xr.Dataset) -> None:
    with pytest.raises(GroundshiftError, match="not between the first and"):
        groundshift.fit(pairs, steps=["2019-01-01"])
    with pytest.raises(GroundshiftError, match="do not tell"):
        groundshift.fit(pairs.isel(pair=[0, 1]), seasonal=True, acceleration=True)


def test_the_command(pairs: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groundshift.save(pairs, tmp_path / "pairs.zarr")
    out = tmp_path / "motion.tif"
    words = ("fit", tmp_path / "pairs.zarr", out, "--seasonal", "--step", "2020-06-01")
    assert run(*words, "--afterslip", "2020-06-01,10", "--relaxation", "2020-06-01,90") == 0
    said = capsys.readouterr().out
    assert "velocity    median" in said
    assert "afterslip" in said
    found = groundshift.open_field(out)
    assert {"step_x", "sigma_afterslip_y", "relaxation_x", "misfit"} <= set(found.data_vars)
    assert (tmp_path / "motion.png").stat().st_size > 5000
    assert run("info", out) == 0
    assert run("fit", tmp_path / "pairs.zarr", out, "--afterslip", "2020-06-01") == 2
    assert "write its date and the days" in capsys.readouterr().err
