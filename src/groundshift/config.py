"""Matchers and sizes written as text: the expressions of the command line.

A matcher is written as Python prints it, ``NCC(window=32, search=8, stride=8)``, so that what a
field's provenance says can be pasted back. Only names of matchers, filters and what they are made
of, and literal values, are understood; nothing is executed.
"""

import ast
import difflib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple

from groundshift import filters, matchers
from groundshift.errors import GroundshiftError, MatcherError
from groundshift.types import Matcher

DEFAULT = "default"
SHORT = {"ncc": "NCC", "phase": "PhaseCorrelation", "lsm": "LeastSquares"}
"""Names for the command line besides those of the classes."""
NUMBERS = {int: "a whole number", float: "a number"}
UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


class Parameter(NamedTuple):
    """One field of a matcher or filter."""

    name: str
    default: str
    """As Python prints it; empty where a value must be given."""
    summary: str


class Description(NamedTuple):
    """One matcher or filter."""

    name: str
    kind: str
    """"matcher", "filter" or "part" of one."""
    summary: str
    parameters: tuple[Parameter, ...]


def matcher_from(text: str) -> Matcher:
    """Return the matcher which an expression describes.

    Examples
    --------
    >>> matcher_from("NCC(window=64, stride=16)").window
    64
    >>> matcher_from("ncc").stride == matcher_from("NCC()").stride
    True
    """
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


def describe() -> tuple[Description, ...]:
    """Describe every matcher, then every filter, then their parts, from their own docstrings."""
    kinds = dict.fromkeys(typing.get_args(matchers.AnyMatcher), "matcher")
    kinds |= dict.fromkeys(_filters(), "filter")
    return tuple(
        Description(name, kinds.get(cls, "part"), _summary(cls), _parameters(cls))
        for name, cls in registry().items()
    )


def registry() -> dict[str, type]:
    """Return every class that an expression may name: matchers, filters, then their parts."""
    found: dict[str, type] = {}
    for cls in (*typing.get_args(matchers.AnyMatcher), *_filters()):
        found.setdefault(cls.__name__, cls)
    for cls in list(found.values()):
        for part in _parts(cls):
            found.setdefault(part.__name__, part)
    return found


def parse_size(text: str) -> int:
    """Return a number of bytes: ``4GiB``, ``4G`` and ``4096M`` are the same.

    Examples
    --------
    >>> parse_size("1.5GiB")
    1610612736
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE)
    size = int(float(match[1]) * UNITS[match[2].lower()]) if match else 0
    if size <= 0:
        raise GroundshiftError(f"{text!r} is not a size; write one like '4GiB' or '500M'")
    return size


# -- text to value -----------------------------------------------------------------------------


def _value(node: ast.expr, known: dict[str, type]) -> Any:
    if isinstance(node, ast.Call):
        return _call(node, known)
    if isinstance(node, ast.Name):
        return _build(node.id, {}, known)
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
    name = node.func.id
    if node.args:
        raise MatcherError(
            f"{ast.unparse(node)!r}: name every parameter, as in 'NCC(window=32, stride=8)'"
        )
    values = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise MatcherError(f"{ast.unparse(node)!r}: '**' is not understood; name the values")
        values[keyword.arg] = _value(keyword.value, known)
    return _build(name, values, known)


def _build(name: str, values: dict[str, Any], known: dict[str, type]) -> Any:
    if name == DEFAULT:
        make: Any = matchers.default
        names = list(inspect.signature(make).parameters)
    else:
        make = known.get(name) or known.get(SHORT.get(name.lower(), ""))
        if make is None:
            choices = [DEFAULT, *known]
            raise MatcherError(_unknown("matcher or filter", name, choices))
        names = [field.name for field in fields(make)]
    for given in values:
        if given not in names:
            raise MatcherError(_unknown(f"parameter of {name}", given, names))
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
    if typing.get_origin(hint) is tuple:
        each = typing.get_args(hint)[0]
        return isinstance(value, tuple) and all(_fits(item, each) for item in value)
    # What is no dataclass is a protocol of matchers.
    return any(isinstance(value, leaf if is_dataclass(leaf) else Matcher) for leaf in _leaves(hint))


def _wanted(hint: Any) -> str:
    if hint in NUMBERS:
        return NUMBERS[hint]
    if typing.get_origin(hint) is tuple:
        return (
            f"in parentheses with commas, (A, B) or (A,), each {_wanted(typing.get_args(hint)[0])}"
        )
    leaves = list(_leaves(hint))
    return " or ".join(
        f"{leaf.__name__}()" if is_dataclass(leaf) else "a matcher" for leaf in leaves
    )


def _unknown(what: str, name: str, choices: list[str]) -> str:
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), folded, 1)
    hint = f"did you mean {folded[close[0]]!r}? " if close else ""
    listed = ", ".join(choices) or "none"
    return f"unknown {what}: {name!r}; {hint}there are: {listed}"


# -- classes to descriptions -------------------------------------------------------------------


def _filters() -> list[type]:
    return [
        cls
        for name, cls in vars(filters).items()
        if is_dataclass(cls)
        and isinstance(cls, type)
        and cls.__module__ == filters.__name__
        and not name.startswith("_")
    ]


def _parts(cls: type) -> Iterator[type]:
    """Yield the dataclasses among the types of a class's fields, at any depth."""
    for hint in typing.get_type_hints(cls).values():
        for part in _leaves(hint):
            if is_dataclass(part) and part is not cls:
                yield part
                yield from _parts(part)


def _leaves(hint: Any) -> Iterator[type]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        for inner in typing.get_args(hint):
            yield from _leaves(inner)
    elif isinstance(hint, type):
        yield hint


def _summary(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _parameters(cls: type) -> tuple[Parameter, ...]:
    texts = _documented(inspect.getdoc(cls) or "")
    described = []
    for each in fields(cls):
        if each.default is not MISSING:
            default = repr(each.default)
        elif each.default_factory is not MISSING:
            default = repr(each.default_factory())
        else:
            default = ""
        described.append(Parameter(each.name, default, texts.get(each.name, "")))
    return tuple(described)


def _documented(doc: str) -> dict[str, str]:
    """Return the texts of the section "Parameters" of a numpy docstring, by name."""
    _, _, section = doc.partition("\nParameters\n----------\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    lines = section.splitlines()
    for line, after in zip(lines, [*lines, ""][1:], strict=True):
        if after.startswith("---"):
            break
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(":")[0].split(",")]
            texts |= dict.fromkeys(names, "")
        else:
            for name in names:
                texts[name] = f"{texts[name]} {line.strip()}".strip()
    return texts
