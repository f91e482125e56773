"""Tiles: the plan, the border between numpy and torch, the prior, and what is refused."""

import io
import pickle
import re
import sys
import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

import dask
import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from groundshift import tile
from groundshift.errors import GridError, GroundshiftError, ImageError, MatcherError
from groundshift.tile import Prior, map_pair, memory, plan
from groundshift.tile.prior import spread
from groundshift.types import Estimate
from stand_in import LocalMean

MIB = 1024**2


class Product(NamedTuple):
    product: Tensor


@dataclass(frozen=True)
class Times:
    halo = 0
    stride = 1
    period = 1

    def __call__(self, reference, secondary, prior=None) -> Product:
        return Product(reference * secondary)


class Short(LocalMean):
    def __call__(self, reference, secondary, prior=None):
        return Estimate(*(p[1:] for p in super().__call__(reference, secondary)))


class File:
    """An array that remembers what was read of it."""

    ndim = 2

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read = []

    def __getitem__(self, key):
        self.read.append(self.pixels[key].shape)
        return self.pixels[key]


class Hungry(LocalMean):
    bytes_per_pixel = 5000


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    return rng.random((2, 30, 50), np.float32)


class TestMapPair:
    def test_is_lazy_and_gives_named_float32_planes(self, pair):
        operator = LocalMean()
        planes = map_pair(operator, *pair)
        assert isinstance(planes, Estimate)
        assert operator.calls == []
        assert all(isinstance(p, da.Array) and p.dtype == np.float32 for p in planes)
        assert planes.dy.shape == (15, 25)

    def test_agrees_with_a_slow_loop(self, pair):
        operator = LocalMean(halo=2, stride=2, period=2)
        mean = map_pair(operator, *pair, tile=8).dy.compute()
        for i, j in [(0, 0), (7, 12), (14, 24), (3, 0)]:
            rows, columns = (slice(max(0, 2 * k - 2), 2 * k + 4) for k in (i, j))
            assert mean[i, j] == pytest.approx(pair[0][rows, columns].mean(), rel=1e-6)

    def test_one_call_per_tile_gives_all_planes(self, pair):
        operator = LocalMean()
        dask.compute(*map_pair(operator, *pair, tile=16), scheduler="sync")
        assert len(operator.calls) == 2 * 4

    def test_images_may_be_labelled_integers_in_odd_chunks(self, pair):
        counts = (1000 * pair).astype(np.uint16)
        labelled = [
            xr.DataArray(da.from_array(image, chunks=(7, 11)), dims=("y", "x")) for image in counts
        ]
        first, second = map_pair(LocalMean(), *labelled), map_pair(LocalMean(), *counts)
        np.testing.assert_array_equal(first.dx.compute(), second.dx.compute())

    def test_a_tile_reads_its_own_window_and_no_more(self, pair):
        """Whole chunks would stay in memory until the last tile that touches them is done."""
        file = File(pair[0])
        lazy = da.from_array(file, chunks=(30, 50), inline_array=True, meta=pair[0][:0])
        operator = LocalMean()
        dask.compute(*map_pair(operator, lazy, pair[1], tile=8), scheduler="sync")
        assert len(file.read) == len(operator.calls) == 4 * 7
        assert max(rows for rows, _ in file.read) <= 8 + 2 * operator.halo

    def test_inputs_are_left_alone_and_may_be_read_only(self, pair):
        pair.flags.writeable = False
        before = pair.copy()
        dask.compute(*map_pair(LocalMean(halo=0), *pair))
        np.testing.assert_array_equal(pair, before)

    def test_without_data_in_reach_the_operator_is_not_called(self, pair):
        pair[1, :, :24] = np.nan
        operator = LocalMean()
        planes = dask.compute(*map_pair(operator, *pair, tile=16), scheduler="sync")
        assert len(operator.calls) == 6
        assert all(np.isnan(plane[:, :8]).all() for plane in planes)
        assert np.isfinite(planes[0][:, 12:]).all()

    def test_planes_other_than_an_estimate(self, pair):
        found = map_pair(Times(), *pair)
        np.testing.assert_allclose(found.product, pair[0] * pair[1], rtol=1e-6)

    def test_runs_without_autograd(self, pair):
        modes = []

        operator = LocalMean(spy=lambda *_: modes.append(torch.is_inference_mode_enabled()))
        map_pair(operator, *pair).dy.compute()
        assert modes == [True]

    def test_a_wrong_number_of_cells_is_named(self, pair):
        with pytest.raises(MatcherError, match=r"returned a plane of \(14, 25\) cells instead of"):
            map_pair(Short(), *pair).dy.compute()

    def test_the_same_call_gives_the_same_keys(self, pair):
        lazy = [da.from_array(image) for image in pair]
        names = {map_pair(LocalMean(), *lazy, memory=m).dy.name for m in (100 * MIB, 200 * MIB)}
        assert len(names) == 1
        assert map_pair(LocalMean(halo=4), *lazy).dy.name not in names

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"stride": 3}, "period 4 must be a multiple of its stride 3"),
            ({"halo": -1}, "its halo is -1"),
            ({"halo": 2.5}, "its halo is 2.5"),
            ({"stride": 0}, "its stride is 0"),
            ({"period": True}, "its period is True"),
        ],
    )
    def test_operators_that_cannot_be_tiled(self, pair, change, message):
        with pytest.raises(MatcherError, match=message):
            map_pair(LocalMean(**change), *pair)

    def test_tile_must_be_a_multiple_of_the_period(self, pair):
        with pytest.raises(MatcherError, match=r"period 4; pass tile=8"):
            map_pair(LocalMean(), *pair, tile=10)

    def test_images_of_different_shape(self, pair):
        with pytest.raises(GridError, match=r"grid\.align"):
            map_pair(LocalMean(), pair[0], pair[1][1:])

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (np.ones((3, 4, 5)), "2-D band"),
            (np.ones((0, 5)), "2-D band"),
            (np.ones((4, 5), complex), "detect its amplitude"),
            (np.full((4, 5), "a"), "not real numbers"),
        ],
    )
    def test_what_is_not_an_image(self, image, message):
        with pytest.raises(ImageError, match=message):
            map_pair(LocalMean(), image, image)


