"""The second image taken from where it fits the first, to a whole pixel."""

import pytest
import torch

from groundshift.coherent import Learned
from groundshift.coherent.settled import CONTEXT, SIDE, settled
from groundshift.matchers.whole import run_whole
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire

SIZE = 256


def pair(
    coherence: float, dy: float, dx: float, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sentinel-1 GRD of uniform ground, the second date shifted."""
    one = torch.tensor(1.0)
    ground = Surface(torch.tensor(coherence), one, one, one * 0j)
    generator = torch.Generator().manual_seed(seed)
    made = acquire(sentinel1.grd(), ground, Constant(dy, dx), SIZE, generator)
    return made.reference, made.secondary


@pytest.mark.parametrize(("dy", "dx"), [(0, 2), (-1, 1), (2, -2)])
def test_a_shift_by_whole_pixels_is_undone(dy: int, dx: int) -> None:
    reference, secondary = pair(0.8, 0.0, 0.0)
    moved = torch.roll(secondary, (dy, dx), (0, 1))
    back = settled(reference, moved)
    inner = (slice(SIDE, -SIDE),) * 2
    assert torch.equal(back[inner], secondary[inner])


def test_what_fits_or_shares_nothing_stays() -> None:
    reference, secondary = pair(0.9, 0.0, 0.0)
    assert torch.equal(settled(reference, secondary), secondary)
    reference, secondary = pair(0.0, 0.0, 0.0)
    assert (settled(reference, secondary) == secondary).float().mean() > 0.9


def test_no_data_stays_no_data() -> None:
    reference, secondary = pair(0.9, 0.0, 2.0)
    secondary[40:60, 50:70] = torch.nan
    back = settled(reference, secondary)
    assert torch.isnan(back[42:58, 50:66]).all()
    assert torch.isfinite(back[SIDE : 40 - 4, SIDE:-SIDE]).all()


def test_places_depend_on_what_is_near_alone() -> None:
    reference, secondary = pair(0.7, 0.0, 1.6)
    whole = settled(reference, secondary)
    cut = slice(SIDE * 2, SIDE * 14)
    part = settled(reference[cut, cut], secondary[cut, cut])
    edge = -(-CONTEXT // SIDE) * SIDE
    inner = slice(edge, -edge)
    assert part[inner, inner].numel()
    assert torch.equal(part[inner, inner], whole[cut, cut][inner, inner])


def test_the_net_loses_nothing_by_two_pixels() -> None:
    means = [
        float(run_whole(Learned(), *pair(0.8, 0.0, shift)).coherence.nanmean())
        for shift in (0.0, 2.0)
    ]
    assert means[1] == pytest.approx(means[0], abs=0.03)
