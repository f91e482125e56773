"""Pack a folder of images into a bank of texture: :mod:`groundshift.synth.bank`.

Which images show one place on different dates is measured and not believed: names that differ in
digits only, equal grids, and a cross-correlation with its peak at zero. On despeckled Sentinel-1,
aerial images and Landsat over 35 years that peak was 0.24 to 0.83; between different places, and
under clouds, it was elsewhere.

All that shows one place goes into one split: stacks, bands of a file, and images whose footprints
overlap or that correlate. The split follows from the place's name; if a kind would have nothing to
validate or to test on, its smallest places are taken from the training.
"""

import logging
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from rasterio.enums import ColorInterp
from rasterio.warp import transform_bounds
from scipy import ndimage

from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io import open_image, radiometry, raster
from groundshift.io.provenance import FILE, Provenance, provenance
from groundshift.synth import bank
from groundshift.synth.bank import Stack

log = logging.getLogger(__name__)

SIDECARS = {".txt", ".md", ".xml", ".json", ".csv", ".hdr", ".prj", ".ovr", ".msk", ".pdf"} | {
    ".tfw", ".pgw", ".jgw", ".wld"
}  # fmt: skip
"""Files beside images that hold none."""
SMALLEST = 64
"""Pixels along each side below which an image is of no use."""
COVERED = 512
"""Pixels along each side of at least one place of each kind in each split."""
SMOOTH = 30.0
"""Looks from which radar counts as free of speckle."""
WINDOW = 11
"""Side of the windows in which looks are counted, pixels."""
ALIGNED = 0.15
"""Least cross-correlation of two images of one place."""
COMPARED = 1024
"""Side of the parts that are correlated, pixels."""
HIGH_PASS = 8.0
"""Of what is correlated, deviation of the blur that is subtracted, in pairs of pixels."""
HELD_OUT = 0.25
"""Size of a place to validate or to test on, as a share of one to train on."""
RESERVE = 0.97
"""Share of the size limit that planes may fill at first; less each time that it was too much."""

_OPTICAL = re.compile(r"(?<![A-Z0-9])S2(?![0-9])|OPTI(CAL|QUE)", re.IGNORECASE)
_RADAR = re.compile(r"(?<![A-Z0-9])S1(?![0-9])|RADAR", re.IGNORECASE)


@dataclass(frozen=True)
class Packed:
    """What was written."""

    stacks: tuple[Stack, ...]
    skipped: tuple[tuple[str, str], ...]
    """Files that were left out, and why."""
    size: int
    """Of the file, bytes."""
    offered: int
    """Pixels that were found; fewer were packed when the size did not allow more."""


class _Plane(NamedTuple):
    """One band of one file."""

    name: str
    stem: str
    band: int
    date: str
    grid: tuple
    """Shape, CRS and geotransform; equal for planes on the same pixels."""
    footprint: tuple[float, float, float, float] | None
    """Longitudes and latitudes, west, south, east, north."""
    kind: str
    about: Provenance
    scale: bank.Scale
    levels: np.ndarray


