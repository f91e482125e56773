"""Training on a store: a dataset whose items are those of a stream."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from groundshift.errors import ImageError
from groundshift.io.samples.layout import MARK, attributes


class Samples(Dataset[dict[str, Tensor]]):
    """Samples of a store, those that are there: an unfinished one can be trained on.

    Items are those of :class:`groundshift.synth.stream.Stream`, with the same keys and bit for bit
    the same values. Workers of a loader read independently.

    Parameters
    ----------
    path
        A folder that ``groundshift simulate`` wrote. Xarray opens it as well:
        ``xarray.open_zarr(path)``.

    Raises
    ------
    ImageError
        When it is no store of samples.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.attributes: dict[str, Any] = attributes(self.path)
        """Recipe, versions, bank and licences."""
        if not self.attributes:
            raise ImageError(
                f"{self.path} is not a store of samples; write one with groundshift simulate"
            )
        self._places = np.flatnonzero(self._group[MARK][:] >= 0)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of what "family" numbers."""
        return tuple(self.attributes["families"])

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of what "sensor" numbers."""
        return tuple(self.attributes["sensors"])

    def table(self, name: str) -> np.ndarray:
        """Return "family", "sensor", "bandwidth" or "index" of all samples."""
        return self._group[name][:][self._places]

    def __len__(self) -> int:
        """Count the samples that are there."""
        return len(self._places)

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """Read one sample."""
        at = int(self._places[position])
        plane = {name: _tensor(array[at]) for name, array in self._group.items()}
        motion = torch.stack([plane.pop("dy"), plane.pop("dx")])
        codes = {name: plane[name].long() for name in ("family", "sensor", MARK)}
        return plane | codes | {"motion": motion}

    @cached_property
    def _group(self) -> dict[str, Any]:
        import zarr  # not above: zarr takes long to import

        group = zarr.open_group(self.path, mode="r", zarr_format=3)
        return dict(group.arrays())

    def __getstate__(self) -> dict[str, Any]:
        """Leave open arrays out: each process opens its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_group"}


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values))
