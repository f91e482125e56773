"""Crops of real images of which nothing is known: what nets learn from without truth."""

import hashlib
import math
import os
from collections.abc import Callable
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from groundshift import grid, io
from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import radiometry as kinds
from groundshift.io.pack import SIDECARS
from groundshift.synth.recipe import Recipe
from groundshift.synth.stream import SENSORS, Item
from groundshift.train.numbered import Numbered
from groundshift.train.validation import samples_of

TRIES = 20
"""Crops looked at for one that both images show."""
SEEN = 0.9
"""Share of a crop's pixels that both images must show."""
KEPT = 256
"""Images that are kept open."""


class Folder(Numbered):
    """Crops of pairs of images of one place each; which ones follows from their numbers.

    Images side by side in a folder show one place, those in another folder another. Any two of a
    place make a pair, either one the reference. Images on other grids are resampled.

    Validation has truth all the same: it is on synthetic samples of the recipe.

    Parameters
    ----------
    path
        Folder of images, or of folders of them.
    recipe
        Its size is that of the crops; the rest is for validation.
    band
        Number from 1, or name, of the band of each image.
    radiometry
        What pixels mean; by default guessed for each image.
    nodata
        Value that means no data, in all images.
    start
        Number of the first crop.
    share
        Rank and number of ranks, as for :class:`groundshift.synth.stream.Stream`.

    Raises
    ------
    ImageError
        If the folder has no two images of a place, or what cannot be read.
    """

    truth = False
    """Whether samples have one."""
    taught = "images"
    """What the samples are, for the card."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        recipe: Recipe,
        *,
        band: int | str | None = None,
        radiometry: str | None = None,
        nodata: float | None = None,
        start: int = 0,
        share: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(start, share)
        self.path, self.recipe = Path(path), recipe
        self.band, self.radiometry, self.nodata = band, radiometry, nodata
        self.also: Callable[[Item], Item] | None = None
        self.places = _places(self.path)
        for place in self.places:
            for file in place:
                self._open(file)

    @property
    def size(self) -> int:
        """Pixels of a sample, each way."""
        return self.recipe.size

    @property
    def side(self) -> int:
        """Pixels that are cut of an image, each way."""
        return self.size

    @property
    def sources(self) -> list[str]:
        """What the samples are made of, one line for each place."""
        return [f"{place[0].parent.name} ({len(place)} images)" for place in self.places]

    def digest(self) -> str:
        """Identify the images by their names and sizes."""
        files = [
            (str(file.relative_to(self.path)), file.stat().st_size)
            for place in self.places
            for file in place
        ]
        told = repr((files, self.size, self.band, self.radiometry, self.nodata))
        return hashlib.sha256(told.encode()).hexdigest()

    def held(self, count: int) -> list[Item]:
        """Render samples for validation."""
        return samples_of(self.recipe, None, count)

    def looks(self, count: int) -> list[Item]:
        """Cut samples that tell what the images are like."""
        return [self._cut(index) for index in range(count)]

    def at(self, index: int) -> Item:
        """Cut a sample by its number."""
        made = self._cut(index)
        return made if self.also is None else self.also(made)

    def _cut(self, index: int) -> Item:
        rng = np.random.default_rng((self.recipe.seed, index))
        for _ in range(TRIES):
            place = self.places[rng.integers(len(self.places))]
            pairs = list(permutations(range(len(place)), 2))
            one, other = pairs[rng.integers(len(pairs))]
            images = grid.align(self._open(place[one]), self._open(place[other]), window=self.side)
            row, column = (int(rng.integers(n - self.side + 1)) for n in images[0].shape)
            square = (slice(row, row + self.side), slice(column, column + self.side))
            pixels = [_pixels(image[square]) for image in images]
            if min(float((~torch.isnan(each)).float().mean()) for each in pixels) >= SEEN:
                return self._item(pixels, images[0], index)
        raise ImageError(
            f"{TRIES} crops of {self.size} px of {self.path} have no data on a tenth of their "
            "pixels or more; write recipe: {size: ...} with less, or leave such images out"
        )

    def _open(self, file: Path) -> xr.DataArray:
        image = self._opened(file)
        if min(image.shape) < self.side:
            rows, columns = image.shape
            least = min(image.shape) * self.size // self.side
            raise GroundshiftError(
                f"{file} has {rows} x {columns} px, less than a crop of {self.side}; write recipe: "
                f"{{size: {least // 16 * 16}}} in the YAML, or leave the image out"
            )
        return image

    def _opened(self, file: Path) -> xr.DataArray:
        return _detected(file, self.band, self.radiometry, self.nodata)

    def _item(self, pixels: list[torch.Tensor], image: xr.DataArray, index: int) -> Item:
        sensor = "optical" if image.attrs.get("radiometry") == "optical" else "radar"
        images = dict(zip(("reference", "secondary"), pixels, strict=True))
        return {**self._unknown(index, sensor), **images}

    def _unknown(self, index: int, sensor: str) -> Item:
        """Say what is not known of a sample."""
        plane = torch.full((self.size, self.size), torch.nan)
        nowhere = torch.zeros_like(plane, dtype=torch.bool)
        return {
            "motion": torch.zeros(2, self.size, self.size),
            "coherence": plane,
            "valid": nowhere,
            "measurable": nowhere,
            "distance": torch.full_like(plane, math.inf),
            "bandwidth": torch.tensor(math.nan),
            "family": torch.tensor(0),
            "sensor": torch.tensor(SENSORS.index(sensor)),
            "index": torch.tensor(index),
        }


def _places(path: Path) -> list[list[Path]]:
    """Find the images of each place."""
    if not path.is_dir():
        raise ImageError(f"{path} is not a folder; pass one that holds images")
    folders = [path, *sorted(each for each in path.rglob("*") if each.is_dir())]
    found = [
        sorted(
            file
            for file in folder.iterdir()
            if file.is_file()
            and not file.name.startswith(".")
            and file.suffix.lower() not in SIDECARS
        )
        for folder in folders
    ]
    places = [files for files in found if len(files) > 1]
    if not places:
        raise ImageError(
            f"{path} has no folder with two images of one place or more; put those of each place "
            "into a folder of its own"
        )
    return places


@lru_cache(KEPT)
def _detected(
    file: Path, band: int | str | None, radiometry: str | None, nodata: float | None
) -> xr.DataArray:
    """Open an image as amplitude or brightness."""
    return kinds.detect(io.open_image(file, band=band, radiometry=radiometry, nodata=nodata))


def _pixels(image: xr.DataArray) -> torch.Tensor:
    values = image.data.compute(scheduler="synchronous")
    kind = np.complex64 if np.iscomplexobj(values) else np.float32
    return torch.from_numpy(np.ascontiguousarray(values, kind))