def pack(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    max_size: int = 25 * 2**20,
    bands: Sequence[int | str] | None = None,
    kind: str | None = None,
) -> Packed:
    """Pack all images of a folder and its subfolders into one file.

    When they do not fit, images with several bands first give up those with the least detail, as
    far as needed: bands show the same things. Then every place to train on gets the same share of
    the size, others a quarter of it, and what small places leave is divided among the large ones. A
    place that is still too large gives up dates beyond two, and then area at its margins.

    Parameters
    ----------
    folder
        Images that :func:`groundshift.open_image` opens. A ``SOURCE.txt`` tells source and licence
        of those beside and below it.
    out
        The bank, ``.npz``.
    max_size
        Of the file, bytes.
    bands
        Numbers or names of the bands to take from images with several; by default all.
    kind
        ``reflectivity``, ``detected`` or ``optical``, for all images. By default told by a line
        ``kind:`` in SOURCE.txt, else by names of files and folders, else by the pixels; radar of 30
        looks or more counts as reflectivity.

    Returns
    -------
    Packed
        Files that cannot be used are listed there, with a warning each.

    Raises
    ------
    GroundshiftError
        When no image can be used, or the size is too small for anything.
    """
    root, target = Path(folder), Path(out)
    _check(root, target, kind)
    skipped: list[tuple[str, str]] = []
    planes: list[_Plane] = []
    seen: dict[bytes, str] = {}
    for path in _files(root, target):
        try:
            found = list(_planes(path, root, bands, kind, 2 * max_size))
        except GroundshiftError as error:
            _skip(skipped, path, str(error).removeprefix(f"{path} "))
            continue
        for plane in found:
            digest = (
                zlib.crc32(plane.levels.tobytes()).to_bytes(4, "big") + repr(plane.scale).encode()
            )
            if digest in seen:
                _skip(skipped, path, f"{plane.name} has the pixels of {seen[digest]}")
            else:
                seen[digest] = plane.name
                planes.append(plane)
    if not planes:
        raise GroundshiftError(f"{root} has no image that can be packed; pass a folder with some")
    stacks = covered(_stacks(planes))
    offered = sum(stack.pixels for stack in stacks)
    share = RESERVE
    while True:
        fitted = _fit(stacks, share * max_size)
        size = _write(target, fitted, max_size)
        if size <= max_size:
            return Packed(tuple(fitted), tuple(skipped), size, offered)
        share *= RESERVE


def _check(root: Path, target: Path, kind: str | None) -> None:
    if not root.is_dir():
        raise ImageError(f"{root} is not a folder; pass one that holds images")
    if target.suffix.lower() != ".npz":
        raise OutputError(f"{target} must end in .npz, which is what it will be")
    if not target.parent.is_dir():
        raise OutputError(f"the folder {target.parent} does not exist; make it first")
    if kind is not None and kind not in bank.KINDS:
        raise ImageError(f"kind={kind!r} is not known; choose one of {', '.join(bank.KINDS)}")


def _files(root: Path, target: Path) -> list[Path]:
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file()
        and path.suffix.lower() not in SIDECARS
        and path.name != FILE
        and not path.name.startswith(".")
        and path.resolve() != target.resolve()
    )


def _skip(skipped: list[tuple[str, str]], path: Path, reason: str) -> None:
    log.warning("left out %s: %s", path, reason)
    skipped.append((str(path), reason))


# -- reading ---------------------------------------------------------------------------------------


def _planes(
    path: Path, root: Path, bands: Sequence[int | str] | None, kind: str | None, most: int
) -> Iterator[_Plane]:
    about = provenance(path, root)
    name = path.relative_to(root).as_posix()
    chosen = _bands(path, bands)
    for band in chosen:
        image = open_image(path, band=band)
        if min(image.shape) < SMALLEST:
            raise ImageError(f"{image.shape[1]} x {image.shape[0]} pixels are too few")
        image = _middle(image, most)
        where = kind or about.kind or _light(path, root)
        values, what = _values(image, where)
        scale = bank.scale_of(values, what)
        yield _Plane(
            name=name if len(chosen) == 1 else f"{name}:{band}",
            stem=re.sub(r"\d+", "#", name),
            band=band,
            date=_date(image, path),
            grid=_grid(image),
            footprint=_footprint(image),
            kind=what,
            about=about,
            scale=scale,
            levels=scale.levels(values),
        )


def _bands(path: Path, wanted: Sequence[int | str] | None) -> list[int]:
    """Numbers of the bands to take."""
    with raster.inspect(str(path)) as dataset:
        data = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        if len(data) < 2:
            return data or [1]
        if wanted is not None:
            return [raster.choose_band(dataset, str(path), band) for band in wanted]
        try:
            return [raster.choose_band(dataset, str(path), None)]
        except ImageError:  # they differ
            return data


def _middle(image: xr.DataArray, most: int) -> xr.DataArray:
    """Cut a very large image to its middle before it is read."""
    rows, columns = _window(image.shape, most / image.size)
    return image[rows, columns]


