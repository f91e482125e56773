"""What is in a store of samples: planes, tables and attributes, and how they are cut.

A Zarr group of version 3. Each plane is an array ``(sample, y, x)`` with one chunk per sample and
several samples in a shard, which is one file; each table has one value per sample. All that is
known of a sample is as exact as when it was rendered: planes are compressed without loss.

The table ``index`` is written last of a shard: a shard counts from then on, and a sample of a
negative index is not there yet.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from groundshift.errors import OutputError
from groundshift.io import cf
from groundshift.io.scratch import cannot_write

SCHEMA = "groundshift-samples/2"
MARK = "index"
"""The table that is written last."""
MISSING = -1
"""Index of a sample that is not there yet."""
CODE = 255
"""Family and sensor of a sample that is not there yet."""


class Variable(NamedTuple):
    """An array of the group."""

    dtype: str
    fill: float
    """What is there before a sample is."""
    long_name: str


PLANES = {
    "reference": Variable("float32", np.nan, "amplitude or brightness at the first date"),
    "secondary": Variable("float32", np.nan, "amplitude or brightness at the second date"),
    "dy": Variable("float32", np.nan, "true displacement along rows, downward, in pixels"),
    "dx": Variable("float32", np.nan, "true displacement along columns, to the right, in pixels"),
    "coherence": Variable("float32", np.nan, "true coherence magnitude; NaN for optical images"),
    "valid": Variable("bool", 0, "ground that both dates show, in full light"),
    "measurable": Variable("bool", 0, "ground of which both dates show enough in common"),
    "distance": Variable(
        "float32", np.nan, "distance to the nearest jump of the motion, in pixels"
    ),
}
QUALITY = {
    "sigma": Variable("float32", np.nan, "one standard deviation of dy and of dx, in pixels"),
    "score": Variable("float32", np.nan, "how sure the tracker was, 0 to 1"),
}
"""Planes of samples whose displacement is what a tracker found."""
TABLES = {
    "family": Variable("uint8", CODE, "family of the motion"),
    "sensor": Variable("uint8", CODE, "kind of the images"),
    "bandwidth": Variable(
        "float32", np.nan, "of the complex radar images, cycles per pixel; NaN for optical ones"
    ),
    MARK: Variable("int64", MISSING, "number of the sample in its recipe; -1 is not yet written"),
}
CONVENTIONS = (
    "What is at (y, x) in the reference is at (y + dy, x + dx) in the secondary; y counts rows "
    "downward and x columns to the right, in pixels. Sample i is that of number `index` of the "
    "recipe, whoever draws it."
)


class Layout(NamedTuple):
    """A store's size and how it is cut."""

    path: Path
    samples: int
    start: int
    """Number in the recipe of the first sample."""
    size: int
    """Rows and columns of each image."""
    shard: int
    """Samples in a shard."""
    tracked: bool = False
    """Whether displacement is what a tracker found, with its quality."""

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.samples // self.shard)

    @property
    def planes(self) -> dict[str, Variable]:
        """Planes that a sample has."""
        return PLANES | QUALITY if self.tracked else PLANES

    def part(self, shard: int) -> range:
        """Return the samples of a shard, as positions in the store."""
        first = shard * self.shard
        return range(first, min(first + self.shard, self.samples))


def create(
    layout: Layout, families: tuple[str, ...], sensors: tuple[str, ...], facts: dict[str, Any]
) -> None:
    """Make an empty store, or take the one that is there.

    Parameters
    ----------
    layout
        Of the store.
    families, sensors
        Names of what the tables number.
    facts
        What decides on the samples, as attributes; plain values. The attribute "recipe" is
        compared key by key.

    Raises
    ------
    OutputError
        When there is something else under that name.
    """
    facts = {
        "schema": SCHEMA,
        "samples": layout.samples,
        "start": layout.start,
        "shard": layout.shard,
        "families": list(families),
        "sensors": list(sensors),
    } | facts
    if layout.path.exists():
        _compare(layout.path, facts)
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{layout.path.name}.", dir=layout.path.parent))
        try:
            _write_empty(folder / "store", layout, facts)
            (folder / "store").replace(layout.path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise OutputError(cannot_write(layout.path.parent, error)) from error


def done(layout: Layout) -> set[int]:
    """Return the shards that are complete."""
    folder = layout.path / MARK / "c"
    files = folder.iterdir() if folder.is_dir() else ()
    return {int(file.name) for file in files if file.name.isdecimal()}


def attributes(path: Path) -> dict[str, Any]:
    """Read the group's attributes; empty where there is no store."""
    try:
        metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        found = metadata["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if found.get("schema") == SCHEMA else {}


def _write_empty(path: Path, layout: Layout, facts: dict[str, Any]) -> None:
    import zarr  # not above: zarr takes long to import
    from zarr.codecs import BloscCodec

    title = "Tracked pairs" if layout.tracked else "Synthetic pairs with exact displacement"
    said = {"title": title, "conventions": CONVENTIONS}
    group = zarr.create_group(path, zarr_format=3, attributes=said | facts)
    codec = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
    side = layout.size
    for name, variable in layout.planes.items():
        group.create_array(
            name,
            shape=(layout.samples, side, side),
            chunks=(1, side, side),
            shards=(layout.shard, side, side),
            dtype=variable.dtype,
            fill_value=_fill(variable),
            compressors=codec,
            dimension_names=("sample", "y", "x"),
            attributes={"long_name": variable.long_name, "units": "1"},
        )
    for name, variable in TABLES.items():
        attrs: dict[str, Any] = {"long_name": variable.long_name}
        if name in ("family", "sensor"):
            meanings = facts["families" if name == "family" else "sensors"]
            attrs |= {
                "flag_values": list(range(len(meanings))),
                "flag_meanings": " ".join(meanings),
            }
        group.create_array(
            name,
            shape=(layout.samples,),
            chunks=(layout.shard,),
            dtype=variable.dtype,
            fill_value=_fill(variable),
            compressors=None,
            dimension_names=("sample",),
            attributes=attrs,
        )
    cf.consolidate(path)


def _fill(variable: Variable) -> Any:
    return np.array(variable.fill).astype(variable.dtype)[()]


def _compare(path: Path, wanted: dict[str, Any]) -> None:
    found = attributes(path)
    if not found:
        raise OutputError(f"{path} exists and is no store of samples; choose another OUT")
    for key, value in wanted.items():
        have = found.get(key)
        if have == value:
            continue
        if isinstance(have, dict) and isinstance(value, dict):
            name = next(k for k in {**value, **have} if have.get(k) != value.get(k))
            key, have, value = f"{key}.{name}", have.get(name), value.get(name)
        more = f" (start={have} gives the samples that follow)" if key == "samples" else ""
        raise OutputError(
            f"{path} was begun with {key} {_short(have)} and not {_short(value)}; repeat the first "
            f"command to continue it, or choose another OUT{more}"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
