"""Packing a folder of images into a bank of texture."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine

from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io.pack import pack
from groundshift.io.pack.fit import fair_share
from groundshift.io.pack.images import looks
from groundshift.io.pack.places import covered, without_rim
from groundshift.io.provenance import provenance
from groundshift.synth.bank import Bank, Stack
from groundshift.synth.fields import random_field
from groundshift.synth.levels import Scale
from groundshift.synth.speckle import speckle
from test_cli import quiet_logger, run, write  # noqa: F401 - a fixture

FLAT = Affine.identity()


def scene(seed: int = 0, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    """A plane of made-up ground, about 100 with a deviation of 20."""
    field = random_field(shape, 0.5, 6.0, torch.Generator().manual_seed(seed))
    return (100 + 20 * field).numpy()


def dated(seed: int, change: int, shape: tuple[int, int] = (96, 128)) -> np.ndarray:
    """The same ground with some change, bytes."""
    return (0.8 * scene(seed, shape) + 0.2 * scene(change, shape)).clip(1, 254).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two places: one on three dates, GeoTIFF; one, a PNG. A file that is no image, and notes."""
    root = tmp_path / "imagery"
    for place, count in (("fan", 3), ("dune", 1)):
        (root / place).mkdir(parents=True)
        for k in range(count):
            name = f"{place}_2020010{k + 1}"
            pixels = dated(sum(map(ord, place)), 50 + k)
            if place == "fan":
                write(root / place / f"{name}.tif", pixels)
            else:
                write(root / place / f"{name}.png", pixels, driver="PNG", crs=None, transform=FLAT)
    (root / "fan" / "SOURCE.txt").write_text("From the survey of Mars, Landsat 9; CC-BY-4.0")
    (root / "dune" / "broken.tif").write_bytes(b"II*\0 and then nothing")
    (root / "dune" / "notes.txt").write_text("not an image, and nobody expects one")
    return root


def test_packs_what_it_finds(folder: Path, tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING, "groundshift"):
        packed = pack(folder, tmp_path / "out.npz")
    dune, fan = Bank.open(tmp_path / "out.npz").stacks
    assert (fan.name, fan.scene) == ("fan/fan_20200101.tif",) * 2
    assert fan.dates == ("2020-01-01", "2020-01-02", "2020-01-03")
    assert fan.kind == dune.kind == "optical"
    assert (fan.licence, fan.sensor) == ("CC-BY-4.0", "Landsat 9")
    assert "survey of Mars" in fan.source
    assert (dune.licence, dune.source) == ("unknown", "dune")
    for k in range(3):
        expected = dated(sum(map(ord, "fan")), 50 + k)
        np.testing.assert_array_equal(fan.scales[k].values(fan.levels[k]), expected)
    ((skipped, reason),) = packed.skipped
    assert skipped == str(folder / "dune" / "broken.tif")
    assert len(reason) > 10
    assert f"left out {skipped}: {reason}" in caplog.text
    assert packed.size == (tmp_path / "out.npz").stat().st_size
    assert packed.offered == 4 * 96 * 128
    assert (tmp_path / "out.npz").stat().st_mode == (folder / "fan" / "SOURCE.txt").stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"imagery", "out.npz"}


def test_same_folder_same_bank(folder: Path, tmp_path: Path) -> None:
    first, second = (pack(folder, tmp_path / f"{n}.npz").stacks for n in "ab")
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.levels, b.levels)
        assert (a.split, a.dates, a.scales) == (b.split, b.dates, b.scales)