def _light(path: Path, root: Path) -> str | None:
    """Tell by names, from the file's to the outermost folder's, whether light or radar made it."""
    for part in reversed(PurePath(path.relative_to(root)).parts):
        optical = bool(_OPTICAL.search(part) or radiometry.OPTICAL.search(part))
        radar = bool(_RADAR.search(part) or radiometry.RADAR.search(part))
        if optical != radar:
            return "optical" if optical else "radar"
    return None


def _values(image: xr.DataArray, told: str | None) -> tuple[np.ndarray, str]:
    """Amplitude of radar or values of an optical image, and the kind of texture."""
    if told is not None and told not in (*bank.KINDS, "radar"):
        raise ImageError(f"kind: {told} is not known; write one of {', '.join(bank.KINDS)}")
    if told == "optical":
        return image.values, told
    guess = radiometry.guess(image)
    if guess == "optical":
        if told is None:
            return image.values, guess
        guess = "amplitude"
    amplitude = radiometry.detect(image.assign_attrs(radiometry=guess)).values
    if told in bank.KINDS:
        return amplitude, told
    return amplitude, "reflectivity" if looks(amplitude) >= SMOOTH else "detected"


def looks(amplitude: np.ndarray) -> float:
    """Equivalent number of looks, in the calmest tenth of small windows; infinite if constant."""
    rows, columns = (n // WINDOW for n in amplitude.shape)
    power = amplitude[: rows * WINDOW, : columns * WINDOW].astype(np.float64) ** 2
    windows = power.reshape(rows, WINDOW, columns, WINDOW).swapaxes(1, 2)
    windows = windows.reshape(-1, WINDOW * WINDOW)
    windows = windows[np.isfinite(windows).all(axis=1)]
    windows = windows[windows.mean(axis=1) > 0]
    if len(windows) == 0:
        return 1.0
    scatter = np.quantile(windows.std(axis=1) / windows.mean(axis=1), 0.1)
    return float(scatter**-2) if scatter > 0 else np.inf


def _date(image: xr.DataArray, path: Path) -> str:
    time = image["time"].values
    return path.stem if np.isnat(time) else str(np.datetime_as_string(time, unit="D"))


def _grid(image: xr.DataArray) -> tuple:
    box = image.odc.geobox
    return image.shape, str(box.crs), tuple(box.affine)[:6]


def _footprint(image: xr.DataArray) -> tuple[float, float, float, float] | None:
    box = image.odc.geobox
    if box.crs is None:
        return None
    return transform_bounds(str(box.crs), "EPSG:4326", *box.extent.boundingbox.bbox)


# -- what belongs together -------------------------------------------------------------------------


def _stacks(planes: Sequence[_Plane]) -> list[Stack]:
    """Put planes on the same pixels together, and name the place of each."""
    details = [_detail(plane) for plane in planes]
    place = list(range(len(planes)))
    groups: list[list[int]] = []
    for index, plane in enumerate(planes):
        for other in range(index):
            if _same_place(planes[other], plane, details[other], details[index]):
                _join(place, other, index)
        for group in groups:
            if all(_another_date(planes[member], plane) for member in group) and aligned(
                details[group[0]], details[index]
            ):
                group.append(index)
                break
        else:
            groups.append([index])
    return [_stack(planes, group, planes[_root(place, group[0])].name) for group in groups]


def _same_place(a: _Plane, b: _Plane, detail_a: np.ndarray, detail_b: np.ndarray) -> bool:
    if a.name.partition(":")[0] == b.name.partition(":")[0]:
        return True
    if a.footprint is not None and b.footprint is not None:
        west, south, east, north = zip(a.footprint, b.footprint, strict=True)
        return max(west) < min(east) and max(south) < min(north)
    beside = PurePath(a.name).parent == PurePath(b.name).parent
    return beside and a.grid == b.grid and aligned(detail_a, detail_b)


def _another_date(a: _Plane, b: _Plane) -> bool:
    alike = (a.stem, a.band, a.kind, a.grid) == (b.stem, b.band, b.kind, b.grid)
    return alike and a.date != b.date


def _detail(plane: _Plane) -> np.ndarray:
    """Fine structure of the middle, halved in size, of zero mean and unit variance."""
    rows, columns = (slice(*_span(n, COMPARED)) for n in plane.levels.shape)
    part = plane.levels[rows, columns].astype(np.float32)
    part = np.where(part == 0, np.median(part[part > 0]) if (part > 0).any() else 0, part)
    high, wide = (n // 2 for n in part.shape)
    part = part[: 2 * high, : 2 * wide].reshape(high, 2, wide, 2).mean(axis=(1, 3))
    part = part - ndimage.gaussian_filter(part, HIGH_PASS)
    return (part - part.mean()) / max(float(part.std()), 1e-6)


def aligned(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two standardised images correlate, and best where they are."""
    if a.shape != b.shape or float((a * b).mean()) < ALIGNED:
        return False
    spectrum = np.fft.rfft2(b) * np.conj(np.fft.rfft2(a))
    return int(np.fft.irfft2(spectrum, s=a.shape).argmax()) == 0


def _root(place: list[int], index: int) -> int:
    while place[index] != index:
        index = place[index]
    return index


def _join(place: list[int], a: int, b: int) -> None:
    a, b = sorted((_root(place, a), _root(place, b)))
    place[b] = a


def _stack(planes: Sequence[_Plane], group: Sequence[int], scene: str) -> Stack:
    members = sorted((planes[index] for index in group), key=lambda plane: plane.date)
    first = members[0]
    scene = scene.partition(":")[0]
    return Stack(
        name=first.name,
        scene=scene,
        kind=first.kind,
        split=bank.split_of(scene),
        source=first.about.source,
        licence=first.about.licence,
        sensor=first.about.sensor,
        dates=tuple(member.date for member in members),
        scales=tuple(member.scale for member in members),
        levels=torch.from_numpy(without_rim(np.stack([member.levels for member in members]))),
    )


def without_rim(levels: np.ndarray) -> np.ndarray:
    """Cut off outer rows and columns that are mostly without data on some date."""
    known = (levels > 0).all(axis=0)
    rows, columns = ((known.mean(axis=axis) > 0.5).nonzero()[0] for axis in (1, 0))
    if rows.size == 0 or columns.size == 0:
        return levels
    return levels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def covered(stacks: Sequence[Stack]) -> list[Stack]:
    """Move the smallest places of a kind to splits without one, but not the last of training."""
    splits = {stack.scene: stack.split for stack in stacks}
    for kind in bank.KINDS:
        places: dict[str, int] = {}
        for stack in stacks:
            if stack.kind == kind and min(stack.levels.shape[1:]) >= COVERED:
                area = stack.levels[0].numel()
                places[stack.scene] = max(places.get(stack.scene, 0), area)
        by_size = sorted(places, key=lambda scene: (places[scene], scene))
        for split in ("validation", "test"):
            training = [scene for scene in by_size if splits[scene] == "train"]
            if len(training) > 1 and split not in {splits[scene] for scene in places}:
                splits[training[0]] = split
    return [replace(stack, split=splits[stack.scene]) for stack in stacks]


# -- what fits -------------------------------------------------------------------------------------


def _fit(stacks: Sequence[Stack], limit: float) -> list[Stack]:
    """Reduce the largest places until the whole has the size of the limit."""
    sizes = {stack.name: plane_sizes(stack) for stack in stacks}
    stacks = _fewer_bands(stacks, {name: sum(own) for name, own in sizes.items()}, limit)
    scenes: dict[str, list[Stack]] = {}
    for stack in stacks:
        scenes.setdefault(stack.scene, []).append(stack)
    totals = [sum(sum(sizes[stack.name]) for stack in own) for own in scenes.values()]
    weights = [1.0 if own[0].split == "train" else HELD_OUT for own in scenes.values()]
    share = fair_share(totals, weights, limit)
    result = []
    for own, total, weight in zip(scenes.values(), totals, weights, strict=True):
        result += own if total <= weight * share else _reduced(own, sizes, weight * share)
    return result


def _fewer_bands(stacks: Sequence[Stack], sizes: dict[str, int], limit: float) -> list[Stack]:
    """Leave bands out, one at a time where there are most, until the rest fits."""
    images: dict[str, list[str]] = {}
    for stack in stacks:
        images.setdefault(stack.name.partition(":")[0], []).append(stack.name)
    for names in images.values():
        names.sort(key=lambda name: sizes[name], reverse=True)
    total = sum(sizes.values())
    while total > limit:
        most = max(images.values(), key=lambda names: (len(names), sizes[names[-1]]))
        if len(most) == 1:
            break
        total -= sizes[most.pop()]
    kept = {name for names in images.values() for name in names}
    return [stack for stack in stacks if stack.name in kept]


def plane_sizes(stack: Stack) -> list[int]:
    """Bytes of each plane when it is compressed."""
    return [len(zlib.compress(plane.tobytes())) for plane in bank.differenced(stack.levels)]


def fair_share(sizes: Sequence[float], weights: Sequence[float], limit: float) -> float:
    """Most for each unit of weight when all share a limit and none gets more than it needs.

    Examples
    --------
    >>> fair_share([1, 5, 9], [1, 1, 1], limit=9)
    4.0
    """
    rest, weight_left = limit, sum(weights)
    for size, weight in sorted(zip(sizes, weights, strict=True), key=lambda one: one[0] / one[1]):
        if size / weight > rest / weight_left:
            return rest / weight_left
        rest, weight_left = rest - size, weight_left - weight
    return np.inf


def _reduced(stacks: list[Stack], sizes: dict[str, list[int]], share: float) -> list[Stack]:
    """Take away dates and then area of one place until it has its share."""
    kept = list(stacks)
    sizes = {stack.name: list(sizes[stack.name]) for stack in kept}

    def total() -> int:
        return sum(sum(sizes[stack.name]) for stack in kept)

    while (long := _longest(kept)) and total() - min(sizes[long.name]) >= share:
        middle = len(long.dates) // 2
        kept[kept.index(long)] = _without_date(long, middle)
        del sizes[long.name][middle]
    fraction = share / total()
    return [_cropped(stack, fraction) for stack in kept] if fraction < 1 else kept


def _longest(stacks: list[Stack]) -> Stack | None:
    longest = max(stacks, key=lambda stack: len(stack.dates))
    return longest if len(longest.dates) > 2 else None


def _without_date(stack: Stack, index: int) -> Stack:
    """Leave one date out."""
    keep = [k for k in range(len(stack.dates)) if k != index]
    return replace(
        stack,
        dates=tuple(stack.dates[k] for k in keep),
        scales=tuple(stack.scales[k] for k in keep),
        levels=stack.levels[keep],
    )


def _cropped(stack: Stack, fraction: float) -> Stack:
    rows, columns = _window(tuple(stack.levels.shape[1:]), fraction)
    return replace(stack, levels=stack.levels[:, rows, columns])


def _window(shape: tuple[int, ...], fraction: float) -> tuple[slice, slice]:
    """Middle of an image with a fraction of its area: first the longer side gets shorter."""
    if fraction >= 1:
        return slice(None), slice(None)
    area = fraction * shape[0] * shape[1]
    short = min(*shape, int(area**0.5))
    long = int(area / max(short, 1))
    high, wide = (short, long) if shape[0] <= shape[1] else (long, short)
    return slice(*_span(shape[0], high)), slice(*_span(shape[1], wide))


def _span(length: int, wanted: int) -> tuple[int, int]:
    start = max((length - wanted) // 2, 0)
    return start, start + min(wanted, length)


def _write(target: Path, stacks: Sequence[Stack], max_size: int) -> int:
    """Write beside the target and give it its name if it is small enough; return the size."""
    usable = [stack for stack in stacks if min(stack.levels.shape[1:]) >= SMALLEST]
    if len(usable) < len(stacks):
        raise GroundshiftError(
            f"{max_size / 2**20:.3g} MiB leave less than {SMALLEST} x {SMALLEST} pixels for a "
            f"place; pass a larger size or fewer images"
        )
    try:
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}") as folder:
            part = Path(folder) / target.name
            bank.save(part, stacks)
            size = part.stat().st_size
            if size <= max_size:
                part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}; choose another OUT") from error
    return size
