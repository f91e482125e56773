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

from groundshift.errors import MatcherError
from groundshift.nets.weights import HASHES, HERE, NAME, keep, load
from groundshift.train.card import TERMS, card
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
LARGEST = 4_000_000
"""Bytes of a file of weights."""


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
    told = card(name, count, details, terms=TERMS, benchmark=table)
    (folder / f"{name}.md").write_text(told)
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


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m groundshift.train.release RUN NAME [BENCHMARK.json]")
    results = Path(sys.argv[3]) if len(sys.argv) == 4 else None
    sys.stdout.write(f"{release(Path(sys.argv[1]), sys.argv[2], results=results)}\n")
