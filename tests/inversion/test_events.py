"""When the ground jumped."""

import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.inversion import Network
from groundshift.inversion.events import find_step
from groundshift.inversion.terms import Seasonal, Velocity

DATES, NOISE = 20, 0.1


def stack(jump: float, at: int, seed: int = 1) -> tuple[Network, torch.Tensor, torch.Tensor]:
    """Pairs of ground that moves steadily and jumps before date `at`, a tenth mismatched."""
    generator = torch.Generator().manual_seed(seed)
    years = torch.sort(2 * torch.rand(DATES, generator=generator, dtype=torch.float64)).values
    pairs = tuple((i, i + k) for k in (1, 2, 3) for i in range(DATES - k))
    position = 2 * years[:, None, None] * torch.randn((1, 2, 60), generator=generator).double()
    position[at:] += jump * torch.rand((1, 2, 60), generator=generator)
    i, j = torch.tensor(pairs).T
    observed = position[j] - position[i]
    observed += NOISE * torch.randn(observed.shape, generator=generator)
    wrong = torch.rand(observed[:, :1].shape, generator=generator) < 0.1
    return Network(DATES, pairs), years, torch.where(wrong, observed + 5, observed)


@pytest.mark.parametrize("at", [1, 7, 19])
def test_the_interval_of_a_jump_is_found(at: int) -> None:
    network, years, observed = stack(0.5, at)
    found = find_step(network, years, [Velocity()], observed, torch.full_like(observed, NOISE))
    assert (found.before, found.after) == (at - 1, at)
    assert float(found.gain.max()) / found.pixels > 10


def test_chance_gains_little() -> None:
    network, years, observed = stack(0.0, 7)
    found = find_step(
        network, years, [Velocity(), Seasonal()], observed, torch.full_like(observed, NOISE)
    )
    assert float(found.gain.max()) / found.pixels < 6


def test_what_cannot_be_told() -> None:
    network, years = Network(2, ((0, 1),)), torch.tensor([0.0, 1.0], dtype=torch.float64)
    observed = torch.ones((1, 2, 3), dtype=torch.float64)
    with pytest.raises(GroundshiftError, match="no pairs tell a jump"):
        find_step(network, years, [Velocity()], observed, observed)
