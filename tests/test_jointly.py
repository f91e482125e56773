"""The verb ``stack`` with a net that sees each image once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import groundshift
from groundshift import field
from groundshift.api import jointly, stacking
from groundshift.errors import MatcherError
from groundshift.matchers import NCC
from groundshift.nets import weights
from groundshift.nets.any import net_of
from groundshift.nets.regress import ERRORS
from groundshift.nets.voxelmorph import VoxelMorph, VoxelMorphConfig
from test_cli import quiet_logger, run
from test_stacking import DAYS, files, images

__all__ = ["files", "quiet_logger"]

PAIRS = 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights that do something, as of a run whose net goes without a search."""
    torch.manual_seed(0)
    net = net_of(VoxelMorphConfig(0.3, 2))
    torch.nn.init.normal_(net.flow.weight, std=0.3)
    folder = tmp_path_factory.mktemp("run")
    details = {"guess": "none", ERRORS: [(0.1, 0.4), (0.9, 0.1)]}
    weights.keep(net, folder / weights.NAME, details)
    return str(folder)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    encode = VoxelMorph.encode

    def counting(self: VoxelMorph, image: torch.Tensor, known: torch.Tensor) -> list[torch.Tensor]:
        calls.append(1)
        return encode(self, image, known)

    monkeypatch.setattr(VoxelMorph, "encode", counting)
    return calls


def test_pairs_are_those_of_track_and_each_image_is_encoded_once(
    files: list[Path], trained: str, tmp_path: Path, encoded: list[int]
) -> None:
    seen: list[stacking.Progress] = []
    opened = images(files)
    cube = groundshift.stack(opened, tmp_path / "c.zarr", trained, stride=2, report=seen.append)
    assert len(encoded) == len(DAYS)
    assert [each.done for each in seen] == list(range(1, PAIRS + 1))
    assert cube.sizes["pair"] == PAIRS
    found = {
        (str(a)[:10], str(b)[:10]): cube.isel(pair=k)
        for k, (a, b) in enumerate(
            zip(cube.reference_time.values, cube.secondary_time.values, strict=True)
        )
    }
    alone = groundshift.track(opened[1], opened[3], trained, stride=2).compute()
    together = found["2020-01-19", "2020-02-12"]
    for name in field.DISPLACEMENTS:
        np.testing.assert_allclose(together[name].values, alone[name].values, atol=0.02)
    assert float(alone.dx.isnull().mean()) < 0.5
    assert cube.attrs["matcher"] == alone.attrs["matcher"]


def test_a_stopped_run_ends_with_the_same_numbers(
    files: list[Path],
    trained: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: list[int],
) -> None:
    whole = groundshift.stack(images(files), tmp_path / "a.zarr", trained).load()
    put, calls = stacking.growing.put, []

    def stopping(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        put(*given)

    with monkeypatch.context() as patch:
        patch.setattr(stacking.growing, "put", stopping)
        with pytest.raises(KeyboardInterrupt):
            groundshift.stack(images(files), tmp_path / "b.zarr", trained)
    encoded.clear()
    found = groundshift.stack(images(files), tmp_path / "b.zarr", trained).load()
    assert len(encoded) == len(DAYS)
    xr.testing.assert_identical(found.drop_attrs(deep=False), whole.drop_attrs(deep=False))


def test_an_image_that_cannot_be_read_costs_its_pairs_only(
    files: list[Path], trained: str, tmp_path: Path
) -> None:
    names = []
    for file in files:
        names.append(tmp_path / file.name)
        names[-1].write_bytes(file.read_bytes())
    names[2].write_bytes(files[2].read_bytes()[: files[2].stat().st_size // 2])
    found = groundshift.stack(images(names), tmp_path / "cube.zarr", trained)
    assert found.sizes["pair"] == 3
    assert found.attrs["failed"] == 3


def test_what_is_fitted_to_a_pair_is_measured_pair_by_pair(trained: str) -> None:
    how = stacking.method(trained, "amplitude")
    assert jointly.can(how, None)
    assert not jointly.can(how, "shift")
    assert not jointly.can(stacking.method("auto", "amplitude"), None)
    assert not jointly.can(stacking.method(NCC(), "amplitude"), None)
    with pytest.raises(MatcherError, match="two images at once"):
        jointly.measure(
            dict.fromkeys((0, 1), xr.DataArray()), [(0, 1)], stacking.method(NCC(), "amplitude")
        )


def test_batches_have_few_images_and_every_pair_once() -> None:
    pairs = [(i, j) for i in range(40) for j in range(i + 1, min(i + 4, 40))]
    found = list(jointly.batches(pairs, 1))
    assert sorted(number for batch in found for number in batch) == list(range(len(pairs)))
    for batch in found:
        assert len({n for number in batch for n in pairs[number]}) <= jointly.IMAGES
    assert len(found) < len(pairs) / 15


def test_the_command_does_so(
    files: list[Path], trained: str, tmp_path: Path, encoded: list[int]
) -> None:
    assert run("stack", *files, tmp_path / "cube.zarr", "--matcher", trained) == 0
    assert len(encoded) == len(DAYS)
