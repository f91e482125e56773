"""A stack of pairs on disk that grows pair by pair, and can be stopped at any moment.

Until it is complete it is the folder ``OUT.partial``: the Zarr group ``cube``, and in ``records``
one small JSON file for each pair, which is written after the planes of the pair are: from then on
it counts. A pair that could not be measured has a record as well, without a place in the cube, and
is tried again by the next run. What a run left behind in the middle of a pair is written over.

Planes are cut into chunks of one pair, as many in a shard (one file) as fit into `SHARD` bytes, so
that both a map of one pair and the history of a few pixels are read in small pieces.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import xarray as xr

from groundshift import timeseries
from groundshift.errors import OutputError
from groundshift.field import ATTRS, DISPLACEMENTS
from groundshift.io import cf, partial
from groundshift.io.scratch import TYPE, Scratch, compute_into
from groundshift.matchers.windows import up_to

CHUNK = 128
"""Rows and columns of a chunk."""
SHARD = 1 << 26
"""Bytes of a shard, at most; all of it is in memory while it is written."""
WHOLE = "give the same settings to add pairs to it, or choose another OUT"


OWN = ("plan", "records")
"""Attributes of a stack that a pair has not."""


class Growing(NamedTuple):
    """A stack that is not complete yet."""

    out: Path
    pairs: int
    """How many there are to be."""

    @property
    def folder(self) -> Path:
        """Of all that is there so far."""
        return partial.folder_of(self.out)

    @property
    def cube(self) -> Path:
        """The group."""
        return self.folder / "cube"

    @property
    def plan(self) -> Path:
        """The file of what decides on the result."""
        return self.folder / partial.PLAN

    def records(self) -> dict[int, dict[str, Any]]:
        """Return what is known of each pair that was finished or failed, by its number."""
        found = (partial.read(path) for path in sorted((self.folder / "records").glob("*.json")))
        return {record["pair"]: record for record in found}

    def finished(self) -> list[dict[str, Any]]:
        """Return the records of the pairs that were measured, in the order of the cube."""
        found = (record for record in self.records().values() if "place" in record)
        return sorted(found, key=lambda record: record["place"])


@contextmanager
def begin(out: Path, pairs: int, facts: dict[str, Any]) -> Iterator[Growing]:
    """Begin a stack, or go on with one, and keep others from doing so meanwhile.

    Parameters
    ----------
    facts
        What decides on the result, plain values by name. Who goes on must have the same; who adds
        to a stack that is complete may have more "images", and "pairs" of these.

    Raises
    ------
    OutputError
        If it was begun with other facts, or somebody else is at work on it.
    """
    stack = Growing(out, pairs)

    def before() -> None:
        # Also after a run that was stopped when all was done but cleaning up.
        if out.exists() and not stack.cube.exists():
            stack.plan.unlink(missing_ok=True)
            _adopt(stack, facts)

    with partial.work_on(out, facts, before):
        (stack.folder / "records").mkdir(exist_ok=True)
        yield stack


def compute(stack: Growing, fields: Sequence[xr.Dataset]) -> list[dict[str, Scratch]]:
    """Compute the fields of pairs, all at once, into a scratch file."""
    path = stack.folder / "scratch"
    path.unlink(missing_ok=True)
    planes = {
        f"{number} {name}": da.asarray(found[name].data)
        for number, found in enumerate(fields)
        for name in DISPLACEMENTS
    }
    done = compute_into(path, planes)
    return [
        {name: done[f"{number} {name}"] for name in DISPLACEMENTS} for number in range(len(fields))
    ]


def put(
    stack: Growing,
    number: int,
    found: xr.Dataset,
    planes: dict[str, Scratch],
    record: dict[str, Any],
) -> None:
    """Write the planes of a pair, and then its record.

    Parameters
    ----------
    number
        Of the pair.
    found, planes
        Its field, and what `compute` made of it.
    record
        What else is known of it.
    """
    place = len(stack.finished())
    group = _group(stack, found)
    for name, plane in planes.items():
        array = group[name]
        band = array.shards[1]
        for top in range(0, plane.shape[0], band):
            rows = slice(top, min(top + band, plane.shape[0]))
            array[place, rows] = plane[rows, slice(None)]
    told = {"pair": number, "place": place, "attrs": dict(found.attrs), **record}
    told |= {which: _text(found[which].values) for which in timeseries.TIMES}
    partial.write(stack.folder / "records" / f"{number:06d}.json", told)


def fail(stack: Growing, number: int, reason: str) -> None:
    """Write down that a pair could not be measured."""
    record = {"pair": number, "failed": reason}
    partial.write(stack.folder / "records" / f"{number:06d}.json", record)


def finish(stack: Growing, attrs: dict[str, Any]) -> None:
    """Label a stack, and give it its name.

    Parameters
    ----------
    attrs
        What is known of the whole.
    """
    records = stack.finished()
    _resize(stack.cube, len(records))
    same = {
        key: value
        for key, value in records[0]["attrs"].items()
        if all(record["attrs"].get(key) == value for record in records)
    }
    for which in timeseries.TIMES:  # of a stack that was added to: there are more now
        shutil.rmtree(stack.cube / which, ignore_errors=True)
    kept = dict(
        zip(OWN, (json.dumps(each) for each in (partial.read(stack.plan), records)), strict=True)
    )
    cf.add_to_zarr(stack.cube, xr.Dataset(coords=times_of(records), attrs=same | attrs | kept))
    cf.consolidate(stack.cube)
    if stack.out.exists():
        old = stack.folder / "old"
        shutil.rmtree(old, ignore_errors=True)
        stack.out.replace(old)
    stack.cube.replace(stack.out)
    partial.clear(stack.folder)


def times_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the dates of pairs as coordinates."""
    return {
        which: (
            "pair",
            np.array([record[which] for record in records], "datetime64[ns]"),
            ATTRS[which],
        )
        for which in timeseries.TIMES
    }


