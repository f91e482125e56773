"""Other people's matchers behind our contract, for ``groundshift benchmark``.

They are global methods: any cut of the image changes their result, so that they see whole images
and are never tiled. What they report at nodes of their own is interpolated linearly to the centres
of cells of about their spacing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from benchmarks import methods
from benchmarks.methods import Measured, Method
from groundshift.types import Estimate

PACKAGES = ("opencv-python-headless", "scikit-image", "OpenPIV", "al-dic")
"""Whose versions belong to the results."""


@dataclass(frozen=True)
class _Peer(ABC):
    """A method that sees whole images."""

    @property
    def halo(self) -> int:
        """Whole images need no context."""
        return 0

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return 4

    @property
    def period(self) -> int:
        """Of the cells only: whole images are never shifted."""
        return self.stride

    @abstractmethod
    def method(self) -> Method:
        """Give the method itself."""

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Match whole images; holes are filled with the mean, which none of them understands."""
        filled = (torch.where(i.isnan(), i.nanmean(), i) for i in (reference, secondary))
        return _on_cells(self.method()(*filled), reference.shape, self.stride)


@dataclass(frozen=True)
class DIS(_Peer):
    """OpenCV, dense inverse search."""

    finest: int | None = 0
    """Finest scale; None for the preset MEDIUM as it is."""

    def method(self) -> Method:
        """Give the method itself."""
        return methods.dis(self.finest)


@dataclass(frozen=True)
class Farneback(_Peer):
    """OpenCV, polynomial expansion."""

    window: int = 21

    def method(self) -> Method:
        """Give the method itself."""
        return methods.farneback(self.window)


@dataclass(frozen=True)
class ILK(_Peer):
    """scikit-image, iterative Lucas-Kanade."""

    radius: int = 9

    def method(self) -> Method:
        """Give the method itself."""
        return methods.ilk(self.radius)


@dataclass(frozen=True)
class Phase(_Peer):
    """scikit-image, phase correlation of Hann windows."""

    window: int = 64

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return 32

    def method(self) -> Method:
        """Give the method itself."""
        return methods.windowed_phase(self.window, 32)


@dataclass(frozen=True)
class OpenPIV(_Peer):
    """Multi-pass window deformation."""

    windows: tuple[int, ...] = (64, 32, 32)

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return 8

    def method(self) -> Method:
        """Give the method itself."""
        return methods.openpiv(self.windows, (*(w // 2 for w in self.windows[:-1]), 8))


@dataclass(frozen=True)
class ALDIC(_Peer):
    """pyALDIC, augmented-Lagrangian image correlation."""

    search: int = 10

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return 16

    def method(self) -> Method:
        """Give the method itself."""
        return methods.aldic(search=self.search)


def _on_cells(found: Measured, shape: torch.Size, stride: int) -> Estimate:
    """Interpolate nodes to the centres of cells, from what is known; NaN outside of the nodes."""
    rows, columns = ((np.arange(n // stride) + 0.5) * stride - 0.5 for n in shape)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    grid = found.y.astype(float), found.x.astype(float)

    def on(plane: np.ndarray) -> torch.Tensor:
        known = ~np.isnan(plane)
        value, share = (
            RegularGridInterpolator(grid, part, bounds_error=False, fill_value=np.nan)(at)
            for part in (np.where(known, plane, 0.0), known.astype(float))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return torch.from_numpy(np.where(share > 0.5, value / share, np.nan)).float()

    unknown = torch.full((len(rows), len(columns)), torch.nan)
    return Estimate(on(found.dy), on(found.dx), unknown, unknown, unknown)