class TestPlaces:
    def test_other_ground_under_a_like_name_is_another_place(self, tmp_path: Path) -> None:
        root = tmp_path / "in"
        root.mkdir()
        for k in range(4):
            write(root / f"tile_{k}.png", dated(k, 50 + k), driver="PNG", crs=None, transform=FLAT)
        stacks = pack(root, tmp_path / "out.npz").stacks
        assert len(stacks) == len({stack.scene for stack in stacks}) == 4

    def test_what_is_shifted_is_no_stack_but_one_place_if_the_maps_say_so(self, tmp_path: Path):
        root = tmp_path / "in"
        root.mkdir()
        ground = dated(1, 2, (96, 160))
        for k, shift in ((1, 0), (2, 3)):
            corner = Affine(10, 0, 5e5 + 10 * shift, 0, -10, 4e6)
            pixels = ground[:, shift : shift + 128]
            write(root / f"a_2020010{k}.tif", pixels, transform=corner)
        stacks = pack(root, tmp_path / "out.npz").stacks
        assert [len(stack.dates) for stack in stacks] == [1, 1]
        assert len({stack.scene for stack in stacks}) == 1
        assert len({stack.split for stack in stacks}) == 1

    def test_bands_are_stacks_of_one_place(self, tmp_path: Path) -> None:
        root = tmp_path / "in"
        root.mkdir()
        for day in (1, 2):
            bands = np.stack([dated(k, 50 + day) for k in range(3)])
            write(root / f"a_2020010{day}.tif", bands)
        stacks = pack(root, tmp_path / "out.npz").stacks
        assert [stack.name for stack in stacks] == [f"a_20200101.tif:{k}" for k in (1, 2, 3)]
        assert [len(stack.dates) for stack in stacks] == [2, 2, 2]
        assert len({stack.scene for stack in stacks}) == 1
        chosen = pack(root, tmp_path / "one.npz", bands=[3]).stacks
        assert [len(stack.dates) for stack in chosen] == [2]
        torch.testing.assert_close(chosen[0].levels, stacks[2].levels)

    def test_copies_are_left_out(self, tmp_path: Path) -> None:
        root = tmp_path / "in"
        root.mkdir()
        for name in ("a", "b"):
            write(root / f"{name}.tif", dated(1, 2))
        packed = pack(root, tmp_path / "out.npz")
        assert len(packed.stacks) == 1
        assert "has the pixels of a.tif" in packed.skipped[0][1]

    def test_every_split_gets_something_to_see(self) -> None:
        def stack(number: int, side: int) -> Stack:
            levels = torch.ones((1, side, side), dtype=torch.uint8)
            scale = (Scale("linear", 0.0, 1.0),)
            name = str(number)
            about = ("optical", "train", "", "", "", ("d",), scale, levels)
            return Stack(name, name, *about)

        stacks = [stack(k, side) for k, side in enumerate((600, 100, 520, 800))]
        assert [s.split for s in covered(stacks)] == ["test", "train", "validation", "train"]
        assert [s.split for s in covered(stacks[2:])] == ["validation", "train"]
        assert [s.split for s in covered(stacks[3:])] == ["train"]

    def test_rims_without_data_are_cut_off(self) -> None:
        levels = np.ones((2, 20, 30), np.uint8)
        levels[0, :2, 1:] = levels[1, :, 28:] = levels[0, 7, :] = levels[1, 15:, :10] = 0
        np.testing.assert_array_equal(without_rim(levels), levels[:, 2:, :28])
        nothing = np.zeros((1, 5, 5), np.uint8)
        assert without_rim(nothing).shape == (1, 5, 5)


