"""The FlowNet family: sizes as published, scales, reach, and what no data does."""

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.nets.flownets import FlowNetS, FlowNetSConfig
from groundshift.nets.flownetsd import FlowNetSD, FlowNetSDConfig
from groundshift.nets.geoflownet import GeoFlowNet, GeoFlowNetConfig
from groundshift.nets.hourglass import enlarged, parameters
from groundshift.nets.strainnet import StrainNet, StrainNetConfig

NARROW = {
    "flownets": lambda width: FlowNetS(FlowNetSConfig(width)),
    "flownetsd": lambda width: FlowNetSD(FlowNetSDConfig(width)),
    "geoflownet": lambda width: GeoFlowNet(GeoFlowNetConfig(width)),
    "strainnet-f": lambda width: StrainNet(StrainNetConfig("f", width)),
    "strainnet-h": lambda width: StrainNet(StrainNetConfig("h", width)),
    "strainnet-l": lambda width: StrainNet(StrainNetConfig("l", width)),
}
PUBLISHED = {
    "flownets": (38_662_992, 4),
    "flownetsd": (45_368_392, 4),
    "geoflownet": (38_002_512, 1),
    "strainnet-f": (38_662_992, 1),
    "strainnet-h": (38_662_992, 2),
    "strainnet-l": (672_216, 2),
}


@pytest.fixture(params=NARROW)
def net(request):
    torch.manual_seed(0)
    made = NARROW[request.param](0.02)
    for head in made.flow:
        torch.nn.init.normal_(head.weight, std=0.1)
    return made.double()


@pytest.mark.parametrize("name", NARROW)
def test_as_published(name):
    with torch.device("meta"):
        net = NARROW[name](1.0)
    assert (parameters(net), net.plan.stride) == PUBLISHED[name]


def test_a_displacement_at_each_scale(net):
    side = 2 * net.plan.period
    images = torch.randn(3, 2, side, side, dtype=torch.float64)
    flows = net(images, torch.ones_like(images[:, :1]))
    finest = side // net.plan.stride
    sides = [finest >> level for level in reversed(range(len(flows)))]
    assert [tuple(flow.shape) for flow in flows] == [(3, 2, n, n) for n in sides]
    assert enlarged(flows[-1], net.plan.stride).shape == images.shape


def test_every_weight_learns(net):
    side = 2 * net.plan.period
    images = torch.randn(1, 2, side, side, dtype=torch.float64)
    flows = net(images, torch.ones_like(images[:, :1]))
    torch.stack([flow.square().mean() for flow in flows]).sum().backward()
    assert all(float(each.grad.abs().max()) > 0 for each in net.parameters())


def test_its_reach_is_exact(net):
    period = net.plan.period
    context = (net.plan.reach // period + 2) * period
    images = torch.randn(1, 2, *(2 * (2 * context + period,)), dtype=torch.float64)
    inner = (..., *(2 * (slice(context, context + period),)))
    images.requires_grad_(requires_grad=True)
    flow = enlarged(net(images, torch.ones_like(images[:, :1]))[-1], net.plan.stride)
    (slopes,) = torch.autograd.grad(flow[inner].sum(), images)
    where = (slopes[0].abs().amax(0) > 0).any(1).nonzero()
    before, after = context - int(where[0]), int(where[-1]) - (context + period - 1)
    assert net.plan.reach == max(before, after)


def test_no_data_is_like_the_end_of_the_image(net):
    side = 3 * net.plan.period
    images = torch.randn(1, 2, side, side, dtype=torch.float64)
    known = torch.ones_like(images[:, :1])
    alone = net(images, known)[-1]
    wide = torch.nn.functional.pad(images, (net.plan.period,) * 4)
    there = torch.nn.functional.pad(known, (net.plan.period,) * 4)
    cells = net.plan.period // net.plan.stride
    inner = (..., slice(cells, -cells), slice(cells, -cells))
    assert torch.allclose(net(wide, there)[-1][inner], alone, atol=1e-12)


def test_no_such_strainnet():
    with pytest.raises(MatcherError, match="pass one of f, h, l"):
        StrainNetConfig("x")
