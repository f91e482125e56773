"""Puts the weights of a complete run into the package: ``python -m groundshift.train.release``.

Half precision, the hash that they are checked by, and a card that says what they are; with the
results of ``groundshift benchmark``, once these are there.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

from groundshift.coherent.learned import FACTOR
from groundshift.errors import MatcherError
from groundshift.nets.calibrated import SIZES
from groundshift.nets.domain import MEANING
from groundshift.nets.weights import HASHES, HERE, NAME, keep, load
from groundshift.train.record import LOG

SCORES = {
    "mae": "MAE px",
    "p95": "P95 px",
    "density": "density",
    "outliers": "outliers",
    "within_68": "68 %",
    "within_95": "95 %",
    "ause": "AUSE",
}
"""What the card tells of the benchmark."""
DISPLACEMENT = """On {samples} synthetic pairs that it was not trained on, behind its search, sigma
({sigma}) holds {within_68:.0%} and {within_95:.0%} of the errors
in its 68 and 95 % intervals; {band:.3g} sigma hold 90 %.

For pairs of radar amplitudes or of optical images whose calm ground is like that of the training:
{span}. `track` warns of others.
It does not know single-look radar that is detected without oversampling from texture (aliasing
pulls it towards whole pixels), nor patterns that repeat in two directions from others."""
COHERENCE = """Tells the coherence of two detected radar images of one place, co-registered to two
pixels or better, and its standard deviation: `groundshift coherence`. On {samples} synthetic pairs
that it was not trained on, co-registered and not, the root mean square error is {rmse:.3f}, and
sigma ({factor:.3g} times what the net says) holds {within_68:.0%} and {within_95:.0%} of the errors
in its 68 and 95 % intervals. `valid` is what lies {beyond:.3g} sigma above none, which on the mean
of those pairs 5 % of the ground without coherence does.

For radar amplitudes whose calm ground is like that of the training: {span}. `coherence` warns of
others. Fine texture that both dates share looks like coherence, the more so the fewer the looks."""
"""What cards tell, by what a net tells."""
LARGEST = 4_000_000
"""Bytes of a file of weights."""
CARD = """# {name}

{parameters:,} parameters in half precision; {steps:,} steps in {hours:.1f} h on {hardware}{before}.

Trained by `groundshift train` on synthetic pairs alone: simulated speckle and terrain, and texture
and motion of the sources below. No real pair was used.

{told}

Apache-2.0, as the package; the sources below are only listed for where texture is from. Images of
Sentinel-1 and Sentinel-2 are free to use by the terms of Copernicus, whatever the repository in
which they were found says of its own files, or does not say.

{benchmark}## Sources

{sources}

## Configuration

```json
{config}
```
"""


def release(run: Path, name: str, folder: Path = HERE, results: Path | None = None) -> Path:
    """Write ``NAME.safetensors``, ``NAME.md`` and the hash; return the first.

    Parameters
    ----------
    run
        Folder of a complete run.
    name
        Of the weights in the package.
    folder
        Of the package.
    results
        The ``benchmark.json`` that `groundshift benchmark` wrote with these weights, for the card.

    Raises
    ------
    MatcherError
        If the run is not complete, or its weights are too many.
    """
    path = run / NAME
    if not path.is_file():
        raise MatcherError(f"{run} is no complete run; go on with groundshift train")
    net, details = load(str(path))
    # Where the run it started from lay is nobody's business; what it was, `before` says.
    config = details["config"] | {"start": Path(details["config"].get("start", "")).name}
    details = {**details, "config": config, "curve": _curve(run / LOG)}
    folder.mkdir(exist_ok=True)
    target = folder / f"{name}.safetensors"
    keep(net, target, details, half=True)
    if target.stat().st_size > LARGEST:
        target.unlink()
        raise MatcherError(f"the weights of {run} are larger than {LARGEST} bytes")
    count = sum(each.numel() for each in net.parameters())
    table = "" if results is None else _benchmark(name, json.loads(results.read_text()))
    (folder / f"{name}.md").write_text(_card(name, count, details, table))
    hashes = folder / HASHES
    known = json.loads(hashes.read_text()) if hashes.is_file() else {}
    known[target.name] = sha256(target.read_bytes()).hexdigest()
    hashes.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    return target


def _curve(log: Path) -> list[tuple[int, float]]:
    """Read the course of the error on the samples of the training: steps, and pixels."""
    lines = (json.loads(line) for line in log.read_text().splitlines())
    return [(each["step"], each["pixels"]) for each in lines if "pixels" in each]


def _benchmark(name: str, found: dict[str, Any]) -> str:
    """Table of means over the pairs of each suite."""
    own = [r for r in found["records"] if r["matcher"].startswith(f'learned("{name}"')]
    lines = [f"## Benchmark, {found['facts']['split']} split", ""]
    lines += [f"| suite | {' | '.join(SCORES.values())} |", "| --- |" + " --- |" * len(SCORES)]
    for suite in dict.fromkeys(r["suite"] for r in own):
        scores = [r["score"] for r in own if r["suite"] == suite]
        means = (_mean([score[key] for score in scores]) for key in SCORES)
        lines.append(f"| {suite} | {' | '.join(means)} |")
    return "\n".join([*lines, "", ""])


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3g}" if known else ""


def _card(name: str, parameters: int, details: dict[str, Any], benchmark: str) -> str:
    span = ", ".join(
        f"{MEANING[key].removeprefix('the ')} {low:.3g} to {high:.3g}"
        for key, (low, high) in details["span"].items()
    )
    told = COHERENCE if FACTOR in details else DISPLACEMENT
    return CARD.format_map(
        details
        | {
            "name": name,
            "parameters": parameters,
            "told": told.format_map(details | {"span": span, "sigma": _sigma(details)}),
            "before": "".join(
                f", after {each['steps']:,} steps in {each['hours']:.1f} h"
                for each in reversed(details.get("before", []))
            ),
            "benchmark": benchmark,
            "sources": "\n".join(f"- {source}" for source in details["sources"]) or "- none",
            "config": json.dumps(details["config"], indent=1),
        }
    )


def _sigma(details: dict[str, Any]) -> str:
    """Say where sigma is from."""
    if "temperatures" not in details:
        return "what 68 % of the errors did not exceed where the images correlated as much"
    factors = zip(SIZES, details["temperatures"], strict=True)
    each = (f"{factor:.3g} at {size:g} px" for size, factor in factors)
    return f"times {', '.join(each)}"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m groundshift.train.release RUN NAME [BENCHMARK.json]")
    results = Path(sys.argv[3]) if len(sys.argv) == 4 else None
    sys.stdout.write(f"{release(Path(sys.argv[1]), sys.argv[2], results=results)}\n")
