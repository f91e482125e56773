"""What is compared: every method maps two images to displacements at nodes of its own choice."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from groundshift.matchers import NCC
from groundshift.matchers.whole import match_whole
from groundshift.matchers.windows import Window
from groundshift.types import Estimate, Matcher

Plane = NDArray[np.float32]


class Measured(NamedTuple):
    """Displacements at the nodes ``(y, x)``; planes of shape ``(len(y), len(x))``, NaN unknown."""

    y: Plane
    x: Plane
    dy: Plane
    dx: Plane
    sigma_dy: Plane | None = None
    sigma_dx: Plane | None = None


Method = Callable[[Tensor, Tensor], Measured]


def cells(estimate: Estimate, stride: int) -> Measured:
    """Place the planes of a matcher at the centres of its cells."""
    y, x = ((np.arange(n, dtype=np.float32) + 0.5) * stride - 0.5 for n in estimate.dy.shape)
    return Measured(y, x, *(plane.numpy() for plane in estimate[:4]))


def matched(matcher: Matcher) -> Method:
    """Run a matcher on whole images."""

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        return cells(match_whole(matcher, reference, secondary), matcher.stride)

    return method


def fixed_windows(
    windows: tuple[int, ...], size: int, search: int, stride: int = 8
) -> dict[int, Method]:
    """Plain NCC with an exact peak and every result kept, one method per window.

    The windows share their sums of products: the first to meet a pair pays for all. Only where the
    largest window lies inside the image of `size` pixels.
    """
    matcher = NCC(window=max(windows), search=search, stride=stride, false_alarm=1.0)
    sides = tuple(Window(window) for window in windows)
    halo = matcher.halo_of(sides)
    first = -(-halo // stride) * stride
    before, after = first - halo, first + (size - first - halo) // stride * stride + halo
    done: dict[int, tuple[Tensor, list[Estimate]]] = {}

    def estimates(reference: Tensor, secondary: Tensor) -> list[Estimate]:
        if id(secondary) not in done:
            inner = (image[before:after, before:after] for image in (reference, secondary))
            # Kept with its image, so that no other image can get the same id.
            done[id(secondary)] = secondary, matcher.match_windows(*inner, None, halo, sides)
        return done[id(secondary)][1]

    def of(index: int) -> Method:
        def method(reference: Tensor, secondary: Tensor) -> Measured:
            found = cells(estimates(reference, secondary)[index], stride)
            return found._replace(y=found.y + first, x=found.x + first)

        return method

    return {window: of(index) for index, window in enumerate(windows)}


def dis(finest: int | None = None, descent: int = 25, refinement: int = 10) -> Method:
    """Dense inverse search of OpenCV: preset MEDIUM, or all settings given."""
    import cv2

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        if finest is not None:
            flow.setFinestScale(finest)
            flow.setGradientDescentIterations(descent)
            flow.setVariationalRefinementIterations(refinement)
        first, second = _bytes(reference, secondary)
        found = flow.calc(first, second, None)
        return _dense(found[..., 1], found[..., 0])

    return method


def farneback(window: int = 21) -> Method:
    """Polynomial expansion of OpenCV (Farneback 2003), five levels."""
    import cv2

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        first, second = _bytes(reference, secondary)
        found = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
            first, second, None, 0.5, 5, window, 10, 7, 1.5, cv2.OPTFLOW_FARNEBACK_GAUSSIAN
        )
        return _dense(found[..., 1], found[..., 0])

    return method


def ilk(radius: int = 9, warps: int = 5) -> Method:
    """Iterative Lucas-Kanade of scikit-image."""
    from skimage.registration import optical_flow_ilk

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        first, second = _units(reference, secondary)
        dy, dx = optical_flow_ilk(first, second, radius=radius, num_warp=warps)
        return _dense(dy, dx)

    return method


def windowed_phase(window: int = 64, step: int = 32, upsample: int = 64) -> Method:
    """Phase correlation of scikit-image in Hann windows."""
    from skimage.registration import phase_cross_correlation

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        taper = np.hanning(window + 1)[:-1]
        taper = (taper[:, None] * taper).astype(np.float32)
        a, b = (
            sliding_window_view(image.numpy(), (window, window))[::step, ::step]
            for image in (reference, secondary)
        )
        shift = np.empty((*a.shape[:2], 2), np.float32)
        for i, j in np.ndindex(shift.shape[:2]):
            first, second = ((w - w.mean()) * taper for w in (a[i, j], b[i, j]))
            shift[i, j] = phase_cross_correlation(second, first, upsample_factor=upsample)[0]
        y, x = (np.arange(n, dtype=np.float32) * step + window / 2 for n in a.shape[:2])
        return Measured(y, x, shift[..., 0], shift[..., 1])

    return method


def openpiv(
    windows: tuple[int, ...] = (64, 32, 32), steps: tuple[int, ...] = (32, 16, 8)
) -> Method:
    """Multi-pass window deformation of OpenPIV; vectors that it flags count as unknown."""
    from openpiv import windef

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        settings = windef.PIVSettings()
        settings.windowsizes = windows
        settings.overlap = tuple(w - s for w, s in zip(windows, steps, strict=True))
        settings.num_iterations = len(windows)
        settings.deformation_method = "second image"
        settings.show_all_plots = False
        first, second = (image.astype(np.int32) for image in _bytes(reference, secondary))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y, u, v, flags = windef.simple_multipass(first, second, settings)
        # Its y axis points up.
        dx, dy = (np.where(flags > 0, np.nan, plane).astype(np.float32) for plane in (u, -v))
        return Measured(y[::-1, 0], x[0], dy, dx)

    return method


def aldic(window: int = 32, step: int = 16, search: int = 10) -> Method:
    """Augmented-Lagrangian digital image correlation of pyALDIC."""
    from al_dic.core.config import dicpara_default
    from al_dic.core.data_structures import GridxyROIRange
    from al_dic.core.pipeline import run_aldic

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        rows, columns = reference.shape
        settings = dicpara_default(
            winsize=window,
            winstepsize=step,
            size_of_fft_search_region=search,
            reference_mode="accumulative",
            gridxy_roi_range=GridxyROIRange((0, columns - 1), (0, rows - 1)),
            img_size=(rows, columns),
            show_plots=False,
        )
        images = [image.astype(np.float64) for image in _units(reference, secondary)]
        whole = [np.ones_like(images[0])] * 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = run_aldic(settings, images, whole, compute_strain=False)
        at = found.dic_mesh.coordinates_fem
        x, column = np.unique(at[:, 0], return_inverse=True)
        y, row = np.unique(at[:, 1], return_inverse=True)
        dy, dx = (np.full((len(y), len(x)), np.nan, np.float32) for _ in range(2))
        move = found.result_disp[0].U_accum
        dx[row, column], dy[row, column] = move[0::2], move[1::2]
        return Measured(y.astype(np.float32), x.astype(np.float32), dy, dx)

    return method


def peers(search: int = 10) -> dict[str, Method]:
    """Every peer that installs from the package index, with the settings of its comparison."""
    methods = {
        "OpenCV DIS medium": dis(),
        "OpenCV DIS fine": dis(finest=0),
        "scikit-image ILK": ilk(),
        "scikit-image phase 64": windowed_phase(),
        "OpenPIV 64/32/32": openpiv(),
    }
    try:
        methods["pyALDIC 32"] = aldic(search=search)
    except ImportError:
        warnings.warn("al-dic is not installed: pyALDIC is left out", stacklevel=2)
    return methods


def _units(*images: Tensor) -> list[Plane]:
    """Scale both images alike to 0..1, between the percentiles 0.1 and 99.9 of the first."""
    low, high = np.percentile(images[0].numpy(), (0.1, 99.9))
    return [((image.numpy() - low) / (high - low)).clip(0, 1) for image in images]


def _bytes(*images: Tensor) -> list[NDArray[np.uint8]]:
    return [np.rint(255 * image).astype(np.uint8) for image in _units(*images)]


def _dense(dy: Plane, dx: Plane) -> Measured:
    y, x = (np.arange(n, dtype=np.float32) for n in dy.shape)
    return Measured(y, x, dy, dx)
