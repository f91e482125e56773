"""What `groundshift info` prints: what a file is, and what it holds."""

from typing import Any

import numpy as np
import xarray as xr

from groundshift import field, io, maps, timeseries
from groundshift.cli.lines import share, thinned, unit_of, wrapped
from groundshift.cli.report import coherence, decay, fit, matched_by, removed, series, stack
from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import radiometry, raster


def file(path: str, band: int | str | None) -> list[str]:
    """Say what a file is: a field if it can be and no band is asked for, an image otherwise."""
    if band is not None:
        return [f"{path}: image", *_image(path, band)]
    try:
        found = io.open_field(path)
        kind = maps.kind_of(found)
        if found.attrs.get("schema") == timeseries.SERIES:
            return [f"{path}: displacement through time", *_grid(found), *series(found)]
        if found.attrs.get("schema") == timeseries.CUBE:
            return [f"{path}: stack of pairs", *_grid(found), *stack(found)]
        if kind is not None:
            name = kind.command.split()[1]
            say = {"coherence": coherence, "decay": decay, "fit": fit}[name]
            return [f"{path}: map of {name}", *say(found)]
        return [f"{path}: displacement field", *_field(found)]
    except GroundshiftError as not_a_field:
        try:
            return [f"{path}: image", *_image(path, band)]
        except ImageError as not_an_image:
            # Of a container that holds a result, the field's complaint is the one that helps.
            useful = str(path).lower().endswith(".zarr")
            raise (not_a_field if useful else not_an_image) from None


def _field(result: xr.Dataset) -> list[str]:
    lines = [*_grid(result), _dates(result, "reference_time", "secondary_time")]
    unit = unit_of(result)
    across, along = ("right", "down") if unit == "px" else ("east", "north")
    lines += wrapped(
        f"convention  what is at (x, y) in the reference is at (x + dx, y + dy) in the secondary; "
        f"+dx is {across}, +dy is {along}; NaN is not measured",
        0,
        12,
    )
    lines += matched_by(result)
    if kind := str(result.attrs.get("radiometry", "")):
        doubled = ", oversampled: pixels of the matcher are half as large as those of the images"
        lines += wrapped(f"{'radiometry':<12}{kind}{doubled if kind == 'complex' else ''}", 0, 12)
    for name in ("software", "reference", "secondary", "aliasing"):
        if result.attrs.get(name):
            lines += wrapped(f"{name:<11} {result.attrs[name]}", 0, 12)
    lines += removed(result)
    thin, step = thinned(result)
    lines += _statistics(thin, step)
    return lines


def _image(path: str, band: int | str | None) -> list[str]:
    bands = raster.bands(path)
    listed = [f"{f'band {each.number}':<12}{each.name}, {each.dtype}" for each in bands]
    lines = listed if len(bands) > 1 else []
    try:
        image = io.open_image(path, band=band)
    except ImageError:
        if band is not None or len(bands) < 2:
            raise
        image = io.open_image(path, band=1)
        hint = "values      of one band: pass --band NUMBER"
        return [*_grid(image), _dates(image, "time"), *lines, hint]
    kind = "complex" if image.dtype.kind == "c" else "real"
    lines = [*_grid(image), _dates(image, "time"), *lines]
    lines.append(f"pixels      {kind}, taken as {radiometry.guess(image)}")
    thin, step = thinned(image)
    values = abs(thin).rename("magnitude") if kind == "complex" else thin.rename("values")
    return [*lines, *_statistics(values.to_dataset(), step)]


def _grid(data: Any) -> list[str]:
    geobox = field.geobox_of(data)
    size = f"{data.sizes['x']} columns x {data.sizes['y']} rows"
    if geobox.crs is None:
        return [f"grid        {size}, not georeferenced: x to the right, y downward, in pixels"]
    affine, crs = geobox.affine, geobox.crs
    unit = "degrees" if crs.geographic else crs.units[0]
    code = f"EPSG:{crs.epsg}" if crs.epsg else crs.proj.name
    box = geobox.extent.boundingbox
    return [
        f"grid        {size} of {abs(affine.a):.9g} x {abs(affine.e):.9g} {unit}",
        f"crs         {code} ({crs.proj.name})",
        f"extent      x {box.left:.9g} to {box.right:.9g}, y {box.bottom:.9g} to {box.top:.9g}",
    ]


def _dates(data: Any, *names: str) -> str:
    times = [
        data.coords[name].values if name in data.coords else np.datetime64("NaT") for name in names
    ]
    shown = ["unknown" if np.isnat(t) else np.datetime_as_string(t, unit="s") for t in times]
    return f"{'date' if len(names) == 1 else 'dates':<12}{' -> '.join(shown)}"


def _statistics(thin: xr.Dataset, step: int) -> list[str]:
    thin = thin.compute()
    lines = [] if step == 1 else [f"statistics of every {step}th row and column:"]
    for name in thin.data_vars:
        values = thin[name].values
        known = values[np.isfinite(values)]
        unit = thin[name].attrs.get("units", "").replace("pixel", "px")
        unit = "" if unit == "1" else unit
        if known.size == 0:
            lines.append(f"{name:<12}no data")
            continue
        low, first, median, last, high = np.percentile(known, (0, 5, 50, 95, 100))
        lines.append(
            f"{name:<12}{share(values)} known, min {low:.4g}, 5 % {first:.4g}, "
            f"median {median:.4g}, 95 % {last:.4g}, max {high:.4g} {unit}".rstrip()
        )
    return lines
