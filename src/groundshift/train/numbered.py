"""Samples without end that follow from their numbers, wherever they are read."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from groundshift.synth.rendering import one_thread, settle
from groundshift.synth.stream import AHEAD, Item, own_share


class Numbered(IterableDataset[Item], ABC):
    """What is read by its number.

    Parameters
    ----------
    start
        Number of the first sample.
    share
        Rank and number of ranks, as for :class:`groundshift.synth.stream.Stream`.
    """

    def __init__(self, start: int, share: tuple[int, int] | None) -> None:
        super().__init__()
        self.start = start
        self.rank, self.ranks = own_share() if share is None else share

    @abstractmethod
    def at(self, index: int) -> Item:
        """Return a sample by its number."""

    def __iter__(self) -> Iterator[Item]:
        """Read the samples of this rank, or of one worker of it."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        index = self.start + self.rank + worker * self.ranks
        while True:
            with one_thread():
                made = self.at(index)
            yield made
            index += workers * self.ranks

    def loader(self, workers: int | None = None) -> DataLoader[Item]:
        """Return batches of one, read ahead by other processes, or in this one by 0 workers."""
        count = (os.cpu_count() or 1) if workers is None else workers
        return DataLoader(
            self,
            batch_size=1,
            num_workers=count,
            worker_init_fn=settle,
            prefetch_factor=AHEAD if count else None,
            pin_memory=torch.cuda.is_available(),
        )
