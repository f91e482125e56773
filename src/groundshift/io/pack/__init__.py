"""Pack folders of images and of motion into one bank: :mod:`groundshift.synth.bank`."""

import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io.pack.fit import fitted
from groundshift.io.pack.images import SMALLEST, Plane, planes_of
from groundshift.io.pack.motions import motions_of
from groundshift.io.pack.places import covered, stacks_of
from groundshift.io.provenance import FILE
from groundshift.synth import bank
from groundshift.synth.bank import Stack
from groundshift.synth.levels import differenced
from groundshift.synth.measured import MotionField

log = logging.getLogger(__name__)

SIDECARS = {".txt", ".md", ".xml", ".json", ".csv", ".hdr", ".prj", ".ovr", ".msk", ".pdf"} | {
    ".tfw", ".pgw", ".jgw", ".wld"
}  # fmt: skip
"""Files beside images that hold none."""
RESERVE = 0.97
"""Share of the size limit that planes may fill at first; less each time that it was too much."""


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
    motions: tuple[MotionField, ...] = ()


def pack(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    max_size: int = 25 * 2**20,
    bands: Sequence[int | str] | None = None,
    kind: str | None = None,
    motions: str | os.PathLike[str] | None = None,
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
    motions
        A folder with fields of displacement or velocity, to move images by: see
        :func:`groundshift.io.pack.motions.motions_of`. They are packed whole.

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
    fields = () if motions is None else motions_of(motions, skipped)
    planes: list[Plane] = []
    seen: dict[bytes, str] = {}
    for path in _files(root, target):
        try:
            found = list(planes_of(path, root, bands, kind, 2 * max_size))
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
    stacks = covered(stacks_of(planes))
    offered = sum(stack.pixels for stack in stacks)
    share, room = (
        RESERVE,
        max_size - sum(len(zlib.compress(differenced(f.levels).tobytes())) for f in fields),
    )
    while True:
        kept = fitted(stacks, share * room)
        size = _write(target, kept, fields, max_size)
        if size <= max_size:
            return Packed(tuple(kept), tuple(skipped), size, offered, fields)
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


def _write(
    target: Path, stacks: Sequence[Stack], fields: Sequence[MotionField], max_size: int
) -> int:
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
            bank.save(part, stacks, fields)
            size = part.stat().st_size
            if size <= max_size:
                part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}; choose another OUT") from error
    return size
