"""Which pairs a stack is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundshift.inversion.choice import annual, sequential, within
from groundshift.inversion.network import components

DAYS = st.lists(st.integers(0, 3000), min_size=2, max_size=25, unique=True).map(sorted)


@given(DAYS, st.integers(1, 5))
def test_dates_that_follow_each_other_are_all_linked(days: list[int], following: int) -> None:
    pairs = sequential(days, following)
    assert len(components(len(days), pairs)) == 1
    assert all(0 < j - i <= following for i, j in pairs)
    assert len(pairs) == sum(min(following, len(days) - 1 - i) for i in range(len(days)))


@given(DAYS, st.integers(1, 500), st.integers(0, 400))
def test_intervals_are_within_their_limits(days: list[int], longest: int, shortest: int) -> None:
    chosen = set(within(days, longest, shortest))
    for i in range(len(days)):
        for j in range(i + 1, len(days)):
            assert ((i, j) in chosen) == (shortest <= days[j] - days[i] <= longest)


@given(DAYS)
def test_annual_pairs_are_of_one_season(days: list[int]) -> None:
    for i, j in annual(days, 20):
        apart = days[j] - days[i]
        assert apart > 300
        assert min(apart % 365.25, 365.25 - apart % 365.25) <= 20


def test_two_images_of_one_moment_are_no_pair() -> None:
    assert within([0.0, 0.0, 5.0], 10) == ((0, 2), (1, 2))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((), [[0], [1], [2], [3]]),
        (((2, 3),), [[0], [1], [2, 3]]),
        (((3, 0), (1, 2)), [[0, 3], [1, 2]]),
        (((3, 0), (1, 2), (2, 3)), [[0, 1, 2, 3]]),
    ],
)
def test_components(pairs: tuple[tuple[int, int], ...], expected: list[list[int]]) -> None:
    assert components(4, pairs) == expected