class TestPrior:
    def test_per_pixel_reaches_the_operator_unchanged(self, pair):
        seen = {}

        dy, dx = np.random.default_rng(2).normal(size=(2, 30, 50)).astype(np.float32)
        dx[3, 4] = np.nan
        operator = LocalMean(spy=lambda *tensors: seen.update(prior=tensors[2].clone()))
        map_pair(operator, *pair, (dy, dx)).dy.compute()
        inner = seen["prior"][:, 3:-3, 3:-3].numpy()
        expected = np.where(np.isnan(dx), np.nan, [dy, dx]).astype(np.float32)
        np.testing.assert_array_equal(inner, expected)
        assert seen["prior"][:, :3].isnan().all()

    def test_cells_are_interpolated_linearly_between_their_centres(self):
        i, j = np.mgrid[:5, :6].astype(np.float32)
        rows, columns = (np.arange(4, 12) - 1.5) / 4, (np.arange(4, 20) - 1.5) / 4
        dy, dx = spread(i, 10 * j, rows, columns)
        np.testing.assert_allclose(dy, np.broadcast_to(rows[:, None], dy.shape), rtol=1e-6)
        np.testing.assert_allclose(dx, np.broadcast_to(10 * columns, dx.shape), rtol=1e-6)

    def test_a_gap_stays_as_large_as_it_is(self):
        dy = np.ones((3, 3), np.float32)
        dy[1, 1] = np.nan
        places = (np.arange(12) - 1.5) / 4
        out = spread(dy, dy, places.clip(0, 2), places.clip(0, 2))
        unknown = np.zeros((12, 12), bool)
        unknown[4:8, 4:8] = True
        np.testing.assert_array_equal(np.isnan(out[0]), unknown)
        np.testing.assert_allclose(out[0][~unknown], 1, rtol=1e-6)

    def test_cells_may_count_upward(self, pair):
        """A south-up field under a north-up image."""
        dy, dx = np.random.default_rng(3).normal(size=(2, 15, 25)).astype(np.float32)
        up = Prior.of_cells(dy, dx, 2)
        down = Prior(dy[::-1], dx[::-1], (-2, 2), (0.5 + 14 * 2, 0.5))
        one, other = (map_pair(LocalMean(), *pair, prior, tile=12) for prior in (up, down))
        np.testing.assert_allclose(one.sigma_dx, other.sigma_dx, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("prior", "message"),
        [
            ((np.ones((30, 50)), np.ones((30, 49))), "dy and dx differ"),
            ((np.ones((3, 5)), np.ones((3, 5))), "one per pixel"),
            (Prior(np.ones((3, 5)), np.ones((3, 5)), (0, 1)), "step that is not zero"),
        ],
    )
    def test_what_is_refused(self, pair, prior, message):
        with pytest.raises(GridError, match=message):
            map_pair(LocalMean(), *pair, prior)


