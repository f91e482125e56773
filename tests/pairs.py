"""Small synthetic pairs for the tests of matchers."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.boxes import cell_sum
from groundshift.synth import Constant, Motion, Sample, speckle, speckle_sample
from groundshift.types import Estimate, Matcher


def padded(image: Tensor, halo: int) -> Tensor:
    """Surround an image with no data, as the tiler does."""
    return pad(image, (halo,) * 4, value=torch.nan)


def match(
    matcher: Matcher, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
) -> Estimate:
    """Match whole images."""
    halo = matcher.halo
    wide = None if prior is None else padded(prior, halo)
    return matcher(padded(reference, halo), padded(secondary, halo), wide)


def at_cells(plane: Tensor, stride: int) -> Tensor:
    """Mean of a plane over the cells."""
    return cell_sum(plane, stride) / stride**2


def moved(
    dy: float, dx: float, *, size: int = 192, coherence: float = 1.0, seed: int = 1
) -> Sample:
    """Speckle moved by one displacement."""
    return speckle_sample(Constant(dy, dx), size=size, coherence=coherence, seed=seed)


def rolled(dy: int, dx: int, *, size: int = 192, seed: int = 1) -> tuple[Tensor, Tensor]:
    """A pair whose whole-pixel displacement needs no interpolation; the secondary has NaN rims."""
    field = speckle((size, size), 0.4, torch.Generator().manual_seed(seed)).abs()
    secondary = torch.full_like(field, torch.nan)
    rows = slice(max(dy, 0), size + min(dy, 0)), slice(max(-dy, 0), size + min(-dy, 0))
    columns = slice(max(dx, 0), size + min(dx, 0)), slice(max(-dx, 0), size + min(-dx, 0))
    secondary[rows[0], columns[0]] = field[rows[1], columns[1]]
    return field, secondary


def inner(plane: Tensor, cells: int) -> Tensor:
    """A plane without its outermost cells."""
    return plane[cells:-cells, cells:-cells] if cells else plane


__all__ = ["Motion", "at_cells", "inner", "match", "moved", "padded", "rolled"]
