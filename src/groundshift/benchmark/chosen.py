"""Matchers of a benchmark, by expressions: ours, and anyone's that keeps the contract."""

import ast
import importlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from groundshift import config
from groundshift.benchmark.suites import LEAST_REACH, REACH
from groundshift.errors import MatcherError
from groundshift.types import Matcher

STANDARD = (
    'learned("small", search={reach})',
    "default(search={reach})",
    "NCC(window=32, search={reach}, stride=8)",
    "NCC(window=64, search={reach}, stride=8)",
    "PhaseCorrelation(window=64, stride=8)",
)
"""Compared when none is named. `{reach}` is the largest displacement of the suite, pixels."""
FOREIGN = re.compile(r"([\w.]+):(\w+)(\(.*\))?", re.DOTALL)


def expression(text: str, suite: str) -> str:
    """Fill in the suite's largest displacement."""
    return text.replace("{reach}", str(REACH.get(suite, LEAST_REACH)))


def is_foreign(text: str) -> bool:
    """Whether an expression names a matcher of another package."""
    return FOREIGN.fullmatch(text.strip()) is not None


def packages_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Name the distributions that modules of foreign matchers list as their ``PACKAGES``."""
    modules = {match[1] for text in texts if (match := FOREIGN.fullmatch(text.strip()))}
    listed = (getattr(sys.modules.get(name), "PACKAGES", ()) for name in sorted(modules))
    return tuple(dict.fromkeys(name for names in listed for name in names))


def matcher_of(text: str) -> Matcher:
    """Return the matcher of an expression.

    ``package.module:Name(parameter=value)`` imports a matcher of your own, from the working folder
    as well; anything else is an expression of ``groundshift matchers``.
    """
    foreign = FOREIGN.fullmatch(text.strip())
    if foreign is None:
        return config.matcher_from(text)
    module, name, arguments = foreign.groups()
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        make = getattr(importlib.import_module(module), name)
        call = ast.parse(f"_{arguments or '()'}", mode="eval").body
        assert isinstance(call, ast.Call)
        given = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        found = make(*(ast.literal_eval(value) for value in call.args), **given)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise MatcherError(
            f"{text!r} cannot be used: {error}; write module:Name(parameter=value), with a module "
            "that can be imported from here"
        ) from error
    if not isinstance(found, Matcher):
        raise MatcherError(
            f"{text!r} is not a matcher: it needs halo, stride, period and a call "
            "(groundshift.types.Matcher)"
        )
    return found
