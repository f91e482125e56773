"""Margins, directions and gradients of flowing ground."""

import math

import pytest
import torch

from groundshift.synth.slides import Bowl, Glacier, Landslide, Linear


def at(*places: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = zip(*places, strict=True)
    return torch.tensor(y, dtype=torch.float64), torch.tensor(x, dtype=torch.float64)


def test_a_glacier_flows_along_its_bed_and_stands_at_its_margins() -> None:
    glacier = Glacier(speed=20, centre=(100, 100), direction=math.pi / 2, half_width=40)
    dy, dx = glacier(*at((50, 100), (50, 120), (50, 140), (50, 150)))
    assert dy.tolist() == pytest.approx([20, 20 * (1 - 0.5**4), 0, 0], abs=1e-9)
    assert dx.abs().max() < 1e-9


def test_a_winding_glacier_follows_its_centre_line() -> None:
    glacier = Glacier(20, (0, 0), 0.0, 40, bend=(30, 400, 0.0))
    x = torch.linspace(0, 400, 33, dtype=torch.float64)
    dy, dx = glacier(30 * torch.sin(2 * math.pi * x / 400), x)
    slope = 30 * 2 * math.pi / 400 * torch.cos(2 * math.pi * x / 400)
    torch.testing.assert_close(dy / dx, slope)
    torch.testing.assert_close(torch.hypot(dy, dx), torch.full_like(x, 20))


@pytest.mark.parametrize("margin", [0.0, 6.0])
def test_a_landslide_ends_at_its_outline(margin: float) -> None:
    slide = Landslide(5, (0, 0), 0.0, (60, 30), outline=((3, 0.1, 0.4),), shear=0.4, margin=margin)
    x = torch.linspace(-90, 90, 1801, dtype=torch.float64)
    y = torch.full_like(x, 4.0)
    dy, dx = slide(y, x)
    outside = slide.distance(y, x) > margin / 2
    assert float(dx[outside].abs().max()) == 0
    assert float(dy.abs().max()) == 0
    edge = int((slide.distance(y, x) >= 0).int().diff().nonzero()[-1])
    jump = float((dx[edge + 1] - dx[edge]).abs())
    if margin:
        assert jump < 0.1
        assert float(dx[edge]) == pytest.approx(5 * 0.6 / 2, abs=0.1)
    else:
        assert jump == pytest.approx(5 * 0.6, abs=0.02)
    assert float(slide(*at((0, 0)))[1]) == pytest.approx(5)


def test_a_bowl_pulls_to_its_middle_and_has_no_rotation() -> None:
    bowl = Bowl(2.0, (50, 60), (30, 20), direction=0.7)
    along = (math.sin(0.7) * 30, math.cos(0.7) * 30)
    dy, dx = bowl(*at((50, 60), (50 + along[0], 60 + along[1])))
    assert torch.hypot(dy, dx).tolist() == pytest.approx([0, 2.0])
    assert float(dx[1]) < 0
    y, x = torch.meshgrid(*(torch.arange(100, dtype=torch.float64),) * 2, indexing="ij")
    y.requires_grad_(), x.requires_grad_()
    dy, dx = bowl(y, x)
    (along_x,) = torch.autograd.grad(dy.sum(), x, retain_graph=True)
    (along_y,) = torch.autograd.grad(dx.sum(), y)
    torch.testing.assert_close(along_x, along_y, rtol=0, atol=1e-12)


def test_linear_motion_has_its_gradient() -> None:
    ramp = Linear(((0.01, 0.02), (0.03, -0.04)), (10, 20))
    dy, dx = ramp(*at((10, 20), (11, 20), (10, 21)))
    assert dy.tolist() == pytest.approx([0, 0.01, 0.02])
    assert dx.tolist() == pytest.approx([0, 0.03, -0.04])
