"""Cards: what weights are, what taught them, how far their sigma holds, for whom they are."""

import json
from collections.abc import Mapping
from textwrap import fill
from typing import Any

from groundshift.coherent.learned import FACTOR
from groundshift.nets.calibrated import SIZES
from groundshift.nets.domain import MEANING

CARD = """# {name}

{parameters:,} parameters; {steps:,} steps in {hours:.1f} h on {hardware}{before}.

{taught}

{told}

{span}
{terms}{benchmark}## Sources

{sources}

## Configuration

```json
{config}
```
"""
TAUGHT = {
    "synthetic": """Trained by `groundshift train` on synthetic pairs alone: simulated speckle and
terrain, and texture and motion of the sources below. No real pair was used.""",
    "labels": """Trained by `groundshift train --store` on what a tracker found in the real pairs
below (`groundshift labels`); no truth was used. Where the tracker is wrong in a consistent way, so
are these weights.""",
    "images": """Trained by `groundshift train --images` on the real images below alone, of which
nothing else was known: under the displacement that the net tells they should be alike.""",
    "coregistered": """Trained by `groundshift train --images` on the coherence that the
co-registered complex images below show.""",
}
"""By what the samples of the training were."""
BEFORE = {
    "synthetic": "synthetic pairs",
    "labels": "what a tracker found in real pairs",
    "images": "real images alone",
    "coregistered": "the coherence of complex images",
}
"""The same of those that they started from."""
UNTOLD = " Their truth was not used: under the displacement images should be alike."
"""Of synthetic pairs and labels, by objective: alike."""
SIGMA = """On {samples} {held} that it was not trained on{search}, sigma ({sigma}) holds
{within_68:.0%} and {within_95:.0%} of the errors in its 68 and 95 % intervals; {band:.3g} sigma
hold 90 %."""
NO_SIGMA = "It tells no sigma, as no samples were set aside to calibrate one (`samples: 0`)."
LIMITS = """It does not know single-look radar that is detected without oversampling from texture
(aliasing pulls it towards whole pixels), nor patterns that repeat in two directions from others."""
COHERENCE = """Tells the coherence of two detected radar images of one place, co-registered to two
pixels or better, and its standard deviation: `groundshift coherence`. On {samples} {held} that it
was not trained on, co-registered and not, the root mean square error is {rmse:.3f}, and sigma
({factor:.3g} times what the net says) holds {within_68:.0%} and {within_95:.0%} of the errors in
its 68 and 95 % intervals. `valid` is what lies {beyond:.3g} sigma above none, which on the mean of
those samples 5 % of the ground without coherence does."""
TEXTURE = """Fine texture that both dates share looks like coherence, the more so the fewer the
looks."""
TERMS = """
Apache-2.0, as the package; the sources below are only listed for where texture is from. Images of
Sentinel-1 and Sentinel-2 are free to use by the terms of Copernicus, whatever the repository in
which they were found says of its own files, or does not say.

"""
"""Of weights that come with the package."""


def card(
    name: str,
    parameters: int,
    details: Mapping[str, Any],
    *,
    terms: str = "\n",
    benchmark: str = "",
) -> str:
    """Write the card of weights, in Markdown.

    Parameters
    ----------
    name
        Of the weights.
    parameters
        How many there are.
    details
        As they are kept with the weights.
    terms
        On which they may be used.
    benchmark
        A section with results.
    """
    taught = details.get("taught", "synthetic")
    unused = taught in ("synthetic", "labels") and details["config"].get("objective") == "alike"
    return CARD.format_map(
        {
            **details,
            "name": name,
            "parameters": parameters,
            "taught": _wrapped(TAUGHT[taught] + (UNTOLD if unused else "")),
            "told": _wrapped(_told(details, taught)),
            "span": _wrapped(_span(details)),
            "before": "".join(
                f", after {each['steps']:,} steps in {each['hours']:.1f} h"
                f" on {BEFORE[each.get('taught', 'synthetic')]}"
                for each in reversed(details.get("before", []))
            ),
            "terms": terms,
            "benchmark": benchmark,
            "sources": "\n".join(f"- {source}" for source in details["sources"]) or "- none",
            "config": json.dumps(details["config"], indent=1),
        }
    )


def _wrapped(text: str) -> str:
    """Wrap paragraphs into lines."""
    return "\n\n".join(fill(each, 100) for each in text.split("\n\n"))


def _told(details: Mapping[str, Any], taught: str) -> str:
    """Say what it tells, and how well."""
    held = "of their labels" if taught == "labels" else "synthetic pairs"
    held = "crops of the images below" if taught == "coregistered" else held
    if FACTOR in details:
        return COHERENCE.format_map({**details, "held": held})
    if "within_68" not in details:
        return f"{NO_SIGMA}\n\n{LIMITS}"
    search = ", behind its search" if details["guess"] == "search" else ", without a search"
    told = {**details, "held": held, "search": search, "sigma": _sigma(details)}
    return f"{SIGMA.format_map(told)}\n\n{LIMITS}"


def _span(details: Mapping[str, Any]) -> str:
    """Say which images it is for."""
    coherence = FACTOR in details
    kinds = "radar amplitudes" if coherence else "pairs of radar amplitudes or of optical images"
    each = ", ".join(
        f"{MEANING[key].removeprefix('the ')} {low:.3g} to {high:.3g}"
        for key, (low, high) in details["span"].items()
    )
    command = "coherence" if coherence else "track"
    said = f"For {kinds} whose calm ground is like that of the training: {each}."
    return f"{said} `{command}` warns of others." + (f" {TEXTURE}" if coherence else "")


def _sigma(details: Mapping[str, Any]) -> str:
    """Say where sigma is from."""
    if "temperatures" not in details:
        return "by errors where the images correlated as much"
    factors = zip(SIZES, details["temperatures"], strict=True)
    return "times " + ", ".join(f"{factor:.3g} at {size:g} px" for size, factor in factors)