class TestPlan:
    @pytest.fixture(autouse=True)
    def four_cores(self, monkeypatch):
        monkeypatch.setattr(memory, "cores", lambda: 4)

    def test_large_tiles_for_every_core_when_there_is_memory(self):
        assert plan((20000, 20000), LocalMean(halo=50), 8192 * MIB) == (2048, 2048, 4, 1)

    def test_the_budget_holds_and_tiles_shrink(self):
        operator = LocalMean(halo=50)
        sizes = []
        for budget in (8000 * MIB, 2000 * MIB, 500 * MIB, 100 * MIB, 20 * MIB):
            chosen = plan((20000, 20000), operator, budget)
            block = (chosen.height + 100) * (chosen.width + 100)
            assert chosen.workers * block * memory.BYTES_PER_PIXEL <= budget
            assert chosen.height % operator.period == chosen.width % operator.period == 0
            sizes.append(chosen.height * chosen.width)
        assert sizes == sorted(sizes, reverse=True)

    def test_fewer_at_once_before_tiny_tiles(self):
        chosen = plan((20000, 20000), LocalMean(halo=200), 150 * MIB)
        assert chosen.workers == 1
        assert min(chosen.height, chosen.width) > 200
        assert chosen.threads == 4

    def test_an_image_of_one_tile(self):
        assert plan((90, 50), LocalMean(halo=500), 8192 * MIB) == (92, 52, 1, 4)

    def test_an_operator_states_its_own_appetite(self):
        light, heavy = (plan((9999, 9999), op(), 1000 * MIB) for op in (LocalMean, Hungry))
        area = [each.height * each.width * each.workers for each in (heavy, light)]
        assert area[0] < area[1]

    def test_an_operator_that_needs_little_of_its_halo(self):
        """Counted by the block, most of the memory would go to a halo that is only looked at."""

        class Frugal(Hungry):
            def bytes_of(self, rows, columns):
                return self.bytes_per_pixel * rows * columns

        by_block, by_tile = (
            plan((9999, 9999), op(halo=300), 6000 * MIB) for op in (Hungry, Frugal)
        )
        area = [each.height * each.width * each.workers for each in (by_block, by_tile)]
        assert area[0] < area[1]
        needed = by_tile.workers * 5000 * by_tile.height * by_tile.width
        assert needed <= 6000 * MIB

    def test_a_wide_halo_makes_larger_tiles_worth_while(self):
        assert plan((20000, 20000), LocalMean(halo=600), 2**36).height == 3000

    def test_too_little_is_said_of_what_is_free(self, monkeypatch):
        monkeypatch.setattr(memory, "available_memory", lambda: 3 * MIB)
        with pytest.raises(GroundshiftError, match=r"the 2MiB of memory that may be used now"):
            plan((20000, 20000), LocalMean(halo=200))

    def test_a_period_above_the_largest_tile(self):
        chosen = plan((9000, 9000), LocalMean(stride=1, period=4000), 2**34)
        assert (chosen.height, chosen.width) == (4000, 4000)

    def test_strips_where_they_share_less_halo_than_squares(self, monkeypatch):
        monkeypatch.setattr(memory, "cores", lambda: 2)
        assert plan((2048, 2048), LocalMean(halo=600), 8192 * MIB) in {
            (1024, 2048, 2, 1),
            (2048, 1024, 2, 1),
        }

    def test_too_little_memory(self):
        with pytest.raises(GroundshiftError, match=r"small: LocalMean needs at least \d+MiB;"):
            plan((20000, 20000), LocalMean(halo=200), MIB)
        with pytest.raises(GroundshiftError, match="positive"):
            plan((20, 20), LocalMean(), 0)

    def test_control_group_limits_are_honoured(self, tmp_path):
        assert memory._control_group_memory(tmp_path) is None
        (tmp_path / "memory.max").write_text("1000\n")
        (tmp_path / "memory.current").write_text("700\n")
        (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
        assert memory._control_group_memory(tmp_path) == 500
        (tmp_path / "memory.max").write_text("max\n")
        assert memory._control_group_memory(tmp_path) is None

    def test_the_default_budget_is_part_of_what_is_free(self):
        assert 0 < memory.default_budget() < memory.available_memory()


class TestComputing:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_no_more_tiles_at_once_than_planned(self, pair, monkeypatch, workers):
        monkeypatch.setattr(tile, "plan", lambda *_, **__: memory.Plan(8, 8, workers, 1))
        busy, most, lock = 0, 0, threading.Lock()

        def linger(*_):
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            time.sleep(0.01)
            with lock:
                busy -= 1

        map_pair(LocalMean(spy=linger), *pair).dy.compute(scheduler="threads", num_workers=6)
        assert most == workers

    def test_torch_threads_are_shared_out_and_restored(self, pair, monkeypatch):
        monkeypatch.setattr(tile, "plan", lambda *_, **__: memory.Plan(64, 64, 1, 3))
        seen = []

        before = torch.get_num_threads()
        operator = LocalMean(spy=lambda *_: seen.append(torch.get_num_threads()))
        map_pair(operator, *pair).dy.compute(scheduler="sync")
        assert seen == [3]
        assert torch.get_num_threads() == before

    def test_a_graph_can_be_sent_to_another_process(self, pair):
        planes = map_pair(LocalMean(), *pair, tile=16)
        again = pickle.loads(pickle.dumps(planes))
        np.testing.assert_array_equal(again.dy, planes.dy)

    def test_progress_counts_tiles_up_to_the_end(self, pair, monkeypatch):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        lazy = [da.from_array(image, chunks=9) for image in pair]
        planes = map_pair(LocalMean(), *lazy, tile=16)
        with tile.computing(progress=True):
            dask.compute(*planes)
        shares = re.findall(r"(\d+)%", stream.getvalue())
        assert shares[0] == "0"
        assert shares[-1] == "100"
        assert len(shares) == 9
        assert stream.getvalue().endswith("\n")

    def test_quiet_in_a_pipe(self, pair, capsys):
        with tile.computing():
            map_pair(LocalMean(), *pair).dy.compute()
        assert capsys.readouterr() == ("", "")

    def test_devices(self):
        assert tile.resolve_device("cpu") == "cpu"
        assert tile.resolve_device("auto") in {"cpu", "cuda"}
        with pytest.raises(GroundshiftError, match="'cpu', 'cuda' or 'auto'"):
            tile.resolve_device("gpu")

    def test_a_device_that_is_not_there(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(GroundshiftError, match="pass device='cpu'"):
            tile.resolve_device("cuda")
        assert tile.resolve_device("auto") == "cpu"
