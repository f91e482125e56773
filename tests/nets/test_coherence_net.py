"""The net that tells coherence: its size, its reach, its bounds, and what it is shown."""

import pytest
import torch
from torch.nn.functional import pad

from groundshift.coherent import Learned
from groundshift.errors import MatcherError
from groundshift.nets.any import net_of
from groundshift.nets.coherence import CoherenceConfig, Regressed, regressed_loss
from groundshift.nets.hourglass import parameters
from groundshift.nets.lagged import BETWEEN, CELL, COUNT, shown
from groundshift.nets.refine import learned
from groundshift.nets.weights import NAME, keep
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire


def pair(coherence, shift=(0.0, 0.0), seed=0, size=64):
    one = torch.tensor(1.0)
    ground = Surface(one * coherence, one, one, one * 0j)
    generator = torch.Generator().manual_seed(seed)
    found = acquire(sentinel1.grd(2), ground, Constant(*shift), size, generator)
    return found.reference, found.secondary


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = net_of(CoherenceConfig(width=0.25)).double().eval()
    for name, value in made.named_parameters():
        if "layers.1.weight" in name:  # nothing to begin with, through which nothing is seen
            torch.nn.init.normal_(value, std=0.1)
    return made.requires_grad_(requires_grad=False)


def images(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        0.2 + torch.rand(2, 1, rows, columns, generator=generator, dtype=torch.float64)
    ).unbind()


def test_it_has_a_million_parameters_at_most():
    with torch.device("meta"):
        assert parameters(net_of(CoherenceConfig())) <= 1_000_000


def test_products_are_largest_at_the_shift_between_the_images():
    known = torch.ones(1, 256, 256)
    for shift in ((0, 0), (1, -2), (-2, 1)):
        reference, secondary = pair(0.95, shift, size=256)
        planes = shown(reference[None], secondary[None], known)[0]
        assert planes.shape == (COUNT, 256 // CELL, 256 // CELL)
        products, ratios, _ = planes.mean((1, 2)).split((25, 25, COUNT - 50))
        assert BETWEEN[int(products.argmax())] == BETWEEN[int(ratios.argmin())] == shift
    assert float(planes.abs().max()) < 100


def test_calibration_drops_out():
    known = torch.ones(1, 64, 64)
    reference, secondary = (image[None] for image in pair(0.7))
    one = shown(reference, secondary, known)
    other = shown(3000 * reference, 0.002 * secondary, known)
    assert torch.allclose(one, other, atol=1e-3)


def test_its_reach_is_exact(net):
    size = 2 * net.reach + 3 * net.period
    size += -size % net.period
    reference, secondary = images(size, net.period * 2)
    first = net.reach + net.period
    changed = reference.clone()
    changed[:, : first - net.reach] += 1.0
    before, after = net(reference, secondary), net(changed, secondary)
    first += -first % net.period
    assert torch.allclose(after.coherence[:, first:], before.coherence[:, first:], atol=1e-12)
    nearer = net(reference.index_add(1, torch.tensor([first - 8]), reference[:, :1]), secondary)
    assert not torch.allclose(nearer.coherence[:, first:], before.coherence[:, first:], atol=1e-9)


def test_no_data_is_like_the_end_of_the_image(net):
    reference, secondary = images(48, 64)
    alone = net(reference, secondary)
    sides = (net.period,) * 4
    wide = net(*(pad(image, sides, value=torch.nan) for image in (reference, secondary)))
    inner = (..., slice(16, -16), slice(16, -16))
    for one, other in zip(alone, wide, strict=True):
        assert torch.allclose(other[inner], one, atol=1e-12)


def test_shifted_by_a_period_the_result_is_shifted(net):
    rows = 2 * net.reach + 160
    reference, secondary = images(rows - rows % net.period, 32)
    moved = net(reference[:, net.period :], secondary[:, net.period :]).coherence
    inner = slice(net.reach + 16, net.reach + 64)
    found = net(reference, secondary).coherence[:, inner]
    start = inner.start - net.period
    assert torch.allclose(moved[:, start : start + 48], found, atol=1e-12)


def test_sigma_is_what_is_possible(net):
    found = net(*images(64, 64))
    assert bool((found.coherence > 0).all() & (found.coherence < 1).all())
    limit = found.coherence * (1 - found.coherence) + 0.011**2
    assert bool((found.sigma.square() <= limit).all())


def test_sigma_does_not_move_the_coherence():
    coherence = torch.full((1, 4, 4), 0.5, requires_grad=True)
    sigma = torch.full((1, 4, 4), 0.1, requires_grad=True)
    truth, known = torch.full((1, 4, 4), 0.8), torch.ones(1, 4, 4, dtype=torch.bool)
    truth[0, 0], known[0, 0] = torch.nan, False
    square, unlikely = regressed_loss(Regressed(coherence, sigma), truth, known)
    assert float(square.detach()) == pytest.approx(0.09)
    unlikely.backward()
    assert coherence.grad is None
    assert sigma.grad is not None
    assert float(sigma.grad.sum()) == pytest.approx(1 / 0.1 - 0.3 / 0.01, rel=1e-4)


def test_it_is_no_matcher_and_a_matcher_tells_no_coherence(tmp_path):
    keep(net_of(CoherenceConfig(width=0.2)), tmp_path / NAME, {"guess": "none"})
    with pytest.raises(MatcherError, match="use groundshift coherence"):
        _ = learned(str(tmp_path)).halo
    with pytest.raises(MatcherError, match="tells displacement"):
        _ = Learned("small").halo


@pytest.mark.parametrize("asked", [(160, 176, 160, 192), (0, 33, 301, 320), (150, 320, 0, 7)])
def test_a_part_that_is_asked_for_is_that_of_all(net, asked):
    reference, secondary = images(320, 320)
    secondary[:, 100:130, :] = torch.nan
    first, last, left, right = asked
    cuts = slice(first, last), slice(left, right)
    for one, other in zip(net(reference, secondary, cuts), net(reference, secondary), strict=True):
        assert one.shape == (1, last - first, right - left)
        assert torch.allclose(one, other[(..., *cuts)], atol=1e-12)
