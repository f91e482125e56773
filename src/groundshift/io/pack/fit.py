"""Fitting places into a size: fewer bands, then fewer dates, then less area of the largest."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundshift.io.pack.middle import window
from groundshift.synth.bank import Stack
from groundshift.synth.levels import differenced

HELD_OUT = 0.25
"""Size of a place to validate or to test on, as a share of one to train on."""


def fitted(stacks: Sequence[Stack], limit: float) -> list[Stack]:
    """Reduce the largest places until the whole has the size of the limit."""
    sizes = {stack.name: plane_sizes(stack) for stack in stacks}
    stacks = _fewer_bands(stacks, {name: sum(own) for name, own in sizes.items()}, limit)
    scenes: dict[str, list[Stack]] = {}
    for stack in stacks:
        scenes.setdefault(stack.scene, []).append(stack)
    totals = [sum(sum(sizes[stack.name]) for stack in own) for own in scenes.values()]
    weights = [1.0 if own[0].split == "train" else HELD_OUT for own in scenes.values()]
    share = fair_share(totals, weights, limit)
    result = []
    for own, total, weight in zip(scenes.values(), totals, weights, strict=True):
        result += own if total <= weight * share else _reduced(own, sizes, weight * share)
    return result


def _fewer_bands(stacks: Sequence[Stack], sizes: dict[str, int], limit: float) -> list[Stack]:
    """Leave bands out, one at a time where there are most, until the rest fits."""
    images: dict[str, list[str]] = {}
    for stack in stacks:
        images.setdefault(stack.name.partition(":")[0], []).append(stack.name)
    for names in images.values():
        names.sort(key=lambda name: sizes[name], reverse=True)
    total = sum(sizes.values())
    while total > limit:
        most = max(images.values(), key=lambda names: (len(names), sizes[names[-1]]))
        if len(most) == 1:
            break
        total -= sizes[most.pop()]
    kept = {name for names in images.values() for name in names}
    return [stack for stack in stacks if stack.name in kept]


def plane_sizes(stack: Stack) -> list[int]:
    """Bytes of each plane when it is compressed."""
    return [len(zlib.compress(plane.tobytes())) for plane in differenced(stack.levels)]


def fair_share(sizes: Sequence[float], weights: Sequence[float], limit: float) -> float:
    """Most for each unit of weight when all share a limit and none gets more than it needs.

    Examples
    --------
    >>> fair_share([1, 5, 9], [1, 1, 1], limit=9)
    4.0
    """
    rest, weight_left = limit, sum(weights)
    for size, weight in sorted(zip(sizes, weights, strict=True), key=lambda one: one[0] / one[1]):
        if size / weight > rest / weight_left:
            return rest / weight_left
        rest, weight_left = rest - size, weight_left - weight
    return np.inf


def _reduced(stacks: list[Stack], sizes: dict[str, list[int]], share: float) -> list[Stack]:
    """Take away dates and then area of one place until it has its share."""
    kept = list(stacks)
    sizes = {stack.name: list(sizes[stack.name]) for stack in kept}

    def total() -> int:
        return sum(sum(sizes[stack.name]) for stack in kept)

    while (long := _longest(kept)) and total() - min(sizes[long.name]) >= share:
        middle = len(long.dates) // 2
        kept[kept.index(long)] = _without_date(long, middle)
        del sizes[long.name][middle]
    fraction = share / total()
    return [_cropped(stack, fraction) for stack in kept] if fraction < 1 else kept


def _longest(stacks: list[Stack]) -> Stack | None:
    longest = max(stacks, key=lambda stack: len(stack.dates))
    return longest if len(longest.dates) > 2 else None


def _without_date(stack: Stack, index: int) -> Stack:
    """Leave one date out."""
    keep = [k for k in range(len(stack.dates)) if k != index]
    return replace(
        stack,
        dates=tuple(stack.dates[k] for k in keep),
        scales=tuple(stack.scales[k] for k in keep),
        levels=stack.levels[keep],
    )


def _cropped(stack: Stack, fraction: float) -> Stack:
    rows, columns = window(tuple(stack.levels.shape[1:]), fraction)
    return replace(stack, levels=stack.levels[:, rows, columns])
