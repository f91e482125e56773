"""Series of radar images against the law that they follow, and motion between their dates."""

import pytest
import torch

from groundshift.matchers import NCC
from groundshift.matchers.whole import match_whole
from groundshift.synth.motions import Between, Constant, Fault, Scaled, Waves, origin_of
from groundshift.synth.radar import Radar
from groundshift.synth.series import Decay, acquire_series

RADARS = {
    "oversampled": Radar(bandwidth=0.4),
    "five looks": Radar(bandwidth=0.5, window=0.73, looks=5),
    "averaged": Radar(bandwidth=0.8, fine=2, average=True),
}
DECAY = Decay(torch.tensor(0.3), torch.tensor(40.0))
DAYS = (0.0, 12.0, 12.0, 60.0)
WAVES = Waves(amplitude=(2.0, 1.5), wavelength=(90.0, 70.0))


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([(a**2).flatten(), (b**2).flatten()]))[0, 1])


@pytest.mark.parametrize("name", RADARS)
def test_any_two_dates_are_as_coherent_as_the_time_between_them_leaves(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    still = [Constant()] * len(DAYS)
    images = acquire_series(RADARS[name], torch.tensor(1.0), DECAY, DAYS, still, 384, generator)
    for i, first in enumerate(DAYS):
        for j, second in enumerate(DAYS):
            expected = float(DECAY.coherence(second - first)) ** 2
            assert correlation(images[i], images[j]) == pytest.approx(expected, abs=0.03)
    assert float((images[0] ** 2).mean()) == pytest.approx(1, abs=0.03)


def test_coherence_differs_from_place_to_place() -> None:
    n = 256 + 64
    rest = torch.zeros(n, n)
    rest[:, n // 2 :] = 0.8
    decay = Decay(rest, torch.tensor(1e-3))
    still = [Constant(), Constant()]
    generator = torch.Generator().manual_seed(2)
    a, b = acquire_series(Radar(), torch.tensor(1.0), decay, (0.0, 12.0), still, 256, generator)
    assert correlation(a[:, :112], b[:, :112]) == pytest.approx(0, abs=0.04)
    assert correlation(a[:, 144:], b[:, 144:]) == pytest.approx(0.64, abs=0.05)


def test_motion_between_dates_leads_from_the_one_to_the_other() -> None:
    y, x = torch.meshgrid(*[torch.arange(20.0, 100.0, 7.0, dtype=torch.float64)] * 2, indexing="ij")
    first, second = WAVES, Scaled(WAVES, 2.5)
    dy, dx = Between(first, second)(y, x)
    before = origin_of(first, y, x)
    after = origin_of(second, y + dy, x + dx)
    for a, b in zip(before[:2], after[:2], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    for a, b in zip(Between(Constant(), second)(y, x), second(y, x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-8)


def test_motion_between_dates_knows_where_either_jumps() -> None:
    y, x = torch.meshgrid(*[torch.arange(0.0, 60.0, 4.0, dtype=torch.float64)] * 2, indexing="ij")
    fault = Fault(slip=1.0, centre=(30.0, 30.0), strike=0.0)
    for motion in (Between(Constant(0.0, 2.0), fault), Between(fault, Constant())):
        assert float(motion.distance(y, x).min()) <= 2
    moved = Between(Constant(0.0, 2.0), fault).distance(y, x)
    torch.testing.assert_close(moved, (x - 32).abs())


def test_images_move_as_said() -> None:
    waves = Waves(amplitude=(2.0, 1.5), wavelength=(400.0, 300.0))
    motions = [Scaled(waves, factor) for factor in (0.5, 1.0, 1.5)]
    decay = Decay(torch.tensor(0.95), torch.tensor(100.0))
    generator = torch.Generator().manual_seed(3)
    images = acquire_series(
        Radar(), torch.tensor(1.0), decay, (0.0, 6.0, 12.0), motions, 256, generator
    )
    stride = 8
    found = match_whole(NCC(window=32, search=4, stride=stride), images[0], images[2])
    at = torch.arange(32, dtype=torch.float64) * stride + (stride - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    truth = Between(motions[0], motions[2])(y, x)
    for own, true in zip((found.dy, found.dx), truth, strict=True):
        error = (own - true).abs()[4:-4, 4:-4]
        assert float(error.nanmedian()) < 0.06


def test_what_comes_from_outside_is_no_data() -> None:
    generator = torch.Generator().manual_seed(4)
    still, gone = Constant(), Constant(0.0, 100.0)
    _, image = acquire_series(
        Radar(), torch.tensor(1.0), DECAY, (0.0, 12.0), (still, gone), 128, generator
    )
    assert bool(torch.isnan(image[:, :64]).all())
    assert not bool(torch.isnan(image[:, 80:]).any())
