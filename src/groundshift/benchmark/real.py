"""Real pairs whose displacement is known: none, or one that was made.

The images are not part of the package; a folder that holds them is given. What is known of each
pair is written here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundshift import io
from groundshift.benchmark.cases import Pair
from groundshift.io import radiometry
from groundshift.synth.motions import Constant

MARGIN = 16
"""Pixels left out along each side: the images are small."""


@dataclass(frozen=True)
class RealCase:
    """One pair of files and what it should measure."""

    table: str
    column: str
    reference: str
    """File below the folder of pairs; ``file.mat:name`` is a variable of a MATLAB file."""
    secondary: str
    kind: str
    """Radiometry."""
    dy: float = 0.0
    """Known displacement, pixels."""
    dx: float = 0.0
    bands: tuple[int, int, int, int] | None = None
    """Of a raw file of bytes: bands, rows, columns, and the one to take, from 0."""
    folder: str = ""
    """Where the files are."""
    suite: str = "real"
    pairs: int = 1

    def pair(self, split: str, number: int) -> Pair:
        """Read the pair; a real pair belongs to every split."""
        first, second = (self._pixels(name) for name in (self.reference, self.secondary))
        motion = Constant(self.dy, self.dx)
        valid = ~(torch.isnan(first) | torch.isnan(second))
        return Pair(first, second, motion, valid, MARGIN, float("nan"))

    def is_there(self) -> bool:
        """Whether both files exist."""
        files = (name.partition(":")[0] for name in (self.reference, self.secondary))
        return all((Path(self.folder) / file).exists() for file in files)

    def _pixels(self, name: str) -> Tensor:
        file, _, variable = name.partition(":")
        path = Path(self.folder) / file
        if variable:
            from scipy.io import loadmat

            pixels = loadmat(path)[variable]
        elif self.bands:
            *shape, band = self.bands
            pixels = np.fromfile(path, np.uint8).reshape(shape)[band]
        else:
            image = io.open_image(path, radiometry=self.kind)
            pixels = radiometry.detect(image).values
        return torch.from_numpy(np.ascontiguousarray(pixels, np.float32))


def _rain_forest(polarisation: str, first: str, second: str) -> RealCase:
    name = "s1_grd_amazon_4dates/Sentinel1_{}_-55.20_-4.39_2019_{}.tiff"
    before, after = (name.format(polarisation, date) for date in (first, second))
    column = f"S1 {polarisation} forest {first.replace('_', '-')}"
    return RealCase("no motion", column, before, after, "db")


def _shifted(dy: float, dx: float) -> RealCase:
    name = f"s2_medicis_subpixel/T19KER__r{dy:+.2f}c{dx:+.2f}__"
    column = f"S2 ({dy:g}, {dx:g})"
    return RealCase("known shift", column, f"{name}left.tif", f"{name}right.tif", "optical", dy, dx)


KNOWN = (
    *(
        _rain_forest(polarisation, *dates)
        for polarisation in ("VV", "VH")
        for dates in (("05_27", "06_08"), ("06_08", "06_20"), ("06_20", "07_02"))
    ),
    RealCase(
        "no motion",
        "Landsat Nanjing, 2 years",
        "landsat_pair_nanjing/LT51200382000124BJC00_Nanjing",
        "landsat_pair_nanjing/LT51200382002193BJC00_Nanjing",
        "optical",
        bands=(6, 800, 800, 3),
    ),
    RealCase(
        "no motion",
        "X-band, single look",
        "insar_pair_despeckcl/insar_test_data.mat:ampl_master",
        "insar_pair_despeckcl/insar_test_data.mat:ampl_slave",
        "amplitude",
    ),
    *(
        RealCase(
            "no motion",
            column,
            f"sar_change_pairs/{name}_1.bmp",
            f"sar_change_pairs/{name}_2.bmp",
            "amplitude",
        )
        for column, name in (("ERS-2 Bern, flood", "bern"), ("ERS-2 San Francisco", "san"))
    ),
    *(_shifted(*shift) for shift in ((0, 0.25), (0, 0.5), (0, -0.25), (0.25, 0.25))),
)
"""Sentinel-1 over rain forest, 12 days apart; a city after two years; a pair of one radar; two
of another, filtered, with a flood or water between; chips of Sentinel-2 that CNES shifted."""


def real(folder: Path) -> tuple[RealCase, ...]:
    """Cases whose files are in the folder."""
    cases = (replace(case, folder=str(folder)) for case in KNOWN)
    return tuple(case for case in cases if case.is_there())
