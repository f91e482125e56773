"""Puts the weights of a complete run into the package: ``python -m groundshift.train.release``.

Half precision, the hash that they are checked by, and a card that says what they are.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from groundshift.errors import MatcherError
from groundshift.nets.calibrated import SIZES
from groundshift.nets.weights import HASHES, HERE, NAME, keep, load

LARGEST = 4_000_000
"""Bytes of a file of weights."""
CARD = """# {name}

{parameters:,} parameters in half precision; {steps:,} steps in {hours:.1f} h on {hardware}.

Trained by `groundshift train` on synthetic pairs alone: simulated speckle and terrain, and texture
and motion of the sources below. No real pair was used.

On {samples} synthetic pairs that it was not trained on, behind its search, sigma times its factors
({factors}) holds {within_68:.0%} and {within_95:.0%} of the errors
in its 68 and 95 % intervals; {band:.3g} sigma hold 90 %.

Trained on amplitudes whose statistics are within: {span}. Others are warned of.

## Sources

{sources}

## Configuration

```json
{config}
```
"""


def release(run: Path, name: str, folder: Path = HERE) -> Path:
    """Write ``NAME.safetensors``, ``NAME.md`` and the hash; return the first.

    Raises
    ------
    MatcherError
        If the run is not complete, or its weights are too many.
    """
    path = run / NAME
    if not path.is_file():
        raise MatcherError(f"{run} is no complete run; go on with groundshift train")
    net, details = load(str(path))
    folder.mkdir(exist_ok=True)
    target = folder / f"{name}.safetensors"
    keep(net, target, details, half=True)
    if target.stat().st_size > LARGEST:
        target.unlink()
        raise MatcherError(f"the weights of {run} are larger than {LARGEST} bytes")
    count = sum(each.numel() for each in net.parameters())
    (folder / f"{name}.md").write_text(_card(name, count, details))
    hashes = folder / HASHES
    known = json.loads(hashes.read_text()) if hashes.is_file() else {}
    known[target.name] = sha256(target.read_bytes()).hexdigest()
    hashes.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    return target


def _card(name: str, parameters: int, details: dict[str, Any]) -> str:
    span = ", ".join(
        f"{key} {low:.3g} to {high:.3g}" for key, (low, high) in details["span"].items()
    )
    factors = ", ".join(
        f"{factor:.3g} at {size:g} px"
        for size, factor in zip(SIZES, details["temperatures"], strict=True)
    )
    return CARD.format_map(
        details
        | {
            "name": name,
            "parameters": parameters,
            "samples": details["config"]["samples"],
            "span": span,
            "factors": factors,
            "sources": "\n".join(f"- {source}" for source in details["sources"]) or "- none",
            "config": json.dumps(details["config"], indent=1),
        }
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m groundshift.train.release RUN NAME")
    sys.stdout.write(f"{release(Path(sys.argv[1]), sys.argv[2])}\n")
