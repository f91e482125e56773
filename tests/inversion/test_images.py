"""What is wrong with one image in all of its pairs, against exact truth and dense algebra."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from groundshift.inversion import Network, image_noise, invert, with_images
from groundshift.inversion.fit import fit
from groundshift.inversion.system import fitted
from groundshift.inversion.terms import Seasonal, Velocity

DATES, PIXELS, NOISE = 20, 3000, 0.2
YEARS = torch.arange(DATES).double() * 0.15
NETWORK = Network(DATES, tuple((i, i + k) for k in (1, 2, 3) for i in range(DATES - k)))
GENERATOR = torch.Generator().manual_seed(1)
IMAGES = torch.rand(DATES, 2, generator=GENERATOR).double() * torch.tensor([0.5, 0.1])


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def observed(network: Network) -> Tensor:
    """Pairs of ground that rests, with noise of their own and that of their images."""
    errors = IMAGES[:, :, None] * normal(DATES, 2, PIXELS, seed=2)
    return fitted(network, errors) + NOISE * normal(len(network.pairs), 2, PIXELS, seed=3)


def seen(network: Network) -> tuple[Tensor, Tensor]:
    """What positions on ground that rests differ by, and what pairs promise."""
    pairs = observed(network)
    found = invert(network, YEARS, pairs, torch.full_like(pairs, NOISE), between=True)
    return fitted(network, found.position).std(-1), found.between[:, :, 0]


def test_the_noise_of_each_image_is_found() -> None:
    found = image_noise(NETWORK, *seen(NETWORK))
    torch.testing.assert_close(found, IMAGES, rtol=0.1, atol=0.06)


def test_pairs_that_cannot_tell_images_apart_tell_what_two_have() -> None:
    chain = Network(DATES, tuple(pairwise(range(DATES))))
    spread, promised = seen(chain)
    found = image_noise(chain, spread, promised)
    both = (found[1:] ** 2 + found[:-1] ** 2).sqrt()
    wanted = (IMAGES[1:] ** 2 + IMAGES[:-1] ** 2).sqrt()
    torch.testing.assert_close(both, wanted, rtol=0.15, atol=0.08)


def test_what_nothing_is_known_of() -> None:
    spread, promised = seen(NETWORK)
    spread[:, 1] = torch.nan
    lost = [m for m, pair in enumerate(NETWORK.pairs) if 4 in pair]
    spread[lost] = torch.nan
    found = image_noise(NETWORK, spread, promised)
    assert torch.isnan(found[:, 1]).all()
    assert float(found[4, 0]) == pytest.approx(float(IMAGES[:, 0].square().mean().sqrt()), rel=0.1)


@pytest.mark.parametrize("reference", [0, 7])
def test_sigma_of_positions_holds(reference: int) -> None:
    pairs = observed(NETWORK)
    found = invert(NETWORK, YEARS, pairs, torch.full_like(pairs, NOISE), reference=reference)
    sigma = with_images(found.sigma, IMAGES, reference)
    assert (sigma[reference] == 0).all()
    there = torch.arange(DATES) != reference
    ratio = (found.position / sigma)[there].std(-1)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.09, atol=0)
    # Pairs alone promise too much.
    assert float((found.position / found.sigma)[there].std()) > 1.5


def test_sigma_of_terms_holds_and_is_that_of_dense_algebra() -> None:
    terms = (Velocity(), Seasonal())
    pairs = observed(NETWORK)
    sigma = torch.full_like(pairs, NOISE)
    found = fit(NETWORK, YEARS, terms, pairs, sigma, noise=IMAGES, outliers=False)
    ratio = (found.value / found.sigma).std(-1)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.06, atol=0)

    i, j = NETWORK.ends()
    ends = torch.zeros(len(i), DATES).double()
    ends[range(len(i)), i], ends[range(len(i)), j] = -1.0, 1.0
    motion = torch.cat([term(YEARS) for term in terms], 1)
    design = ends @ motion
    calm = fit(NETWORK, YEARS, terms, 0 * pairs, sigma, noise=IMAGES, outliers=False)
    for c in range(2):
        whole = (
            NOISE**2 * torch.eye(len(i)).double() + ends @ torch.diag(IMAGES[:, c] ** 2) @ ends.T
        )
        weighed = design.T / whole.diagonal()
        gain = torch.linalg.solve(weighed @ design, weighed)
        wanted = (gain @ whole @ gain.T).diagonal().sqrt()
        torch.testing.assert_close(calm.sigma[:, c, 0], wanted, rtol=1e-9, atol=0)