class TestKinds:
    def test_radar_by_name_and_speckle(self, tmp_path: Path) -> None:
        root = tmp_path / "sar"
        root.mkdir()
        grain = speckle((128, 128), 0.5, torch.Generator().manual_seed(1))
        ground = 10 ** ((scene(3, (128, 128)) - 100) / 500)
        write(root / "detected.tif", (grain.abs().numpy() * ground * 90).astype(np.uint8) + 1)
        write(root / "smooth.tif", (90 * ground).astype(np.uint8))
        write(root / "slc.tif", grain.numpy())
        stacks = pack(tmp_path, tmp_path / "out.npz").stacks
        kinds = {Path(stack.name).stem: stack for stack in stacks}
        assert kinds["detected"].kind == kinds["slc"].kind == "detected"
        assert kinds["smooth"].kind == "reflectivity"
        # Oversampled twice before detection.
        assert min(kinds["slc"].levels.shape[1:]) >= 2 * 128 - 2
        slc = kinds["slc"]
        power = float((slc.scales[0].values(slc.levels[0]) ** 2).nanmean())
        assert power == pytest.approx(float((grain.abs() ** 2).mean()), rel=0.05)

    def test_the_users_word_counts(self, folder: Path, tmp_path: Path) -> None:
        stacks = pack(folder, tmp_path / "out.npz", kind="reflectivity").stacks
        assert {stack.kind for stack in stacks} == {"reflectivity"}
        (folder / "dune" / "SOURCE.txt").write_text("kind: detected\n")
        dune, fan = pack(folder, tmp_path / "out.npz").stacks
        assert (dune.kind, fan.kind) == ("detected", "optical")

    def test_decibels_become_amplitude(self, tmp_path: Path) -> None:
        root = tmp_path / "sar"
        root.mkdir()
        decibels = (scene(3) - 115) / 10
        write(root / "vv.tif", decibels.astype(np.float32))
        (stack,) = pack(root, tmp_path / "out.npz", kind="detected").stacks
        back = 20 * torch.log10(stack.scales[0].values(stack.levels[0])).numpy()
        assert np.abs(back - decibels).max() < 0.2501

    def test_looks_of_speckle(self) -> None:
        generator = torch.Generator().manual_seed(0)
        power = sum(torch.randn((1100, 1100), generator=generator) ** 2 for _ in range(16)) / 16
        # 8 looks; the calmest tenth of the windows scatters less by chance.
        assert 8 < looks(power.sqrt().numpy()) < 12
        assert looks(np.ones((50, 50))) == np.inf


class TestSize:
    @pytest.mark.parametrize("kib", [16, 24, 30])
    def test_is_honoured(self, folder: Path, tmp_path: Path, kib: int) -> None:
        packed = pack(folder, tmp_path / "out.npz", max_size=kib * 1024)
        size = (tmp_path / "out.npz").stat().st_size
        assert 0.5 * kib * 1024 < size <= kib * 1024
        assert packed.size == size
        assert sum(stack.pixels for stack in packed.stacks) < packed.offered
        assert {stack.scene for stack in packed.stacks} == {
            "dune/dune_20200101.png", "fan/fan_20200101.tif",
        }  # fmt: skip

    def test_bands_go_before_dates_before_area(self, tmp_path: Path) -> None:
        root = tmp_path / "in"
        root.mkdir()
        for day in range(1, 5):
            dull = np.full((96, 128), 100, np.uint8)
            dull[::8] += 1
            write(root / f"a_2020010{day}.tif", np.stack([dull, dated(1, 50 + day)]))
        whole = pack(root, tmp_path / "out.npz")
        assert len(whole.stacks) == 2
        fewer = pack(root, tmp_path / "out.npz", max_size=int(0.96 * whole.size)).stacks
        assert [stack.name for stack in fewer] == ["a_20200101.tif:2"]
        assert len(fewer[0].dates) in (3, 4)
        least = pack(root, tmp_path / "out.npz", max_size=int(0.4 * whole.size)).stacks
        assert least[0].dates == ("2020-01-01", "2020-01-04")
        assert least[0].levels.shape[1] * least[0].levels.shape[2] < 96 * 128

    def test_too_small_for_anything(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(GroundshiftError, match="pass a larger size"):
            pack(folder, tmp_path / "out.npz", max_size=2048)
        assert {path.name for path in tmp_path.iterdir()} == {"imagery"}

    def test_shares(self) -> None:
        assert fair_share([1, 2, 3], [1, 1, 1], 6) == np.inf
        assert fair_share([1, 5, 9], [1, 1, 1], 9) == 4
        # Weights: the second may have twice as much.
        assert fair_share([10, 10], [1, 2], 9) == 3


class TestRefusals:
    def test_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_text("no image")
        with pytest.raises(GroundshiftError, match="no image that can be packed"):
            pack(tmp_path, tmp_path / "out.npz")

    def test_bad_arguments(self, folder: Path, tmp_path: Path) -> None:
        for arguments, error, match in (
            ((tmp_path / "none", tmp_path / "o.npz"), ImageError, "is not a folder"),
            ((folder, tmp_path / "o.zip"), OutputError, "must end in .npz"),
            ((folder, tmp_path / "no" / "o.npz"), OutputError, "does not exist"),
        ):
            with pytest.raises(error, match=match):
                pack(*arguments)
        with pytest.raises(ImageError, match="kind='sar' is not known"):
            pack(folder, tmp_path / "o.npz", kind="sar")

    def test_too_small_images_are_left_out(self, folder: Path, tmp_path: Path) -> None:
        write(folder / "tiny.tif", dated(5, 6)[:20])
        assert "128 x 20 pixels are too few" in str(pack(folder, tmp_path / "o.npz").skipped)


@pytest.mark.parametrize(
    ("text", "licence", "sensor"),
    [
        ("GitHub MIT-AI-Lab/x; MIT; Sentinel-2 B4 10 m", "MIT", "Sentinel-2"),
        ("no licence file (dataset CC-BY); Sentinel-1 GRD", "no licence file, CC-BY", "Sentinel-1"),
        ("Apache-2.0 (X, CC-BY-SA-4.0)", "Apache-2.0, CC-BY-SA-4.0", "unknown"),
        ("licence: ODbL\nsensor: drone\nMIT, NAIP", "ODbL", "drone"),
        ("", "unknown", "unknown"),
    ],
)
def test_provenance(tmp_path: Path, text: str, licence: str, sensor: str) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "SOURCE.txt").write_text(text)
    found = provenance(below / "image.tif", tmp_path)
    assert (found.licence, found.sensor) == (licence, sensor)
    (tmp_path / "a" / "SOURCE.txt").write_text("nearer; GPL-3.0")
    assert provenance(below / "image.tif", tmp_path).licence == "GPL-3.0"


