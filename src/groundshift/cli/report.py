"""What the commands print about a field or an image."""

import re
import shutil
import textwrap
from typing import Any

import numpy as np
import xarray as xr

from groundshift import config, field, io, maps, synth, timeseries
from groundshift.config import layout
from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import radiometry, raster
from groundshift.nets.weights import names

SAMPLE = 2000
"""Cells or pixels read along each axis at most; statistics are of every so many of them."""
ABSOLUTE = 0.798
"""Mean absolute error of a Gaussian of unit standard deviation."""


def summary(result: xr.Dataset) -> list[str]:
    """Say in a few lines what was measured."""
    unit = _unit(result)
    shown = [n for n in ("dx", "dy", "sigma_dx", "sigma_dy", "coherence") if n in result]
    thin = _thinned(result[shown])[0]
    thin = thin.assign(share=field.measured(result)).compute()
    magnitude = np.hypot(thin["dx"].values, thin["dy"].values)
    rows, columns = result.sizes["y"], result.sizes["x"]
    lines = [*_matcher(result), *_removed(result)]
    lines.append(f"measured    {field.percent(float(thin['share']))} of {rows} x {columns} cells")
    known = magnitude[np.isfinite(magnitude)]
    if known.size == 0:
        return [*lines, "displacement nothing could be measured: no texture, no data or no overlap"]
    median, high = np.percentile(known, (50, 95))
    east, north = (float(np.nanmedian(thin[name].values)) for name in ("dx", "dy"))
    lines.append(
        f"displaced   median {median:.4g} {unit}, 95th percentile {high:.4g} {unit} "
        f"(median dx {east:+.4g}, dy {north:+.4g})"
    )
    sigmas = [thin[name].values for name in ("sigma_dx", "sigma_dy")]
    if all(np.isfinite(sigma).any() for sigma in sigmas):
        x, y = (float(np.nanmedian(sigma)) for sigma in sigmas)
        lines.append(f"sigma       median dx {x:.3g} {unit}, dy {y:.3g} {unit}")
    else:
        lines.append("sigma       not known by this matcher")
    if "coherence" in thin and np.isfinite(thin["coherence"].values).any():
        low, middle, high = np.nanpercentile(thin["coherence"].values, (5, 50, 95))
        lines.append(
            f"coherence   median {middle:.2f}, 5th to 95th percentile {low:.2f} to {high:.2f}"
        )
    return lines


def coherence(result: xr.Dataset) -> list[str]:
    """Say in a few lines what a map of coherence shows."""
    thin = _thinned(result)[0].compute()
    found, sigma, valid = (thin[name].values for name in maps.COHERENCE.attrs)
    rows, columns = result.sizes["y"], result.sizes["x"]
    known = np.isfinite(found)
    lines = [f"estimator   {result.attrs['estimator'].partition('(')[0].lower()}, {_looks(result)}"]
    lines.append(f"measured    {field.percent(float(known.mean()))} of {rows} x {columns} cells")
    if not known.any():
        return [*lines, "coherence   nothing could be measured: no data or no overlap"]
    low, median, high = np.percentile(found[known], (5, 50, 95))
    lines.append(f"coherence   median {median:.2f}, 5th to 95th percentile {low:.2f} to {high:.2f}")
    lines.append(f"told        from none in {field.percent(float(valid[known].mean()))} of them")
    if np.isfinite(sigma).any():
        lines.append(f"sigma       median {np.nanmedian(sigma):.2f}")
    return lines


def decay(result: xr.Dataset) -> list[str]:
    """Say in a few lines what a map of decay shows."""
    thin = _thinned(result)[0].compute()
    known = np.isfinite(thin.rest.values)
    rows, columns = result.sizes["y"], result.sizes["x"]
    lines = [
        f"pairs       {result.attrs['pairs']} of {result.attrs['dates']} dates",
        f"fitted      {field.percent(float(known.mean()))} of {rows} x {columns} cells",
    ]
    if not known.any():
        return [*lines, "decay       nothing could be fitted: no data or no overlap"]
    for name, title in (("rest", "rest"), ("tau", "tau, days"), ("misfit", "misfit")):
        low, median, high = np.percentile(thin[name].values[known], (5, 50, 95))
        lines.append(
            f"{title:<12}median {median:.3g}, 5th to 95th percentile {low:.3g} to {high:.3g}"
        )
    return lines


