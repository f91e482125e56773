"""Nets that regress at once: sizes as published, scales, reach, and what no data does."""

from typing import get_args

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.nets.any import NETS, Direct, config_of, net_of
from groundshift.nets.hourglass import enlarged, parameters
from groundshift.nets.microflow import MicroFlowConfig
from groundshift.nets.strainnet import StrainNetConfig

LITERATURE = [config for config, net in NETS.items() if net in get_args(Direct)]
VARIANTS = [
    *({"name": each.name} for each in LITERATURE if each is not MicroFlowConfig),
    {"name": "strainnet", "variant": "h"},
    {"name": "strainnet", "variant": "l"},
    {"name": "voxelmorph", "lags": 3},
]
PUBLISHED = {
    "flownets": (38_662_992, 4),
    "flownetsd": (45_368_392, 4),
    "geoflownet": (38_002_512, 1),
    "strainnet f": (38_662_992, 1),
    "strainnet h": (38_662_992, 2),
    "strainnet l": (672_216, 2),
    "unet": (31_054_786, 1),
    "unetpp": (36_487_074, 1),
    "ccressiam": (9_177_734, 1),
    "voxelmorph": (150498, 1),
    "voxelmorph 3": (213866, 1),
}
"""Parameters, of batch normalisation with its running statistics; and the stride. The size of
"ccressiam" and "voxelmorph" are ours."""


def config(values, width):
    return config_of({**values, "width": width})


def title(values):
    return " ".join(map(str, values.values()))


@pytest.fixture(params=VARIANTS, ids=title)
def net(request):
    torch.manual_seed(0)
    made = net_of(config(request.param, 0.02))
    heads = made.flow if isinstance(made.flow, torch.nn.ModuleList) else [made.flow]
    for head in heads:
        torch.nn.init.normal_(head.weight, std=0.1)
    # Nothing is exactly zero, so that whatever counts is seen to.
    for module in made.modules():
        if isinstance(module, torch.nn.ReLU | torch.nn.LeakyReLU):
            module.inplace = False
    return made.double().eval()


def around(net):
    """Periods that hold what a period of results can follow from."""
    return (net.reach // net.period + 2) * net.period


@pytest.mark.parametrize("values", VARIANTS, ids=title)
def test_as_published(values):
    with torch.device("meta"):
        net = net_of(config(values, 1.0))
    running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    name = title(values)
    name += " f" if name == "strainnet" else ""
    assert (parameters(net) + running, net.stride) == PUBLISHED[name]


def test_a_displacement_at_each_scale(net):
    side = 2 * net.period
    images = torch.randn(3, 2, side, side, dtype=torch.float64)
    flows = net(images, torch.ones_like(images[:, :1]))
    finest = side // net.stride
    sides = [finest >> level for level in reversed(range(len(flows)))]
    assert [tuple(flow.shape) for flow in flows] == [(3, 2, n, n) for n in sides]
    assert enlarged(flows[-1], net.stride).shape == images.shape


def test_every_weight_learns(net):
    side = 2 * net.period
    images = torch.randn(2, 2, side, side, dtype=torch.float64)
    flows = net.train()(images, torch.ones_like(images[:, :1]))
    torch.stack([flow.square().mean() for flow in flows]).sum().backward()
    assert all(each.grad is not None for each in net.parameters())
    learning = [bool(each.grad.abs().max() > 0) for each in net.parameters()]
    assert sum(learning) / len(learning) > 0.95


def test_its_reach_is_exact(net):
    period, context = net.period, around(net)
    images = torch.randn(1, 2, *(2 * (2 * context + period,)), dtype=torch.float64)
    inner = (..., *(2 * (slice(context, context + period),)))
    images.requires_grad_(requires_grad=True)
    flow = enlarged(net(images, torch.ones_like(images[:, :1]))[-1], net.stride)
    (slopes,) = torch.autograd.grad(flow[inner].sum(), images)
    where = (slopes[0].abs().amax(0) > 0).any(1).nonzero()
    before, after = context - int(where[0]), int(where[-1]) - (context + period - 1)
    # Maxima pass on one of four: the last one may not be seen.
    pooled = net.config.name.startswith("unet")
    assert net.reach - (period if pooled else 0) <= max(before, after) <= net.reach


def test_no_data_is_like_the_end_of_the_image(net):
    side = 3 * net.period
    images = torch.randn(1, 2, side, side, dtype=torch.float64)
    known = torch.ones_like(images[:, :1])
    alone = net(images, known)[-1]
    wide = torch.nn.functional.pad(images, (net.period,) * 4)
    there = torch.nn.functional.pad(known, (net.period,) * 4)
    cells = net.period // net.stride
    inner = (..., slice(cells, -cells), slice(cells, -cells))
    assert torch.allclose(net(wide, there)[-1][inner], alone, atol=1e-12)


def test_no_such_strainnet():
    with pytest.raises(MatcherError, match="pass one of f, h, l"):
        StrainNetConfig("x")


def test_microflow_is_three_of_geoflownet():
    with torch.device("meta"):
        net, shared = (net_of(MicroFlowConfig(shared=shared)) for shared in (False, True))
    assert parameters(net) == 114_007_536 == 3 * parameters(shared)
    assert len(shared.stages) == len(net.stages) == 3
    with pytest.raises(MatcherError, match="at least 1"):
        MicroFlowConfig(iterations=0)