class TestCommand:
    def test_says_what_was_packed(self, folder: Path, tmp_path: Path, capsys) -> None:
        assert run("pack", folder, tmp_path / "out.npz") == 0
        printed = capsys.readouterr()
        lines = [" ".join(line.split()) for line in printed.out.splitlines()]
        assert lines[0] == "optical 1 plane, 0.0123 Mpx dune (unknown)"
        assert lines[1] == "optical 3 planes, 0.0369 Mpx fan (CC-BY-4.0)"
        assert any(line.endswith("0.0492 of 0.0492 Mpx, 5.44 bits per pixel") for line in lines)
        assert "left out 1 file, see the warnings" in lines
        assert lines[-1] == f"wrote {tmp_path / 'out.npz'}"
        (warning,) = printed.err.splitlines()
        assert warning.startswith(f"groundshift: warning: left out {folder / 'dune/broken.tif'}: ")
        assert len(Bank.open(tmp_path / "out.npz").stacks) == 2

    def test_options(self, folder: Path, tmp_path: Path, capsys) -> None:
        write(folder / "rgb.tif", np.stack([dated(k, 9) for k in range(3)]), photometric="RGB")
        out = tmp_path / "out.npz"
        options = ("--max-size", "30KiB", "--band", "blue", "--kind", "detected")
        assert run("pack", folder, out, *options) == 0
        capsys.readouterr()
        assert out.stat().st_size <= 30 * 1024
        stacks = {stack.name: stack for stack in Bank.open(out).stacks}
        assert {stack.kind for stack in stacks.values()} == {"detected"}
        assert "rgb.tif" in stacks

    def test_errors_are_one_line(self, tmp_path: Path, capsys) -> None:
        assert run("pack", tmp_path / "none", tmp_path / "out.npz") == 2
        assert capsys.readouterr().err == (
            f"groundshift: error: {tmp_path / 'none'} is not a folder; pass one that holds images\n"
        )
        assert run("pack", tmp_path, tmp_path / "out.npz", "--max-size", "much") == 2
        assert "is not a size" in capsys.readouterr().err
