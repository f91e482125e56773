"""Which matcher is used where none is named: a trained net, where the images suit it."""

import logging
from inspect import signature

import xarray as xr

from groundshift import matchers
from groundshift.api import guard
from groundshift.errors import MatcherError
from groundshift.matchers.presets import STRIDES
from groundshift.nets import weights
from groundshift.nets.refine import learned
from groundshift.types import Matcher

AUTO, DEFAULT, LEARNED = "auto", "default", "learned"
"""Names that `track` takes for a matcher, beside those of weights."""

log = logging.getLogger(__name__)


def is_name(text: str) -> bool:
    """Whether `named` knows it: "auto", "default", "learned", weights by name, a run's folder."""
    return text in (AUTO, DEFAULT, LEARNED, *weights.names()) or weights.is_run(text)


def named(name: str, search: int | None, stride: int | None, scale: int) -> Matcher:
    """Return the matcher of a name.

    Parameters
    ----------
    name
        "default" is classical. "auto" is learned, or the default where no weights come with the
        package; `suited` has the last word. "learned" is so whatever the images are. Any other
        name is that of weights.
    search, stride
        As for :func:`groundshift.track`.
    scale
        Pixels that are matched for each of the input, along one side.
    """
    if not is_name(name):
        raise MatcherError(
            f"matcher={name!r} is not known; pass 'auto', 'default', the folder of a training run, "
            "or an object such as groundshift.matchers.NCC(window=64)"
        )
    preset = signature(matchers.default).parameters
    far: int = preset["search"].default if search is None else search
    step: int = preset["stride"].default if stride is None else stride
    if far < 1:
        raise MatcherError(f"search={far} finds nothing; pass search=1 or more pixels")
    offered = [each // scale for each in STRIDES if each % scale == 0]
    if step not in offered:
        kind = " for complex images" if scale > 1 else ""
        choices = " or ".join(", ".join(map(str, offered)).rsplit(", ", 1))
        raise MatcherError(f"stride={step} is not offered{kind}; pass stride={choices}")
    if name == DEFAULT or (name == AUTO and weights.STANDARD not in weights.names()):
        return matchers.default(search=scale * far, stride=scale * step)
    return learned(weights.STANDARD if name in (AUTO, LEARNED) else name, scale * far, scale * step)


def suited(
    matcher: Matcher, images: dict[str, xr.DataArray], otherwise: Matcher
) -> tuple[Matcher, str]:
    """Return a matcher, or another one if the images are unlike what it was trained on; and how."""
    if strange := guard.unlike(matcher, images):
        log.info(
            "matcher auto: the default one, as the images are unlike those that the net was "
            "trained on (%s)",
            strange,
        )
        return otherwise, strange
    return matcher, ""
