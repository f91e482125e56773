"""Random fields whose spectrum is a power law, for slip and for the roughness of faults."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import map_coordinates

from groundshift.synth.fields import shaped, von_karman, wavenumbers

Plane = NDArray[np.float64]
ComplexPlane = NDArray[np.complex128]


def power_law_field(
    shape: tuple[int, int],
    spacing: float,
    decay: float,
    correlation: tuple[float, float],
    rng: np.random.Generator,
) -> Plane:
    """Gaussian field with amplitude spectrum ``(1 + (k_0 a_0)^2 + (k_1 a_1)^2)^(-decay / 2)``.

    A decay of 2 is the ``k^-2`` slip of Herrero & Bernard (1994); ``1 + H`` is a self-affine
    surface of Hurst exponent ``H``, whose profiles have the power spectrum ``k^-(1 + 2H)``.

    Parameters
    ----------
    shape
        Nodes along the two axes.
    spacing
        Of the nodes, metres.
    decay
        Exponent of the amplitude at high wavenumbers.
    correlation
        Lengths ``a`` along the two axes, metres, below which the power law holds; ``k`` is
        ``2 pi`` over the wavelength.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        Zero mean and unit standard deviation, but for what is cut off a periodic field whose size
        suits the Fourier transform.
    """
    rows, columns = (int(fft.next_fast_len(n, real=True)) for n in shape)  # type: ignore[arg-type]
    white = torch.from_numpy(rng.standard_normal((rows, columns)))
    squared = wavenumbers(white, (correlation[0] / spacing, correlation[1] / spacing))
    field = shaped(white, von_karman(squared, decay)).numpy()
    return field[: shape[0], : shape[1]] / field.std()


def interpolate(field: Plane, spacing: float, first: Plane, second: Plane, order: int = 1) -> Plane:
    """Interpolate by splines at coordinates in metres; the nearest value beyond the field.

    Order 1 is bilinear; order 3 keeps the spectrum up to two thirds of what the nodes can hold.
    """
    first, second = np.broadcast_arrays(first, second)
    position = [
        np.clip(at.ravel() / spacing, 0, n - 1)
        for at, n in zip((first, second), field.shape, strict=True)
    ]
    return map_coordinates(field, position, order=order, mode="nearest").reshape(first.shape)
