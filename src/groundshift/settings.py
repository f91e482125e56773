r"""Settings as text: YAML that holds only what differs from the defaults.

The schema is a dataclass: its fields, their types and their docstrings.

>>> RECIPES.parse("size: 128\nmotions: {zero: 1, glacier: 3}").motions
(('zero', 1.0), ('glacier', 3.0))
"""

import ast
import difflib
import inspect
import json
import os
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from groundshift.errors import GroundshiftError
from groundshift.synth.recipe import Recipe

SCALARS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+")
"""A number as 1e-4, which YAML takes for text as it has no point."""
NAME = "name"
"""Key by which one of several dataclasses is chosen."""

T = TypeVar("T")


@dataclass(frozen=True)
class Text(Generic[T]):
    """How the values of a dataclass are written and read."""

    cls: type[T]
    name: str
    """What they are called."""
    command: str
    """That uses them; it prints a template."""
    presets: Mapping[str, T]
    """Values with names."""

    @property
    def hint(self) -> str:
        """Where all keys are listed."""
        return f"`{self.command} --template` prints all keys"

    def read(self, name: str | os.PathLike[str]) -> T:
        """Read a YAML file, or take a preset.

        Raises
        ------
        GroundshiftError
            When there is no such file, or a key or a value is wrong.
        """
        if str(name) in self.presets:
            return self.presets[str(name)]
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            close = difflib.get_close_matches(str(name), self.presets, 1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            named = " or ".join(map(repr, self.presets))
            raise GroundshiftError(
                f"cannot read the {self.name} {path} ({error}); {meant}pass a YAML file or "
                f"{named}; {self.hint}"
            ) from error
        return self.parse(text, str(path))

    def parse(self, text: str, where: str = "") -> T:
        """Make values of YAML."""
        where = where or f"the {self.name}"
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())
            raise GroundshiftError(f"{where} is not YAML: {said}; {self.hint}") from error
        try:
            return self.from_values({} if values is None else values)
        except GroundshiftError as error:
            raise GroundshiftError(f"{where}: {error}") from error

    def from_values(self, values: Any) -> T:
        """Make values of a mapping, as YAML or JSON hold it; the inverse of `to_values`."""
        return _dataclass(values, self.cls, "")

    def changed(self, before: T, values: Mapping[str, Any]) -> T:
        """Return other values of some keys, the rest as before."""
        return self.from_values(to_values(before) | dict(values))

    def template(self, values: T | None = None) -> str:
        """Return YAML with all keys, what they are (by default), and what they mean as comments."""
        first = f"# A {self.name} for `{self.command}`: keep what you change, leave out the rest."
        values = self.cls() if values is None else values
        return "\n".join([first, *_lines(values, "")]) + "\n"

    def difference(self, values: T) -> str:
        """Return YAML with no more than the keys that are not as by default."""
        return yaml.safe_dump(_difference(values, self.cls()), sort_keys=False)


RECIPES = Text(Recipe, "recipe", "groundshift simulate", {"default": Recipe()})
"""What synthetic samples are drawn from."""


def to_values(settings: Any) -> dict[str, Any]:
    """Turn a dataclass into numbers, texts, lists and mappings alone."""
    hints = typing.get_type_hints(type(settings))
    return {f.name: _plain(getattr(settings, f.name), hints[f.name]) for f in fields(settings)}


def _lines(settings: Any, indent: str) -> Iterator[str]:
    documented, values = _documented(type(settings)), to_values(settings)
    for name, value in values.items():
        about = textwrap.wrap(documented.get(name, ""), 92 - len(indent))
        yield from ("", *(f"{indent}# {line}" for line in about))
        own = getattr(settings, name)
        if is_dataclass(own):
            yield f"{indent}{name}:"
            yield from _lines(own, f"{indent}  ")
        elif isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from (f"{indent}  {key}: {json.dumps(v)}" for key, v in value.items())
        else:
            yield f"{indent}{name}: {json.dumps(value)}"


