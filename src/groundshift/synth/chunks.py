"""Long lists in parts: what is computed step by step is fastest while it stays in the caches."""

from collections.abc import Iterator

import torch

ON_CPU = 1 << 15
"""Elements that are worked on at once."""


def chunks(count: int, device: torch.device) -> Iterator[slice]:
    """Slices of a list of `count` elements; an accelerator takes all of them at once.

    Examples
    --------
    >>> list(chunks(40_000, torch.device("cpu")))
    [slice(0, 32768, None), slice(32768, 40000, None)]
    """
    size = ON_CPU if device.type == "cpu" else max(1, count)
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))
