"""What expressions may name, described from the docstrings of the classes themselves."""

import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple

from groundshift import filters, matchers

DEFAULT = "default"
"""The expression for the default matcher."""


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
    """"matcher", "filter" or "part" of one."""
    summary: str
    parameters: tuple[Parameter, ...]


def describe() -> tuple[Description, ...]:
    """Describe every matcher, then every filter, then their parts, from their own docstrings."""
    kinds = dict.fromkeys(typing.get_args(matchers.AnyMatcher), "matcher")
    kinds |= dict.fromkeys(_filters(), "filter")
    return tuple(
        Description(name, kinds.get(cls, "part"), _summary(cls), _parameters(cls))
        for name, cls in registry().items()
    )


def describe_default() -> Description:
    """Describe the default matcher from its docstring."""
    texts = _documented(inspect.getdoc(matchers.default) or "")
    parameters = inspect.signature(matchers.default).parameters.values()
    return Description(
        DEFAULT,
        "matcher",
        _summary(matchers.default),
        tuple(Parameter(p.name, repr(p.default), texts.get(p.name, "")) for p in parameters),
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
