"""Magma below an image."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth.dislocations import displacement
from groundshift.synth.surface_field import Frame
from groundshift.synth.volcano import Mogi, Sheet, sheet_motion, volcano


def test_mogi_is_the_limit_of_a_cube_of_cracks() -> None:
    """Three crossed sheets that open by a volume V each are a source of volume change 1.8 V.

    An isotropic point source has the moment (lambda + 2 mu) dV, three tensile cracks have
    (3 lambda + 2 mu) V in each direction: 5/3 for a Poisson solid.
    """
    spacing, depth, volume = 20.0, 3000.0, 1e6
    frame = Frame(100, 100, spacing, 0.0, 0.0)
    sheets = [
        Sheet(0, 0, depth, 60, 60, strike, dip)
        for strike, dip in ((0, 0), (0, math.pi / 2), (math.pi / 2, math.pi / 2))
    ]
    rng = np.random.default_rng(1)
    y, x = torch.from_numpy(rng.uniform(0, 99, (2, 200)))
    total = torch.zeros(2, 200, dtype=torch.float64)
    for sheet in sheets:
        total += torch.stack(sheet_motion(sheet, volume, frame)(y, x))
    mogi = Mogi((49.5, 49.5), depth, 5 / 3 * volume, spacing)
    expected = torch.stack(mogi(y, x))
    assert (total - expected).abs().max() < 2e-3 * expected.abs().max()


def test_mogi_is_largest_at_its_depth_over_root_two() -> None:
    motion = Mogi((0.0, 0.0), 2000.0, 1e7, 10.0)
    x = torch.arange(0.0, 400, dtype=torch.float64)
    dy, dx = motion(torch.zeros_like(x), x)
    assert int(dx.argmax()) == round(200 / math.sqrt(2))
    assert float(dx.max()) == pytest.approx(0.75 / math.pi * 1e7 / 2000**2 * 0.3849 / 10, rel=1e-3)
    assert dy.abs().max() == 0


@pytest.mark.parametrize("dip", [0.1, 1.4])
def test_a_sheet_is_its_triangles(dip: float) -> None:
    frame = Frame(120, 100, 30.0, 500.0, -200.0)
    sheet = Sheet(700, 100, 1500, 2000, 1800, 0.7, dip)
    motion = sheet_motion(sheet, 1e7, frame)
    mesh, opening = sheet.mesh()
    area = 2000 * 1800 / 288
    slip = torch.zeros(288, 3, dtype=torch.float64)
    slip[:, 2] = torch.from_numpy(opening) * (1e7 / (opening.sum() * area))
    rng = np.random.default_rng(2)
    y, x = rng.uniform(0, 119, 200), rng.uniform(0, 99, 200)
    exact = displacement(torch.from_numpy(frame.ground(y, x)), mesh, slip) / 30
    dy, dx = motion(torch.from_numpy(y), torch.from_numpy(x))
    scale = float(exact.abs().max())
    assert (dx - exact[:, 0]).abs().max() < 2e-3 * scale
    assert (dy + exact[:, 1]).abs().max() < 2e-3 * scale


def test_volcanoes_are_smooth_and_repeatable() -> None:
    y, x = torch.meshgrid(*2 * [torch.arange(0.0, 96, 4, dtype=torch.float64)], indexing="ij")
    for seed in range(6):
        first, second = (
            torch.stack(volcano(np.random.default_rng(seed), 96, 40.0)(y, x)) for _ in range(2)
        )
        assert torch.equal(first, second)
        assert torch.isfinite(first).all()
        assert 1e-4 < float(first.abs().max()) < 5
