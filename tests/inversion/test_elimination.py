"""One elimination for all pixels, against dense algebra."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundshift.inversion import elimination

SIZE = 9
LINKS = st.sets(
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).filter(lambda e: e[0] < e[1]),
    max_size=20,
)


def matrices(links: list[tuple[int, int]], pixels: int = 5) -> Tensor:
    """Diagonally dominant ones, ``(pixels, SIZE, SIZE)``."""
    generator = torch.Generator().manual_seed(1)
    full = torch.zeros(pixels, SIZE, SIZE, dtype=torch.float64)
    for a, b in links:
        full[:, a, b] = full[:, b, a] = torch.randn(pixels, generator=generator).double()
    return full + torch.diag_embed(full.abs().sum(-1) + 0.1)


def taken_apart(
    plan: elimination.Elimination, full: Tensor, links: list[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    diagonal = full.diagonal(dim1=1, dim2=2).T[list(plan.order)].clone()
    entries = torch.zeros(len(plan.entry), len(full), dtype=torch.float64)
    for a, b in links:
        i, j = plan.order.index(a), plan.order.index(b)
        entries[plan.entry[max(i, j), min(i, j)]] = full[:, a, b]
    return diagonal, entries


@settings(max_examples=60, deadline=None)
@given(LINKS)
def test_solution_is_that_of_dense_algebra(links: set[tuple[int, int]]) -> None:
    edges = sorted(links)
    plan = elimination.plan(SIZE, edges)
    full = matrices(edges)
    factor = elimination.factorise(plan, *taken_apart(plan, full, edges))
    right = torch.randn(len(full), SIZE, 2, generator=torch.Generator().manual_seed(2)).double()
    order = list(plan.order)
    solved = elimination.solve(factor, right.permute(1, 2, 0)[order].clone())
    expected = torch.linalg.solve(full, right).permute(1, 2, 0)[order]
    torch.testing.assert_close(solved, expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(LINKS)
def test_entries_of_the_inverse_are_those_of_dense_algebra(links: set[tuple[int, int]]) -> None:
    edges = sorted(links)
    plan = elimination.plan(SIZE, edges)
    full = matrices(edges)
    diagonal, entries = elimination.invert(
        elimination.factorise(plan, *taken_apart(plan, full, edges))
    )
    inverse = torch.linalg.inv(full)
    for place, unknown in enumerate(plan.order):
        torch.testing.assert_close(diagonal[place], inverse[:, unknown, unknown])
    for (i, j), number in plan.entry.items():
        torch.testing.assert_close(entries[number], inverse[:, plan.order[i], plan.order[j]])


def test_a_chain_fills_nothing() -> None:
    """Three dates in a row each: as many entries as links, whatever the numbering."""
    links = [(k, k + step) for step in (1, 2) for k in range(100 - step)]
    assert len(elimination.plan(100, links).entry) == len(links)


def test_what_is_not_linked_is_solved_alone() -> None:
    plan = elimination.plan(2, [])
    factor = elimination.factorise(plan, torch.full((2, 1), 4.0), torch.zeros(0, 1))
    assert elimination.solve(factor, torch.full((2, 1), 8.0)).tolist() == [[2.0], [2.0]]
