"""The dear matcher answers where the cheap one does not, and only there."""

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.matchers import NCC, Either, Gaussian
from groundshift.matchers.presets import default, searched, wide
from groundshift.matchers.whole import match_whole
from pairs import moved

EASY = NCC(window=24, search=6, stride=16, peak=Gaussian())
STRICT = NCC(window=24, search=6, stride=16, peak=Gaussian(), false_alarm=1e-12)
LARGE = NCC(window=48, search=6, stride=16, peak=Gaussian())


@pytest.fixture(scope="module")
def pair():
    """Half of it is worse than the other."""
    good, bad = (moved(2.3, -1.6, size=192, coherence=c, seed=3) for c in (0.95, 0.4))
    secondary = torch.cat([good.secondary[:96], bad.secondary[96:]])
    return good.reference, secondary


def test_each_answers_for_its_part(pair):
    first, other, both = (match_whole(m, *pair) for m in (STRICT, LARGE, Either(STRICT, LARGE)))
    answered = ~torch.isnan(first.dy)
    assert 0.4 < float(answered.float().mean()) < 0.7
    for found, one, two in zip(both, first, other, strict=True):
        expected = torch.where(answered, one, two)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4, equal_nan=True)
    assert int((~torch.isnan(both.dy)).sum()) > int(answered.sum()) + 30


class Counting(NCC):
    """Keeps the sizes of what it was asked."""

    def match(self, reference, secondary, prior, margin):
        self.asked.append(tuple(n - 2 * margin for n in reference.shape))
        return super().match(reference, secondary, prior, margin)


def counting():
    matcher = Counting(window=48, search=6, stride=16, peak=Gaussian())
    object.__setattr__(matcher, "asked", [])
    return matcher


def test_only_what_is_missing_costs(pair):
    dear = counting()
    match_whole(Either(EASY, dear), *moved(1.2, 0.7, coherence=0.95)[:2])
    assert dear.asked == []
    reference, secondary = pair
    match_whole(Either(STRICT, dear), reference, secondary)
    ((rows, columns),) = dear.asked
    assert rows < 192
    assert columns <= 192


def test_no_data_are_not_asked_for():
    sample = moved(1.2, 0.7, coherence=0.95)
    reference = sample.reference.clone()
    reference[64:128, 48:112] = torch.nan
    dear = counting()
    found = match_whole(Either(EASY, dear), reference, sample.secondary)
    assert dear.asked == []
    assert bool(torch.isnan(found.dy[5:7, 4:6]).all())


def test_cells_must_fit():
    with pytest.raises(MatcherError, match="use one stride for both"):
        Either(NCC(stride=8), NCC(stride=4))


@pytest.mark.parametrize("search", [4, 9, 64])
def test_the_wide_search_knows_itself(search):
    assert searched(default(search)) == search
    assert wide(search).stride == 32
    assert searched(NCC()) is None


def test_little_coherence_is_found_by_large_windows():
    sample = moved(17.0, -9.0, size=384, coherence=0.3, seed=5)
    search = wide(24)
    found = match_whole(search, sample.reference, sample.secondary)
    cheap = match_whole(search.matcher.first, sample.reference, sample.secondary)

    def right(estimate):
        error = torch.hypot(estimate.dy - 17, estimate.dx + 9)
        return float((error < 2).float().mean())

    assert right(found) > 0.8
    assert right(found) > right(cheap) + 0.3


def test_large_windows_beside_a_margin_do_not_count():
    """A stream three cells wide with a gap, whose surroundings the large window sees."""
    still, fast = (moved(0.0, dx, size=384, coherence=0.9, seed=3) for dx in (0.0, 9.0))
    secondary = still.secondary.clone()
    secondary[144:240] = fast.secondary[144:240]
    secondary[170:214, 150:202] = torch.rand(44, 52, generator=torch.Generator().manual_seed(1))
    small = NCC(window=32, search=12, stride=32, peak=Gaussian())
    large = NCC(window=288, search=12, stride=32, peak=Gaussian())
    # Cells begin at 16, so that three rows of them are the stream.
    pair = (still.reference[16:], secondary[16:])
    alone, whole, near = (
        match_whole(m, *pair).dx[5]
        for m in (small, Either(small, large), Either(small, large, 4.0))
    )
    assert float(alone[8]) == pytest.approx(9, abs=0.3)
    assert torch.isnan(alone[5])
    assert abs(float(whole[5])) < 1
    assert torch.isnan(near[5])


def test_chance_is_as_rare_as_promised():
    one, two = (moved(0, 0, size=640, seed=seed).reference for seed in (1, 2))
    for window in (32, 96):
        matcher = NCC(window=window, search=16, stride=16, peak=Gaussian(), false_alarm=0.02)
        found = match_whole(matcher, one, two)
        share = float((~torch.isnan(found.dy)).float().mean())
        assert 0.002 < share < 0.06