def series(result: xr.Dataset) -> list[str]:
    """Say in a few lines what a history shows."""
    times = result["time"].values
    last = 0 if result["time"].values[-1] == result["reference_time"].values else -1
    names = [*timeseries.MOVING]
    thin = _thinned(result[[*names, "misfit", "closure"]].isel(time=last))[0].compute()
    moved = np.hypot(thin.dx.values, thin.dy.values)
    known = np.isfinite(moved)
    rows, columns = result.sizes["y"], result.sizes["x"]
    days = [np.datetime_as_string(time, unit="D") for time in (times[0], times[-1])]
    zero = np.datetime_as_string(result["reference_time"].values, unit="D")
    lines = [
        f"dates       {len(times)}, {days[0]} to {days[1]}, from {result.attrs['pairs']} pairs; "
        f"0 at {zero}",
        f"measured    {field.percent(float(known.mean()))} of {rows} x {columns} cells from there "
        f"to {np.datetime_as_string(times[last], unit='D')}",
    ]
    if not known.any():
        return [*lines, "moved       nothing: no pairs link both dates"]
    unit = _unit(result)
    median, high = np.percentile(moved[known], (50, 95))
    lines.append(f"moved       median {median:.3g} {unit}, 95th percentile {high:.3g} {unit}")
    sigma = np.hypot(thin.sigma_dx.values, thin.sigma_dy.values)[known] / np.sqrt(2)
    if np.isfinite(sigma).any():
        lines.append(f"sigma       median {np.nanmedian(sigma):.2g} {unit} of each component")
    for name in ("misfit", "closure"):
        if np.isfinite(thin[name].values).any():
            typical = np.nanmedian(thin[name].values)
            lines.append(f"{name:<12}median {typical:.2f} times what sigma promises")
    if share := float(result.attrs.get("together", 0)):
        lines.append(
            f"together    {share:.0%} of what pairs promise closes around triangles: they err "
            "together, and\n            sigma takes it as that of a chain of pairs"
        )
    return lines


def fit(result: xr.Dataset) -> list[str]:
    """Say in a few lines what was fitted."""
    thin = _thinned(result)[0].compute()
    rows, columns = result.sizes["y"], result.sizes["x"]
    known = np.isfinite(thin["velocity_x"].values)
    lines = [
        f"pairs       {result.attrs['pairs']} of {result.attrs['dates']} dates",
        f"fitted      {field.percent(float(known.mean()))} of {rows} x {columns} cells",
    ]
    if "found_step" in result.attrs:
        lines.append(f"jump        between {result.attrs['found_step']}")
    for name in (str(n)[:-2] for n in thin.data_vars if str(n).endswith("_x")):
        if name.startswith("sigma"):
            continue
        size = np.hypot(thin[f"{name}_x"].values, thin[f"{name}_y"].values)
        sigma = np.hypot(thin[f"sigma_{name}_x"].values, thin[f"sigma_{name}_y"].values)
        if not np.isfinite(size).any():
            continue
        median, high = np.nanpercentile(size, (50, 95))
        unit = thin[f"{name}_x"].attrs["units"].replace("pixel", "px")
        lines.append(
            f"{name:<12}median {median:.3g} {unit}, 95th percentile {high:.3g}, sigma of each "
            f"component {np.nanmedian(sigma) / np.sqrt(2):.2g}"
        )
    if np.isfinite(thin["misfit"].values).any():
        typical = np.nanmedian(thin["misfit"].values)
        lines.append(f"misfit      median {typical:.2f} times what sigma promises")
    return lines


def stack(result: xr.Dataset) -> list[str]:
    """Say in a few lines what a stack of pairs is."""
    dates = timeseries.dates_of(result)
    days = [np.datetime_as_string(time, unit="D") for time in dates.times[[0, -1]]]
    rows, columns = result.sizes["y"], result.sizes["x"]
    lost = int(result.attrs.get("failed", 0))
    return [
        f"pairs       {result.sizes['pair']} of {len(dates.times)} dates, {days[0]} to {days[1]}",
        *([f"left out    {lost} pairs, which the same command tries again"] if lost else []),
        f"cells       {rows} x {columns}",
        *_matcher(result),
    ]


def _looks(result: xr.Dataset) -> str:
    told = []
    if "window" in result.attrs:
        told.append(f"windows of {result.attrs['window']} px")
    if "looks" in result.attrs:
        told.append(f"{float(result.attrs['looks']):.3g} looks")
    return ", ".join(told) or "each pixel"


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


def errors(measured: xr.Dataset, sample: synth.Sample, coherence: float) -> list[str]:
    """Compare with the exact truth of a synthetic pair, and with what physics allows."""
    stride = int(measured.attrs["stride"])
    wrong = np.stack(
        [
            measured[name].values - _cell_means(truth.numpy(), stride, measured[name].shape)
            for name, truth in (("dx", sample.dx), ("dy", sample.dy))
        ]
    )
    known = wrong[np.isfinite(wrong)]
    if known.size == 0:
        return ["true error  nothing was measured"]
    bias = [float(np.nanmean(component)) for component in wrong]
    lines = [
        f"true error  mean {np.abs(known).mean():.4f} px, 95th percentile "
        f"{np.percentile(np.abs(known), 95):.4f} px, bias dx {bias[0]:+.4f}, dy {bias[1]:+.4f}, "
        f"at {_share(wrong)} of the cells",
    ]
    limits = ", ".join(
        f"{ABSOLUTE * _limit(coherence, window, sample.bandwidth):.4f} px in a {window}-px window"
        for window in (16, 32, 64)
    )
    return [*lines, f"the limit   mean {limits} (incoherent speckle tracking)"]


