"""What the commands print about their results."""

import numpy as np
import xarray as xr

from groundshift import field, maps, timeseries
from groundshift.cli.lines import thinned, unit_of, width, wrapped
from groundshift.config import layout


def summary(result: xr.Dataset) -> list[str]:
    """Say in a few lines what was measured."""
    unit = unit_of(result)
    shown = [n for n in ("dx", "dy", "sigma_dx", "sigma_dy", "coherence") if n in result]
    thin = thinned(result[shown])[0]
    thin = thin.assign(share=field.measured(result)).compute()
    magnitude = np.hypot(thin["dx"].values, thin["dy"].values)
    rows, columns = result.sizes["y"], result.sizes["x"]
    lines = [*matched_by(result), *removed(result)]
    lines.append(f"measured    {field.percent(float(thin['share']))} of {rows} x {columns} cells")
    known = magnitude[np.isfinite(magnitude)]
    if known.size == 0:
        why = "no texture, no data, no overlap, or no match that is certain enough"
        return [*lines, f"displacement nothing could be measured: {why}"]
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
    thin = thinned(result)[0].compute()
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
    thin = thinned(result)[0].compute()
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
    thin = thinned(result[[*names, "misfit", "closure"]].isel(time=last))[0].compute()
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
    unit = unit_of(result)
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
    thin = thinned(result)[0].compute()
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
        *matched_by(result),
    ]


def _looks(result: xr.Dataset) -> str:
    told = []
    if "window" in result.attrs:
        told.append(f"windows of {result.attrs['window']} px")
    if "looks" in result.attrs:
        told.append(f"{float(result.attrs['looks']):.3g} looks")
    return ", ".join(told) or "each pixel"


def removed(result: xr.Dataset) -> list[str]:
    """Say which global motion was taken away, if there was one."""
    motion = result.attrs.get("coregistration")
    return wrapped(f"{'removed':<12}{motion}", 0, 12) if motion else []


def matched_by(result: xr.Dataset) -> list[str]:
    """Say what matched, and in what the images are unlike those that nets were trained on."""
    stored, unlike = (str(result.attrs.get(name, "")) for name in ("matcher", "unlike_training"))
    lines = layout.readable(stored, width() - 12) if stored else []
    if len(lines) == 1:
        lines = wrapped(lines[0], 0, 0)
    heads = ["matcher", *[""] * len(lines)]
    lines = [f"{head:<12}{line}" for head, line in zip(heads, lines, strict=False)]
    if unlike:
        lines += wrapped(f"{'unlike':<12}the images of the net's training: {unlike}", 0, 12)
    return lines
