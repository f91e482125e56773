"""Fields of motion into a bank: components, signs, gaps, noise, licences, splits."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from scipy.io import netcdf_file

from groundshift.errors import GroundshiftError, ImageError
from groundshift.io.pack import pack
from groundshift.io.pack.clean import cleaned, filled
from groundshift.io.pack.motions import motions_of, spread
from groundshift.synth.bank import Bank
from groundshift.synth.fields import random_field
from test_cli import quiet_logger, run, write  # noqa: F401 - a fixture

FLAT = Affine.identity()


def stream(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """``(2, rows, columns)``: ``dy`` down, ``dx`` to the right, up to 300."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    speed = 300 * np.exp(-(((y - 30) / 14.0) ** 2)) + 2
    return np.stack([0.3 * speed, (0.8 + 0.002 * x) * speed])


def close(found: torch.Tensor, expected: np.ndarray, share: float = 0.05) -> None:
    inner = (slice(None), slice(4, -4), slice(4, -4))
    miss = np.abs(found.numpy() - expected)[inner].max()
    assert miss < share * np.abs(expected).max()


class TestReading:
    def test_map_components_point_north(self, tmp_path: Path) -> None:
        dy, dx = stream()
        write(tmp_path / "a_vx.tif", dx.astype(np.float32))
        write(tmp_path / "a_vy.tif", (-dy).astype(np.float32))
        (tmp_path / "SOURCE.txt").write_text("ice of Mars, CC-BY-4.0")
        (field,) = motions_of(tmp_path, [])
        close(field.planes, stream())
        assert (field.name, field.scene, field.licence) == ("a_vx.tif", ".", "CC-BY-4.0")
        assert bool(field.known.all())

    def test_pixels_point_down(self, tmp_path: Path) -> None:
        for name, plane in zip(("Px2", "Px1"), stream(), strict=True):
            write(tmp_path / f"{name}.tif", plane.astype(np.float32), crs=None, transform=FLAT)
        (field,) = motions_of(tmp_path, [])
        close(field.planes, stream())

    def test_bands_of_one_file_and_one_component_alone(self, tmp_path: Path) -> None:
        dy, dx = stream()
        (tmp_path / "one").mkdir()
        path = write(tmp_path / "one" / "motion.tif", np.stack([dx, -dy]).astype(np.float32))
        with rasterio.open(path, "r+") as dataset:
            dataset.descriptions = ("dx", "dy")
        with_grid = tmp_path / "two"
        with_grid.mkdir()
        with netcdf_file(with_grid / "EW_fault.grd", "w") as file:
            file.createDimension("side", 2)
            file.createDimension("xysize", dx.size)
            file.createVariable("dimension", "i4", ("side",))[:] = dx.shape[::-1]
            file.createVariable("z", "f4", ("xysize",))[:] = dx.ravel()
        both, alone = motions_of(tmp_path, [])
        close(both.planes, stream())
        close(alone.planes, np.stack([0 * dx, dx]))

    def test_what_does_not_correlate_or_is_zero_was_not_measured(self, tmp_path: Path) -> None:
        motion = stream()
        motion[:, :, 40:50] = 0
        good = np.full((60, 80), 0.9, np.float32)
        good[:10] = 0.5
        for name, plane in zip(("Px2", "Px1", "Correl"), (*motion, good), strict=True):
            write(tmp_path / f"{name}.tif", plane.astype(np.float32), crs=None, transform=FLAT)
        (field,) = motions_of(tmp_path, [])
        assert not field.known[:8].any()
        assert not field.known[:, 42:48].any()
        assert field.known[14:, :36].all()

    def test_refusals(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="is not a folder"):
            motions_of(tmp_path / "none", [])
        write(tmp_path / "photo.tif", stream()[0].astype(np.float32))
        skipped: list[tuple[str, str]] = []
        with pytest.raises(GroundshiftError, match="no field of motion"):
            motions_of(tmp_path, skipped)
        assert "name them dx, dy" in skipped[0][1]


class TestCleaning:
    def test_smooth_fields_stay(self) -> None:
        values, known = cleaned(stream())
        assert values.shape == (2, 60, 80)
        close(torch.from_numpy(values), stream(), 0.02)
        assert known.all()

    def test_wild_values_and_noise_go(self) -> None:
        rng = np.random.default_rng(0)
        motion = stream((150, 200))
        noisy = motion + rng.normal(0, 12, motion.shape)
        wild = rng.random(motion.shape[1:]) < 0.03
        noisy[:, wild] = rng.uniform(-2000, 2000, (2, int(wild.sum())))
        values, _ = cleaned(noisy)
        step = round(150 / values.shape[1])
        assert step > 1
        error = values - motion[:, ::step, ::step]
        assert float(error[:, 3:-3, 3:-3].std()) < 12 / 2.5
        assert float(np.abs(error[:, 3:-3, 3:-3]).max()) < 30

    def test_gaps_are_filled_from_their_surroundings(self) -> None:
        field = random_field((96, 96), 0.9, 60, torch.Generator().manual_seed(1), smoothness=6.0)
        motion = np.stack([field.numpy(), -field.numpy()]).astype(np.float64)
        known = np.ones((96, 96), bool)
        known[30:60, 40:60] = False
        values, weight = filled(np.where(known, motion, np.nan), known, 1.0)
        assert np.isfinite(values).all()
        assert float(np.abs(values[0][~known] - motion[0][~known]).std()) < motion.std()
        assert values.min() >= motion.min() - 1e-9
        assert values.max() <= motion.max() + 1e-9
        # No edge where the gap begins.
        edge = np.abs(np.diff(values[0][45]))
        assert edge[38:42].max() < 5 * np.median(edge) + 0.1
        assert float(weight[45, 50]) < 0.01

    def test_nothing_to_keep(self) -> None:
        with pytest.raises(ImageError, match="nothing in it is measured"):
            cleaned(np.full((2, 30, 30), np.nan))
        with pytest.raises(ImageError, match="nothing in it moves"):
            cleaned(np.zeros((2, 30, 30)))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    images, motions = tmp_path / "images", tmp_path / "motions"
    ground = 100 + 20 * random_field((96, 128), 0.5, 6.0, torch.Generator().manual_seed(1))
    images.mkdir()
    write(images / "a.tif", ground.numpy().clip(1, 254).astype(np.uint8))
    for place, turn in (("east", 1), ("west", -1), ("north", 1)):
        (motions / place).mkdir(parents=True)
        dy, dx = turn * stream((60 + 4 * len(place), 80))
        write(motions / place / "v_vx.tif", dx.astype(np.float32))
        write(motions / place / "v_vy.tif", dy.astype(np.float32))
        (motions / place / "SOURCE.txt").write_text(f"{place}; MIT")
    return images, motions


def test_every_split_gets_a_place(folders: tuple[Path, Path]) -> None:
    fields = motions_of(folders[1], [])
    assert {field.split for field in spread(fields)} == {"train", "validation", "test"}


def test_into_a_bank(folders: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    out = tmp_path / "bank.npz"
    assert run("pack", folders[0], out, "--motions", folders[1], "--max-size", "60KiB") == 0
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    start = "motion 80 x 76 nodes, 100% east/v_vx.tif (MIT)"
    assert any(line.startswith(start) for line in printed), printed
    assert out.stat().st_size <= 60 * 1024
    opened = Bank.open(out)
    assert {field.scene for field in opened.motions} == {"east", "west", "north"}
    assert pack(folders[0], tmp_path / "plain.npz").motions == ()
