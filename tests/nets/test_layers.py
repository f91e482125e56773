"""Layers that know where there are no data."""

import torch

from groundshift.nets.layers import surrounded


def test_beyond_all_data_is_what_is_beside():
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    wide = surrounded(x, None)
    assert torch.equal(wide[..., 1:-1, 1:-1], x)
    assert torch.equal(wide[..., 0, 1:-1], x[..., 0, :])
    assert torch.equal(wide[..., -1, -1], x[..., -1, -1])
    assert torch.equal(surrounded(x, torch.ones_like(x[:, :1])), wide)


def test_what_is_constant_stays_so_around_data():
    torch.manual_seed(0)
    known = (torch.rand(1, 1, 12, 12) < 0.3).double()
    wide = surrounded(7.0 * known.expand(1, 2, 12, 12), known)
    near = torch.nn.functional.max_pool2d(torch.nn.functional.pad(known, (1,) * 4), 3, 1, 1)
    assert bool((wide[:, :, near[0, 0] > 0] - 7.0).abs().max() < 1e-12)


def test_a_place_between_two_is_their_mean():
    known = torch.tensor([[[[1.0, 0.0, 1.0]]]])
    wide = surrounded(torch.tensor([[[[2.0, 0.0, 5.0]]]]), known)
    assert wide[0, 0, 1].tolist() == [2.0, 2.0, 3.5, 5.0, 5.0]