def matchers() -> list[str]:
    """List every matcher, filter and part with its parameters."""
    lines = [
        "Write a matcher as NAME(parameter=value, ...), or with values in the order of this list;",
        "what is left out has its default:",
        "  groundshift track A B OUT --matcher 'NCC(window=64, search=16, stride=16)'",
        "  ... --matcher 'CoarseToFine(stages=(NCC(stride=16), LeastSquares(stride=4)))'",
        "  ... --matcher 'Filtered(Wallis(), default(search=32))'",
    ]
    titles = {"matcher": "Matchers", "filter": "Filters, for Filtered", "part": "Parts of them"}
    kind = ""
    for each in config.describe():
        if each.kind != kind:
            kind = each.kind
            lines += ["", titles[kind]]
        lines += ["", *_described(each)]
    lines += ["", "Put together of these"]
    for each in config.describe_presets():
        lines += ["", *_described(each)]
        if all(parameter.default for parameter in each.parameters):
            whole = layout.laid_out(repr(config.matcher_from(each.name)), _width() - 4)
            lines += ["    It stands for", *(f"    {line}" for line in whole)]
    own = ", ".join(names())
    last = (
        f"Weights of learned: {own}, or the folder of a run of groundshift train. Such a folder is "
        "a matcher, too: what learned makes of it."
    )
    return [*lines, "", *_wrapped(last, 0, 0)]


def _described(each: config.Description) -> list[str]:
    lines = _wrapped(f"{each.name}  {each.summary}", 2, 4)
    for parameter in each.parameters:
        default = f"={parameter.default}" if parameter.default else ""
        lines += _wrapped(f"{parameter.name}{default}  {parameter.summary}", 4, 8)
    return lines


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 100)


def _wrapped(text: str, first: int, rest: int) -> list[str]:
    """Break into lines, without the marks that docstrings have."""
    plain = re.sub(r":\w+:(?=`)|`", "", text).rstrip()
    return textwrap.wrap(
        plain,
        _width(),
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _limit(coherence: float, window: int, bandwidth: float) -> float:
    """Return the least standard deviation, pixels."""
    return synth.tracking_limit(coherence, (window * bandwidth) ** 2) / bandwidth


def _cell_means(truth: np.ndarray, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape
    padded = np.full((rows * stride, columns * stride), np.nan)
    padded[: truth.shape[0], : truth.shape[1]] = truth
    return padded.reshape(rows, stride, columns, stride).mean((1, 3))


def _field(result: xr.Dataset) -> list[str]:
    lines = [*_grid(result), _dates(result, "reference_time", "secondary_time")]
    unit = _unit(result)
    across, along = ("right", "down") if unit == "px" else ("east", "north")
    lines += _wrapped(
        f"convention  what is at (x, y) in the reference is at (x + dx, y + dy) in the secondary; "
        f"+dx is {across}, +dy is {along}; NaN is not measured",
        0,
        12,
    )
    lines += _matcher(result)
    if kind := str(result.attrs.get("radiometry", "")):
        doubled = ", oversampled: pixels of the matcher are half as large as those of the images"
        lines += _wrapped(f"{'radiometry':<12}{kind}{doubled if kind == 'complex' else ''}", 0, 12)
    for name in ("software", "reference", "secondary", "aliasing"):
        if result.attrs.get(name):
            lines += _wrapped(f"{name:<11} {result.attrs[name]}", 0, 12)
    lines += _removed(result)
    thin, step = _thinned(result)
    lines += _statistics(thin, step)
    return lines


def _removed(result: xr.Dataset) -> list[str]:
    """Say which global motion was taken away, if there was one."""
    motion = result.attrs.get("coregistration")
    return _wrapped(f"{'removed':<12}{motion}", 0, 12) if motion else []


def _matcher(result: xr.Dataset) -> list[str]:
    """Say what matched, and in what the images are unlike those that nets were trained on."""
    stored, unlike = (str(result.attrs.get(name, "")) for name in ("matcher", "unlike_training"))
    lines = layout.readable(stored, _width() - 12) if stored else []
    if len(lines) == 1:
        lines = _wrapped(lines[0], 0, 0)
    heads = ["matcher", *[""] * len(lines)]
    lines = [f"{head:<12}{line}" for head, line in zip(heads, lines, strict=False)]
    if unlike:
        lines += _wrapped(f"{'unlike':<12}the images of the net's training: {unlike}", 0, 12)
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
    thin, step = _thinned(image)
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
            f"{name:<12}{_share(values)} known, min {low:.4g}, 5 % {first:.4g}, "
            f"median {median:.4g}, 95 % {last:.4g}, max {high:.4g} {unit}".rstrip()
        )
    return lines


def _thinned(data: Any) -> tuple[Any, int]:
    step = max(1, -(-max(data.sizes["y"], data.sizes["x"]) // SAMPLE))
    return data.isel(y=slice(None, None, step), x=slice(None, None, step)), step


def _share(values: np.ndarray) -> str:
    return field.percent(np.isfinite(values).mean() if values.size else 0.0)


def _unit(result: xr.Dataset) -> str:
    return "px" if result["dx"].attrs.get("units") == "pixel" else "m"
