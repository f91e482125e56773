"""Matchers and sizes written as text: the expressions of the command line.

A matcher is written as Python prints it, ``NCC(window=32, search=8, stride=8)``, so that what a
field's provenance says can be pasted back. Only names of matchers, filters and what they are made
of, and literal values, are understood; nothing is executed.
"""

import ast
import difflib
import inspect
import re
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from groundshift.config.catalogue import (
    DEFAULT,
    PRESETS,
    Description,
    Parameter,
    describe,
    describe_presets,
    leaves,
    registry,
)
from groundshift.config.sizes import parse_size
from groundshift.errors import MatcherError
from groundshift.nets.weights import is_folder, is_run, names
from groundshift.types import Matcher

__all__ = [
    "DEFAULT",
    "PRESETS",
    "Description",
    "Parameter",
    "describe",
    "describe_presets",
    "matcher_from",
    "parse_size",
    "registry",
]

SHORT = {"ncc": "NCC", "phase": "PhaseCorrelation", "lsm": "LeastSquares"}
"""Names for the command line besides those of the classes."""
NUMBERS = {int: "a whole number", float: "a number"}
NAMES = {**NUMBERS, str: "text in quotes"}


def matcher_from(text: str, also: tuple[str, ...] = ()) -> Matcher:
    """Return the matcher which an expression describes.

    Parameters are given by name or, as in Python, in their order. The folder of a training run is
    a matcher as well, and the name of weights.

    Parameters
    ----------
    text
        The expression.
    also
        What else the caller takes for a matcher: named where nothing else helps.

    Examples
    --------
    >>> matcher_from("NCC(window=64, stride=16)").window
    64
    >>> matcher_from("Filtered(Wallis(), NCC(64))").matcher.window
    64
    >>> matcher_from("ncc").stride == matcher_from("NCC()").stride
    True
    """
    if is_run(text) or text in names():
        return PRESETS["learned"](text)
    if is_folder(text) and text.lower() not in {*map(str.lower, registry()), *PRESETS, *SHORT}:
        raise MatcherError(
            f"the folder {text!r} holds no weights; give that of a run of `groundshift train`"
        )
    if re.fullmatch(r"[^\W\d][\w.-]*", text) and not _is_known(text):
        made = [each.name for each in describe() if each.kind == "matcher"]
        raise MatcherError(_unknown("matcher", text, [*also, *PRESETS, *names(), *made]))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise MatcherError(
            f"{text!r} is not a matcher expression; write one like 'NCC(window=32, stride=8)' "
            "or 'default' (`groundshift matchers` lists them)"
        ) from error
    found = _value(tree, registry())
    if not isinstance(found, Matcher):
        raise MatcherError(f"{text!r} is not a matcher; write one like 'NCC(window=32, stride=8)'")
    return found


def _is_known(name: str) -> bool:
    return name in PRESETS or name in registry() or name.lower() in SHORT


def _value(node: ast.expr, known: dict[str, type]) -> Any:
    if isinstance(node, ast.Call):
        return _call(node, known)
    if isinstance(node, ast.Name):
        return _build(node.id, [], {}, known)
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(item, known) for item in node.elts)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError) as error:
        raise MatcherError(
            f"{ast.unparse(node)!r} is not a value; write numbers, names of matchers and filters, "
            "and parentheses"
        ) from error


def _call(node: ast.Call, known: dict[str, type]) -> Any:
    if not isinstance(node.func, ast.Name):
        raise MatcherError(f"{ast.unparse(node.func)!r} is not the name of a matcher or filter")
    values = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise MatcherError(f"{ast.unparse(node)!r}: '**' is not understood; name the values")
        values[keyword.arg] = _value(keyword.value, known)
    return _build(node.func.id, [_value(item, known) for item in node.args], values, known)


def _build(name: str, unnamed: list[Any], values: dict[str, Any], known: dict[str, type]) -> Any:
    """Make `name` of values in the order of its parameters, and of values with names."""
    make: Any = PRESETS.get(name)
    if make is not None:
        names = list(inspect.signature(make).parameters)
    else:
        make = known.get(name) or known.get(SHORT.get(name.lower(), ""))
        if make is None:
            choices = [*PRESETS, *known]
            raise MatcherError(_unknown("matcher or filter", name, choices))
        names = [field.name for field in fields(make)]
    for given in values:
        if given not in names:
            raise MatcherError(_unknown(f"parameter of {name}", given, names))
    if len(unnamed) > len(names):
        raise MatcherError(
            f"{name} has {len(names)} parameters and {len(unnamed)} values are given; "
            f"there are: {', '.join(names) or 'none'}"
        )
    ordered = dict(zip(names, unnamed, strict=False))
    for given in values:
        if given in ordered:
            raise MatcherError(f"{name} has two values for {given}; leave out one of them")
    values = ordered | values
    try:
        _check_types(typing.get_type_hints(make), values)
        return make(**values)
    except MatcherError:
        raise
    except (TypeError, ValueError, ZeroDivisionError) as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in values.items())
        raise MatcherError(
            f"{name}({shown}) cannot be used: {error}; see `groundshift matchers`"
        ) from error


def _check_types(hints: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise TypeError(f"{name} must be {_wanted(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    if hint in NUMBERS:
        return isinstance(value, int | hint) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if typing.get_origin(hint) is tuple:
        each = typing.get_args(hint)[0]
        return isinstance(value, tuple) and all(_fits(item, each) for item in value)
    # What is no dataclass is a protocol of matchers.
    return any(isinstance(value, leaf if is_dataclass(leaf) else Matcher) for leaf in leaves(hint))


def _wanted(hint: Any) -> str:
    if hint in NAMES:
        return NAMES[hint]
    if typing.get_origin(hint) is tuple:
        return (
            f"in parentheses with commas, (A, B) or (A,), each {_wanted(typing.get_args(hint)[0])}"
        )
    return " or ".join(
        f"{leaf.__name__}()" if is_dataclass(leaf) else "a matcher" for leaf in leaves(hint)
    )


def _unknown(what: str, name: str, choices: list[str]) -> str:
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), folded, 1)
    hint = f"did you mean {folded[close[0]]!r}? " if close else ""
    listed = ", ".join(choices) or "none"
    return f"unknown {what}: {name!r}; {hint}there are: {listed}"
