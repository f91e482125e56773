"""Least squares: exact on clean images, and a sigma that is the scatter."""

import math

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.matchers import CoarseToFine, LeastSquares, MultiWindow, default
from pairs import at_cells, inner, match, moved


def texture(size: int, seed: int) -> torch.Tensor:
    """Spectrum of a periodic image with amplitude 1/f and a point spread of 0.7 px."""
    generator = torch.Generator().manual_seed(seed)
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.fftfreq(size)[None])
    f[0, 0] = 1
    return torch.fft.fft2(torch.randn(size, size, generator=generator)) * (
        torch.exp(-2 * (math.pi * 0.7 * f) ** 2) / f
    )


def shifted(spectrum: torch.Tensor, dy: float, dx: float) -> torch.Tensor:
    size = len(spectrum)
    ky = torch.fft.fftfreq(size)[:, None]
    kx = torch.fft.fftfreq(size)[None]
    return torch.fft.ifft2(spectrum * torch.exp(-2j * math.pi * (ky * dy + kx * dx))).real


def test_clean_texture_to_two_thousandths_of_a_pixel() -> None:
    spectrum = texture(192, 1)
    images = shifted(spectrum, 0, 0), shifted(spectrum, 1.37, -2.61)
    found = match(default(search=16), *images)
    for plane, truth in ((found.dy, 1.37), (found.dx, -2.61)):
        assert (inner(plane, 10) - truth).abs().mean() < 0.002


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_sigma_is_the_scatter_whatever_the_noise(noise: float) -> None:
    spectrum = texture(256, 2)
    first, second = shifted(spectrum, 0, 0), shifted(spectrum, 0.2, 0.1)
    generator = torch.Generator().manual_seed(3)
    first, second = (
        image / image.std() + noise * torch.randn(image.shape, generator=generator)
        for image in (first, second)
    )
    prior = torch.tensor([0.2, 0.1])[:, None, None].expand(2, 256, 256)
    found = match(LeastSquares(window=28, stride=4, reach=1), first, second, prior)
    z = (inner(found.dy, 8) - 0.2) / inner(found.sigma_dy, 8)
    assert 0.8 < z[~torch.isnan(z)].std() < 1.25


def test_a_step_beyond_the_limit_is_not_taken() -> None:
    pair = moved(3.0, 0.0, size=128)
    found = match(LeastSquares(reach=4), *pair[:2])
    assert torch.isnan(found.dy).float().mean() > 0.8


def test_fused_windows_beat_each_of_them_where_motion_bends() -> None:
    from groundshift.synth import Waves, speckle_sample

    motion = Waves((1.2, 1.0), (150.0, 170.0))
    pair = speckle_sample(motion, size=320, coherence=0.8, seed=5)
    truth = at_cells(pair.dy, 4)
    prior = torch.stack([pair.dy, pair.dx])
    sides, quadratic = (12, 20, 28), (36, 52, 68)

    def error(matcher) -> float:
        found = match(matcher, pair.reference, pair.secondary, prior)
        return float((inner(found.dy, 12) - inner(truth, 12)).abs().nanmean())

    step = LeastSquares(reach=4)
    alone = min(error(LeastSquares(window=side, reach=4)) for side in (12, 20, 28, 36, 52, 68))
    assert error(MultiWindow(step, windows=sides, quadratic=quadratic)) < alone


def test_chains_follow_a_prior_as_far_as_their_reach() -> None:
    pair = moved(20.3, -15.6, size=224)
    prior = torch.tensor([20.1, -15.4])[:, None, None].expand(2, 224, 224)
    chain = CoarseToFine((LeastSquares(),) * 3, reach=24)
    found = match(chain, pair.reference, pair.secondary, prior)
    middle = inner(found.dy, 20)
    assert (middle - 20.3).abs().nanmedian() < 0.02
    assert (~torch.isnan(middle)).float().mean() > 0.95


def test_an_empty_chain_is_refused() -> None:
    with pytest.raises(MatcherError, match="at least one stage"):
        CoarseToFine(())
