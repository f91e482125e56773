"""Stored matchers as people read them: the default by its name, long expressions in lines."""

import ast
from dataclasses import replace

from groundshift.config import catalogue, matcher_from
from groundshift.errors import MatcherError
from groundshift.matchers import CoarseToFine, Filtered
from groundshift.matchers.presets import default_arguments
from groundshift.nets.refine import learned_arguments
from groundshift.types import Matcher

INDENT = 2
MADE = {CoarseToFine.__name__, Filtered.__name__}
"""Classes of what presets make."""


def readable(text: str, width: int) -> list[str]:
    """Break what a field's provenance says of its matcher into lines of at most `width`.

    The default and the learned matcher are written as they can be asked for, also where they are
    part of another one. What is no expression of ours comes back as it is.

    Examples
    --------
    >>> from groundshift.matchers import default
    >>> readable(repr(default(search=32)), 80)
    ['default(search=32, stride=4)']
    """
    try:
        matcher = matcher_from(text)
    except MatcherError:
        return [text]
    note = ""
    still, reach = _without_reach(matcher)
    if reach and _preset(still) is not None:
        text, note = repr(still), f", following a prior of up to {reach} px"
    lines = laid_out(ast.unparse(_Presets().visit(ast.parse(text, mode="eval"))), width)
    return [*lines[:-1], lines[-1] + note]


def laid_out(text: str, width: int) -> list[str]:
    """Break an expression into lines: what does not fit has its parts on indented lines.

    Examples
    --------
    >>> laid_out("Filtered(filter=Wallis(window=31), matcher=NCC(window=32))", 30)
    ['Filtered(', '  filter=Wallis(window=31),', '  matcher=NCC(window=32))']
    >>> laid_out("NCC(window=32, search=8, stride=8)", 24)
    ['NCC(', '  window=32, search=8,', '  stride=8)']
    """
    return _lines(ast.parse(text, mode="eval").body, "", width)


def _lines(node: ast.AST, prefix: str, width: int) -> list[str]:
    """Lay out one node after `prefix`."""
    whole = prefix + ast.unparse(node)
    first, parts, end = prefix, [], ")"
    if isinstance(node, ast.Call):
        first += ast.unparse(node.func)
        parts = [("", part) for part in node.args]
        parts += [(f"{each.arg}=", each.value) for each in node.keywords]
    elif isinstance(node, ast.Tuple):
        parts, end = [("", part) for part in node.elts], ",)" if len(node.elts) == 1 else ")"
    if len(whole) <= width or not parts:
        return [whole]
    return [f"{first}(", *(" " * INDENT + line for line in _packed(parts, end, width - INDENT))]


def _packed(parts: list[tuple[str, ast.expr]], end: str, width: int) -> list[str]:
    """Put parts that need no line of their own side by side, and `end` after the last."""
    lines: list[str] = []
    joins = False
    for index, (name, part) in enumerate(parts):
        inner = _lines(part, name, width - len(end))
        inner[-1] += end if index == len(parts) - 1 else ","
        if joins and len(inner) == 1 and len(lines[-1]) + 1 + len(inner[0]) <= width:
            lines[-1] += f" {inner[0]}"
        else:
            lines += inner
        joins = len(inner) == 1
    return lines


class _Presets(ast.NodeTransformer):
    """Writes each matcher that a preset makes as a call of it."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call of what a preset makes with that of the preset, if there is one."""
        if isinstance(node.func, ast.Name) and node.func.id in MADE:
            preset = _preset(matcher_from(ast.unparse(node)))
            if preset is not None:
                return ast.parse(preset, mode="eval").body
        return self.generic_visit(node)


def _without_reach(matcher: Matcher) -> tuple[Matcher, int]:
    """Take away the reach of a chain, also of one that is filtered; and tell it."""
    if isinstance(matcher, CoarseToFine):
        return replace(matcher, reach=0), matcher.reach
    if isinstance(matcher, Filtered) and isinstance(matcher.matcher, CoarseToFine):
        return replace(matcher, matcher=replace(matcher.matcher, reach=0)), matcher.matcher.reach
    return matcher, 0


def _preset(matcher: Matcher) -> str | None:
    """Write the call that makes a matcher; None if no preset does."""
    for name, arguments in (
        (catalogue.DEFAULT, default_arguments(matcher)),
        (catalogue.LEARNED, learned_arguments(matcher)),
    ):
        if arguments is not None:
            return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
    return None
