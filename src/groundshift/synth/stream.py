"""Samples without end for training, on the CPU beside it or on the GPU in its own process.

The order of the samples does not depend on who renders them: one process or several workers give
the same batches, and training that stopped goes on with the next number, bit for bit.

>>> from groundshift.synth.recipe import Recipe
>>> stream = Stream(Recipe(size=32), batch=2, stop=4)
>>> for batch in stream.loader(workers=0):
...     print(batch["index"].tolist(), tuple(batch["motion"].shape))
[0, 1] (2, 2, 32, 32)
[2, 3] (2, 2, 32, 32)
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from groundshift.errors import GroundshiftError
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import Draw, Recipe, draw
from groundshift.synth.rendering import one_thread, settle

SENSORS = ("radar", "optical")
AHEAD = 4
"""Batches that each worker renders ahead of the training."""

Item = dict[str, Tensor]
"""One sample, or a batch with one more dimension in front.

``reference``, ``secondary``
    Amplitude or brightness, float32 ``(H, W)``.
``motion``
    True displacement, float32 ``(2, H, W)``: ``dy`` first, pixels.
``coherence``
    float32 ``(H, W)``; NaN for optical images.
``valid``
    bool ``(H, W)``: ground that both dates show, in full light.
``measurable``
    bool ``(H, W)``: ground that both dates show, and enough of what they have in common.
``distance``
    float32 ``(H, W)``: to the nearest jump of the motion, pixels; infinite without one.
``bandwidth``
    float32 scalar: of the radar, cycles per pixel; NaN for optical images.
``family``, ``sensor``
    int64 scalars: positions in `Stream.families` and `SENSORS`.
``index``
    int64 scalar: number of the sample in its recipe.
"""


class Stream(IterableDataset[Item]):
    """Samples of a recipe, or of several one after the other, in the order of their numbers.

    Parameters
    ----------
    recipe
        What to draw; or, as a curriculum, pairs of the number from which on a recipe holds and the
        recipe, in order and from 0.
    bank
        Texture of real images.
    start, stop
        First number, and the one after the last; without a `stop` there is no end.
    batch
        Consecutive numbers that stay together: the batch size of the loader. Of several ranks,
        rank ``r`` has the batches ``r``, ``r + ranks``, ...; of several workers of a rank, each
        has every so many of these, and the loader takes them in turn.
    device
        Where to render.
    also
        Applied to each sample where it is rendered, for example to add what a search finds.
    share
        Rank and number of ranks; by default as ``torch.distributed`` has them, or as RANK and
        WORLD_SIZE of the environment say.

    Notes
    -----
    After ``n`` batches on each rank, training goes on with ``start + n * ranks * batch``.
    """

    def __init__(
        self,
        recipe: Recipe | Sequence[tuple[int, Recipe]],
        bank: Bank | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        batch: int = 1,
        device: torch.device | str = "cpu",
        also: Callable[[Item], Item] | None = None,
        share: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.phases = ((0, recipe),) if isinstance(recipe, Recipe) else tuple(recipe)
        self.device = torch.device(device)
        self.bank = None if bank is None else bank.to(self.device)
        self.start, self.stop, self.batch, self.also = start, stop, batch, also
        self.rank, self.ranks = own_share() if share is None else share
        _check(self.phases, start, batch)
        if not 0 <= self.rank < self.ranks:
            raise GroundshiftError(
                f"rank {self.rank} of {self.ranks} does not exist; ranks count from 0"
            )

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families of motion: what numbers under "family" mean."""
        return families_of(*(recipe for _, recipe in self.phases))

    def recipe_at(self, index: int) -> Recipe:
        """Return the recipe that holds for a number."""
        return next(recipe for first, recipe in reversed(self.phases) if first <= index)

    def __iter__(self) -> Iterator[Item]:
        """Render the samples of this rank, or of one worker of it."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        if info is not None and self.device.type != "cpu":
            raise GroundshiftError(
                f"workers of a loader cannot render on {self.device}; pass workers=0, or "
                "device='cpu'"
            )
        families, step = self.families, self.batch * self.ranks
        first = self.start + self.rank * self.batch + worker * step
        while self.stop is None or first < self.stop:
            last = first + self.batch
            for index in range(first, last if self.stop is None else min(last, self.stop)):
                with one_thread():
                    found = draw(self.recipe_at(index), index, self.bank, self.device)
                    sample = item(found, index, families)
                    made = sample if self.also is None else self.also(sample)
                yield made
            first += workers * step

    def loader(self, workers: int | None = None) -> DataLoader[Item]:
        """Return batches, rendered ahead in other processes, or in this one by 0 workers.

        By default as many workers as there are processors, and none where a GPU renders.
        """
        if workers is None:
            workers = 0 if self.device.type != "cpu" else os.cpu_count() or 1
        return DataLoader(
            self,
            batch_size=self.batch,
            num_workers=workers,
            worker_init_fn=settle,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=self.device.type == "cpu" and torch.cuda.is_available(),
        )


def item(found: Draw, index: int, families: Sequence[str]) -> Item:
    """Turn a sample into tensors that collate into batches."""
    sample = found.sample
    device = sample.reference.device
    return {
        "reference": sample.reference,
        "secondary": sample.secondary,
        "motion": torch.stack([sample.dy, sample.dx]),
        "coherence": sample.coherence,
        "valid": sample.valid,
        "measurable": sample.measurable,
        "distance": sample.distance,
        "bandwidth": torch.tensor(sample.bandwidth, dtype=torch.float32, device=device),
        "family": torch.tensor(families.index(found.family), device=device),
        "sensor": torch.tensor(SENSORS.index(found.sensor), device=device),
        "index": torch.tensor(index, device=device),
    }


def families_of(*recipes: Recipe) -> tuple[str, ...]:
    """Names of all families of some recipes, in their order."""
    return tuple(dict.fromkeys(name for recipe in recipes for name, _ in recipe.motions))


def own_share() -> tuple[int, int]:
    """Return the rank of this process and the number of ranks."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _check(phases: Sequence[tuple[int, Recipe]], start: int, batch: int) -> None:
    if start < 0 or batch < 1:
        raise GroundshiftError(
            f"start={start} and batch={batch}: pass start=0 or more and batch=1 or more"
        )
    firsts = [first for first, _ in phases]
    if not firsts or firsts[0] != 0 or firsts != sorted(set(firsts)):
        raise GroundshiftError(
            f"recipes that begin at {firsts} are no curriculum; begin at 0 and go up"
        )
    for (_, before), (first, recipe) in pairwise(phases):
        if recipe.size != before.size and (first - start) % batch:
            raise GroundshiftError(
                f"a batch cannot hold {before.size} and {recipe.size} px; let the recipe change at "
                f"a multiple of batch={batch} from start={start}"
            )
