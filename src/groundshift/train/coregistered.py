"""Crops of complex images with the coherence that they show: what coherence is fine-tuned on."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import interpolate, pad

from groundshift import io
from groundshift.coherent import Interferometric, Speckle
from groundshift.errors import GroundshiftError, ImageError
from groundshift.matchers.whole import run_whole
from groundshift.synth.stream import Item
from groundshift.train.folder import KEPT, Folder

WINDOW, FRINGES = 9, 21
"""Sides of the windows of the coherence, and of those in which fringes are found, pixels."""
MOVED, FARTHEST = 0.7, 1.0
"""Share of crops whose second date is shifted, and how far at most along each axis, pixels of the
complex image: twice as many of the detected one."""
EDGE = 16
"""Pixels of a detected crop that are not learned from: its ends are mirrored into each other."""


class Coregistered(Folder):
    """Crops of pairs of complex images that are co-registered, as :class:`Folder` cuts them.

    Detected as ``groundshift coherence`` detects them: oversampled by two first. Labels are the
    coherence of the complex images in windows, without fringes and corrected for its bias (Touzi et
    al. 1999), as Sica, Pulella and Schmitt (2026) learn from. Only the detected images are shifted
    against each other, so that the net need not be given co-registered ones.

    Raises
    ------
    ImageError
        If the folder has no two images of a place, or images that are not complex.
    """

    truth = True
    taught = "coregistered"

    @property
    def side(self) -> int:
        """Pixels of a crop before it is oversampled, each way."""
        return self.size // 2

    def _opened(self, file: Path) -> xr.DataArray:
        image = _complex(file, self.band, self.nodata)
        if not np.iscomplexobj(image.data):
            raise ImageError(
                f"{file} is not complex: coherence is learned from co-registered SLC; leave it "
                "out, or train on synthetic pairs"
            )
        return image

    def _item(self, pixels: list[Tensor], image: xr.DataArray, index: int) -> Item:
        one, other = pixels
        shift = _shift((self.recipe.seed, index))
        reference, secondary = detected(one, (0.0, 0.0)), detected(other, shift)
        coherence = enlarged(label(one, other))
        inner = torch.zeros_like(coherence, dtype=torch.bool)
        inner[EDGE:-EDGE, EDGE:-EDGE] = True
        return {
            **self._unknown(index, "radar"),
            "reference": reference,
            "secondary": secondary,
            "coherence": coherence,
            "valid": inner & torch.isfinite(coherence),
        }


@lru_cache(KEPT)
def _complex(file: Path, band: int | str | None, nodata: float | None) -> xr.DataArray:
    return io.open_image(file, band=band, nodata=nodata)


def label(one: Tensor, other: Tensor) -> Tensor:
    """Coherence of complex images ``(n, n)``, NaN where they have no data."""
    try:
        samples = Speckle.of(one.abs(), other.abs()).samples
    except GroundshiftError as error:
        raise ImageError("a crop shows no speckle; leave images without it out") from error
    return run_whole(Interferometric(WINDOW, samples, FRINGES), one, other).coherence


def detected(image: Tensor, shift: tuple[float, float]) -> Tensor:
    """Amplitude of a complex image ``(n, n)`` on ``(2 n, 2 n)`` samples, moved by some pixels.

    Sample ``(2 i, 2 j)`` is where pixel ``(i, j)`` was; a moved image shows at ``y + dy, x + dx``
    what was at ``y, x``. No data is NaN.
    """
    known = torch.isfinite(image.abs())
    z = torch.where(known, image, 0)
    n = z.shape[0]
    for axis, moved in enumerate(shift):
        z = z.transpose(0, 1) if axis else z
        at = torch.arange(n, dtype=torch.float64)
        turn = float((z[1:] * z[:-1].conj()).sum().angle()) / (2 * torch.pi)
        base = torch.polar(torch.ones_like(at), -2 * torch.pi * turn * at).to(z.dtype)
        f = torch.fft.fftfreq(n, dtype=torch.float64)
        lag = torch.polar(torch.full_like(f, 2.0), -2 * torch.pi * f * moved).to(z.dtype)
        spectrum = torch.fft.fftshift(torch.fft.fft(z * base[:, None], dim=0) * lag[:, None], 0)
        wide = pad(torch.view_as_real(spectrum), (0, 0, 0, 0, n // 2, n - n // 2))
        z = torch.fft.ifft(torch.fft.ifftshift(torch.view_as_complex(wide), 0), dim=0)
        z = z.transpose(0, 1) if axis else z
    there = enlarged(torch.where(known, 1.0, torch.nan))
    return torch.where(torch.isnan(there), torch.nan, z.abs()).float()


def enlarged(plane: Tensor) -> Tensor:
    """Interpolate a plane ``(n, n)`` to twice as many samples; beyond the last is like it."""
    n = plane.shape[0]
    fine = interpolate(plane[None, None], (2 * n - 1,) * 2, mode="bilinear", align_corners=True)
    return pad(fine, (0, 1, 0, 1), mode="replicate")[0, 0]


def _shift(seed: tuple[int, int]) -> tuple[float, float]:
    rng = np.random.default_rng((*seed, 1))
    if rng.random() >= MOVED:
        return 0.0, 0.0
    dy, dx = rng.uniform(-FARTHEST, FARTHEST, 2)
    return float(dy), float(dx)
