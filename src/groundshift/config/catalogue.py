"""What expressions may name, described from the docstrings of the classes themselves."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple

from groundshift import filters, matchers
from groundshift.nets.refine import Refine, guessing, learned
from groundshift.nets.regress import Regress

DEFAULT, LEARNED = "default", "learned"
"""Names of the default matcher, and of those with trained nets, in expressions."""
PRESETS: dict[str, Callable[..., Any]] = {
    DEFAULT: matchers.default,
    LEARNED: learned,
    "multikernel": matchers.multikernel,
    "guessing": guessing,
}
"""Functions that put a matcher together, by their names in expressions."""


class Parameter(NamedTuple):
    """One parameter of a matcher or filter."""

    name: str
    default: str
    """As Python prints it; empty where a value must be given."""
    summary: str


class Description(NamedTuple):
    """One matcher or filter."""

    name: str
    kind: str
    """"matcher", "filter", "part" of one, or "preset"."""
    summary: str
    parameters: tuple[Parameter, ...]


def describe() -> tuple[Description, ...]:
    """Describe every matcher, then every filter, then their parts, from their own docstrings."""
    kinds = dict.fromkeys(_matchers(), "matcher")
    kinds |= dict.fromkeys(_filters(), "filter")
    return tuple(
        Description(name, kinds.get(cls, "part"), _summary(cls), _parameters(cls))
        for name, cls in registry().items()
    )


def describe_presets() -> tuple[Description, ...]:
    """Describe the presets from their docstrings, the default first."""
    return tuple(
        Description(name, "preset", _summary(make), tuple(_arguments(make)))
        for name, make in PRESETS.items()
    )


def _arguments(make: Callable[..., Any]) -> Iterator[Parameter]:
    texts = _documented(inspect.getdoc(make) or "")
    for each in inspect.signature(make).parameters.values():
        default = "" if each.default is each.empty else repr(each.default)
        yield Parameter(each.name, default, texts.get(each.name, ""))


def registry() -> dict[str, type]:
    """Return every class that an expression may name: matchers, filters, then their parts."""
    found: dict[str, type] = {}
    for cls in (*_matchers(), *_filters()):
        found.setdefault(cls.__name__, cls)
    for cls in list(found.values()):
        for part in _parts(cls):
            found.setdefault(part.__name__, part)
    return found


def _matchers() -> tuple[type, ...]:
    return (*typing.get_args(matchers.AnyMatcher), Refine, Regress)


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
        for part in leaves(hint):
            if is_dataclass(part) and part is not cls:
                yield part
                yield from _parts(part)


def leaves(hint: Any) -> Iterator[type]:
    """Yield the classes that a type hint names, at any depth."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        for inner in typing.get_args(hint):
            yield from leaves(inner)
    elif isinstance(hint, type):
        yield hint


def _summary(described: object) -> str:
    return " ".join((inspect.getdoc(described) or "").split("\n\n")[0].split())


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
