"""Whether a sample is the same whoever renders it."""

import torch

from benchmarks.report import Table, Value
from groundshift.synth.recipe import Recipe
from groundshift.synth.stream import Item, Stream

COUNT = 24
"""Samples of the default recipe: some of every sensor, most families."""
SIZE = 128


def tables() -> list[Table]:
    """Compare samples of one process with those of loaders and of streams that begin later."""
    stream = Stream(Recipe(size=SIZE), stop=COUNT)
    alone = list(stream)
    rows: list[list[Value]] = []
    for workers in (1, 2):
        loaded = [_single(batch) for batch in stream.loader(workers)]
        rows.append([f"loader of {workers}", len(loaded), _largest(alone, loaded)])
    again = list(Stream(Recipe(size=SIZE), start=COUNT // 2, stop=COUNT))
    rows.append(["begun in the middle", len(again), _largest(alone[COUNT // 2 :], again)])
    text = (
        f"The first {COUNT} samples of {SIZE} px of the default recipe without a bank, rendered "
        "in this process, against others: the largest difference of any value of any plane."
    )
    return [Table("Determinism", ("rendered by", "samples", "largest difference"), rows, text)]


def _single(batch: Item) -> Item:
    return {name: value[0] for name, value in batch.items()}


def _largest(expected: list[Item], found: list[Item]) -> float:
    """Infinite where something is known here and not there."""
    worst = 0.0
    for one, two in zip(expected, found, strict=True):
        for name, plane in one.items():
            a, b = plane.double(), two[name].double()
            same = (a == b) | (a.isnan() & b.isnan())
            difference = torch.where(same, 0.0, (a - b).abs().nan_to_num(torch.inf))
            worst = max(worst, float(difference.max()))
    return worst