def _difference(settings: Any, usual: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if type(settings) is not type(usual):  # one of several, by its name
        found, usual = {NAME: settings.name}, type(settings)()
    values, defaults = to_values(settings), to_values(usual)
    for name, value in values.items():
        if value == defaults[name]:
            continue
        own = getattr(settings, name)
        found[name] = _difference(own, getattr(usual, name)) if is_dataclass(own) else value
    return found


# -- values ------------------------------------------------------------------------------------


def _dataclass(values: Any, cls: type, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise GroundshiftError(f"{where or 'all of it'} must be keys and values, 'key: value'")
    hints, known = typing.get_type_hints(cls), [f.name for f in fields(cls)]
    found = {}
    for key, value in values.items():
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise GroundshiftError(f"unknown key {key!r}; {meant}there are: {', '.join(known)}")
        found[key] = _value(value, hints[key], f"{where}.{key}".lstrip("."))
    return cls(**found)


def _value(value: Any, hint: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(value, hint, where)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _any_of(value, typing.get_args(hint), where)
    if typing.get_origin(hint) is tuple:
        return _tuple(value, hint, where)
    chosen = typing.get_origin(hint) is typing.Literal  # by its name, already
    if chosen or (value is None and hint in (None, type(None))):
        return value
    if hint is float and _is_number(value):
        return float(value)
    # Not isinstance: True is no number.
    if type(value) is not hint:
        raise GroundshiftError(f"{where} is {value!r} and must be {SCALARS.get(hint, hint)}")
    return value


def _is_number(value: Any) -> typing.TypeGuard[str | float]:
    """Whether it is one, or text that YAML only takes for text."""
    if isinstance(value, str):
        return EXPONENT.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _any_of(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    if named := {hint.name: hint for hint in hints if hasattr(hint, NAME)}:
        return _named(value, named, where)
    *others, last = hints
    for hint in others:
        try:
            return _value(value, hint, where)
        except GroundshiftError:
            continue
    return _value(value, last, where)


def _named(value: Any, named: dict[str, type], where: str) -> Any:
    """Make one of several dataclasses by its name; the first, if none is given."""
    if not isinstance(value, Mapping):
        raise GroundshiftError(f"{where} must be keys and values, 'key: value'")
    name = value.get(NAME, next(iter(named)))
    if name not in named:
        close = difflib.get_close_matches(str(name), named, 1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise GroundshiftError(f"{where}.{NAME} is {name!r}; {meant}there are: {', '.join(named)}")
    return _dataclass(value, named[name], where)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _tuple(value: Any, hint: Any, where: str) -> tuple[Any, ...]:
    each = typing.get_args(hint)
    if _is_table(hint):
        if isinstance(value, list) and all(_is_pair(each) for each in value):
            value = dict(value)  # as JSON has it, of a run's folder for example
        if not isinstance(value, Mapping):
            raise GroundshiftError(f"{where} is {value!r} and must be names and numbers, {{a: 1}}")
        return tuple((str(key), _value(v, float, f"{where}.{key}")) for key, v in value.items())
    if not isinstance(value, list | tuple):
        raise GroundshiftError(f"{where} is {value!r} and must be a list, [a, b]")
    if each[-1] is Ellipsis:
        each = each[:1] * len(value)
    if len(value) != len(each):
        raise GroundshiftError(f"{where} has {len(value)} values and must have {len(each)}")
    return tuple(
        _value(v, h, f"{where}[{k}]") for k, (v, h) in enumerate(zip(value, each, strict=True))
    )


def _is_table(hint: Any) -> bool:
    """Whether a type is that of pairs of a name and a number, a mapping in YAML."""
    return typing.get_args(hint) == (tuple[str, float], ...)


def _plain(value: Any, hint: Any) -> Any:
    if is_dataclass(value):
        return to_values(value)
    if isinstance(value, tuple):
        return dict(value) if _is_table(hint) else [_plain(each, None) for each in value]
    return value


def _documented(cls: type) -> dict[str, str]:
    """Return the docstrings below a dataclass's fields, each on one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    texts: dict[str, str] = {}
    name = None
    for node in typing.cast(ast.ClassDef, tree).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts[name] = " ".join(str(node.value.value).split())
            name = None
    return texts