def _adopt(stack: Growing, facts: dict[str, Any]) -> None:
    """Take over the pairs of a stack that is complete: as links, so that it stays as it is."""
    try:
        attrs = json.loads((stack.out / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        plan, records = (json.loads(attrs[name]) for name in ("plan", "records"))
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{stack.out} exists and is no stack that `groundshift stack` wrote; choose another OUT"
        ) from None
    partial.compare(stack.out, plan, facts, WHOLE, but=("images", "pairs"))
    numbers = _numbers(facts)
    places = {}
    for (i, j), (one, other) in zip(plan["pairs"], _names(plan), strict=True):
        places[i, j] = numbers.get((one, other))
    lost = [record for record in records if places[tuple(plan["pairs"][record["pair"]])] is None]
    if lost:
        raise OutputError(
            f"{stack.out} has {len(lost)} pair(s) that are not asked for now, such as "
            f"{lost[0]['reference_time'][:10]} to {lost[0]['secondary_time'][:10]}, which would be "
            "lost; give the images of these too, or choose another OUT"
        )
    shutil.rmtree(stack.folder / "records", ignore_errors=True)
    shutil.rmtree(stack.folder / "fresh", ignore_errors=True)
    (stack.folder / "records").mkdir()
    for record in records:
        number = places[tuple(plan["pairs"][record["pair"]])]
        partial.write(stack.folder / "records" / f"{number:06d}.json", record | {"pair": number})
    shutil.copytree(stack.out, stack.folder / "fresh", copy_function=_link)
    _resize(stack.folder / "fresh", stack.pairs)
    partial.write(stack.plan, facts)
    (stack.folder / "fresh").replace(stack.cube)


def _names(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each pair of a plan by what tells its images."""
    names = [json.dumps(image) for image in plan["images"]]
    return [(names[i], names[j]) for i, j in plan["pairs"]]


def _numbers(plan: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {names: number for number, names in enumerate(_names(plan))}


def _link(source: str, target: str) -> None:
    """Link what is never written again, the shards of a pair; copy the rest."""
    if Path(source).parts[-5:-3] in {(name, "c") for name in DISPLACEMENTS}:
        try:
            os.link(source, target)
        except OSError:  # not on every file system
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)


def _group(stack: Growing, found: xr.Dataset) -> Any:
    """Open the group, which the first pair makes."""
    import zarr  # not above: zarr takes long to import
    from zarr.codecs import BloscCodec

    if (stack.cube / "zarr.json").exists():
        return zarr.open_group(stack.cube, mode="r+", use_consolidated=False)
    fresh = stack.folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    cf.add_to_zarr(fresh, _grid_of(found), mode="w")
    group = zarr.open_group(fresh, mode="r+", use_consolidated=False)
    rows, columns = (found.sizes[axis] for axis in ("y", "x"))
    wide = up_to(columns, CHUNK)
    high = max(1, min(up_to(rows, CHUNK) // CHUNK, SHARD // (wide * CHUNK * TYPE.itemsize)))
    for name in DISPLACEMENTS:
        attrs = cf.described(found[name].attrs)
        if "spatial_ref" in found.coords:
            attrs["grid_mapping"] = "spatial_ref"
        group.create_array(
            name,
            shape=(stack.pairs, rows, columns),
            chunks=(1, CHUNK, CHUNK),
            shards=(1, high * CHUNK, wide),
            dtype=TYPE,
            fill_value=np.float32("nan"),
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            dimension_names=("pair", "y", "x"),
            attributes=attrs,
        )
    fresh.replace(stack.cube)
    return zarr.open_group(stack.cube, mode="r+", use_consolidated=False)


def _grid_of(found: xr.Dataset) -> xr.Dataset:
    return xr.Dataset(
        coords={k: found[k] for k in ("y", "x", "spatial_ref") if k in found.coords}
    ).drop_vars(timeseries.TIMES, errors="ignore")


def _resize(cube: Path, pairs: int) -> None:
    import zarr  # not above: zarr takes long to import

    group = zarr.open_group(cube, mode="r+", use_consolidated=False)
    for name in DISPLACEMENTS:
        array: Any = group[name]
        array.resize((pairs, *array.shape[1:]))


def _text(time: Any) -> str:
    return str(np.datetime_as_string(np.asarray(time, "datetime64[ns]")))
